"""Networks whose logits are cosines: normalised features and normalised weights of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlr.core.checks import InputError, known, positive, whole_numbers
from mlr.models.base import Model
from mlr.models.initialise import SCHEMES, initialise
from mlr.models.mlp import ACTIVATIONS, hidden_layers

if TYPE_CHECKING:
    from torch import nn


class CosineLogits(Model):
    """Dense layers whose last one gives z_k = s cos θ_k, θ_k the angle between features and w_k.

    The length of the weights and of the features says nothing, and there are no biases; the scale
    s is the largest logit. With loss=arcface or loss=cosface, which need such logits, it is the
    network of their papers.

    Args:
        widths: units of each hidden layer, input side first; none is a linear model.
        activation: relu, tanh or sigmoid.
        scale: s > 0.
        init: scheme of `mlr.models.initialise`; not zeros, which have no direction.
        init_scale: factor on the initial weights, above 0.
    """

    name = "cosine"

    def __init__(
        self,
        widths: Sequence[int] = (),
        activation: str = "relu",
        scale: float = 64.0,
        init: str = "torch",
        init_scale: float = 1.0,
    ) -> None:
        self.widths = whole_numbers("model.widths", widths) if widths else ()
        self.activation = known("model.activation", activation, ACTIVATIONS)
        self.scale = float(positive("model.scale", scale))
        self.init = known("model.init", init, SCHEMES)
        self.init_scale = positive("model.init_scale", init_scale)
        if init == "zeros":
            raise InputError(
                "model.init=zeros gives weights without a direction, and model=cosine needs one; "
                "use model.init=torch."
            )

    def construct(
        self, feature_shape: tuple[int, ...], outputs: int, seed: int, dtype: str
    ) -> nn.Module:
        """Construct nn.Sequential(flatten, hidden1, relu1, …, output) with logits (B, outputs)."""
        from torch import nn

        from mlr.models.cosine_layer import CosineLayer

        layers, width = hidden_layers(feature_shape, self.widths, self.activation)
        layers["output"] = CosineLayer(width, outputs, self.scale)
        return initialise(nn.Sequential(layers), self.init, self.init_scale, seed, dtype)
