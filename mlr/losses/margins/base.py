"""The base class of margin losses: cross-entropy with the logit of the true class lowered."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from mlr.core.checks import non_negative, positive
from mlr.core.domains import SIMPLEX, Region
from mlr.losses.base import Loss

if TYPE_CHECKING:
    from torch import Tensor


class MarginLoss(Loss):
    """L = Σ_k t_k log(1 + Σ_{j≠k} e^(z_j − f(z_k))) of logits z_k = s cos θ_k, f(z) ≤ z.

    θ_k is the angle between the features and the weights of class k: `model=cosine` gives such
    logits, with the same s. For a hard target only the logit of its class is lowered, and only
    by the loss: predictions are softmax(z), so that training asks for more than deciding does.
    """

    target_domain: ClassVar[Region] = SIMPLEX
    domain: ClassVar[Region] = SIMPLEX
    linear_in_targets: ClassVar[bool] = True
    on_logits: ClassVar[bool] = True

    def __init__(self, scale: float, margin: float) -> None:
        """Set s and m.

        Args:
            scale: s > 0, the largest logit.
            margin: m ≥ 0; at 0 the loss is cross-entropy.

        Raises:
            InputError: s is not above 0, m is negative, or one is not finite.
        """
        self.scale = float(positive("loss.scale", scale))
        self.margin = float(non_negative("loss.margin", margin))

    @abstractmethod
    def drop(self, logits: Tensor) -> Tensor:
        """z − f(z) ≥ 0 (…, K), by which the logit of the true class is lowered."""

    @abstractmethod
    def slope(self, logits: Tensor) -> Tensor:
        """f'(z) ≥ 0 (…, K)."""

    def __call__(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """L (…) of logits z (…, K)."""
        z = predictions
        lowered = z.unsqueeze(-2) - self.drop(z).diag_embed()
        return -(targets * lowered.log_softmax(-1).diagonal(dim1=-2, dim2=-1)).sum(-1)
