"""Models: each checks its options at construction and builds a plain nn.Module on `build()`.

A model maps features (B, *feature_shape) to logits (B, K). It knows nothing of heads and losses:
its last layer is linear, but for `CosineLogits`. Any nn.Module of a user's own can be used as well
(`model._target_=my_package.MyNet`). Adding a model takes a file here, its class in `MODELS`, and
`configs/model/<name>.yaml` with its defaults.
"""

from mlr.models.base import Model
from mlr.models.cnn import Cnn
from mlr.models.cosine import CosineLogits
from mlr.models.linear import Linear
from mlr.models.mlp import Mlp
from mlr.models.module import UserModule
from mlr.models.ordinal import Ordinal

MODELS = (Linear, Mlp, Cnn, Ordinal, CosineLogits)

__all__ = ["MODELS", "Cnn", "CosineLogits", "Linear", "Mlp", "Model", "Ordinal", "UserModule"]
