"""The CORAL unit: one sigmoid for each level of ordered classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import OPEN_UNIT, Region
from mlr.heads.ordinal.base import OrdinalHead
from mlr.heads.sigmoid import Sigmoid

if TYPE_CHECKING:
    from torch import Tensor


class Coral(OrdinalHead):
    """y_k = σ(z_k) = P(class ≥ k) for k = 1 … K − 1, levels of ordered classes.

    With `loss=bce` this is CORAL, if the last layer has one weight vector for all levels and
    thresholds of their own (`model=ordinal`): the levels then do not cross where the loss is
    least. With weights of their own (`model=linear`, `mlp`) it is the older OR-CNN, and levels
    may contradict each other, y_2 > y_1; `cumulative` and `corn` cannot.

    Source: Cao, Mirjalili and Raschka, Rank consistent ordinal regression for neural networks,
        Pattern Recognition Letters 140 (2020); Niu et al., CVPR (2016), for OR-CNN.
    """

    name: ClassVar[str] = "coral"
    range: ClassVar[Region] = OPEN_UNIT
    middle: ClassVar[float | None] = 0.0

    def __call__(self, logits: Tensor) -> Tensor:
        """y = σ(z) (…, K − 1)."""
        return Sigmoid()(logits)

    def potential(self, logits: Tensor) -> Tensor:
        """A(z) = Σ_k log(1 + e^z_k) (…)."""
        return Sigmoid().potential(logits)

    def slope(self, logits: Tensor) -> Tensor:
        """∂y_k/∂z_k = y_k(1 − y_k) (…, K − 1)."""
        return Sigmoid().slope(logits)
