"""The linear unit: the prediction is the logit."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import REALS, Region
from mlr.heads.base import Head

if TYPE_CHECKING:
    from torch import Tensor


class Linear(Head):
    """y = z: the mean of a Gaussian, never saturates, gives any real number.

    Source: Goodfellow et al., Deep Learning, 6.2.2.1.
    """

    name: ClassVar[str] = "linear"
    range: ClassVar[Region] = REALS

    def __call__(self, logits: Tensor) -> Tensor:
        """y = z (…, K)."""
        return logits

    def potential(self, logits: Tensor) -> Tensor:
        """A(z) = ½ Σ_k z_k² (…)."""
        return (logits * 0.5 * logits).sum(-1)

    def slope(self, logits: Tensor) -> Tensor:
        """∂y/∂z = 1 (…, K)."""
        # z⁰ = 1 for every z, NaN and inf included
        return logits**0
