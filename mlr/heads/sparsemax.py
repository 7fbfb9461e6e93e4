"""The sparsemax unit: the distribution nearest to the logits, with exact zeros."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import SIMPLEX, Region
from mlr.heads.base import Head

if TYPE_CHECKING:
    from torch import Tensor


class Sparsemax(Head):
    """y = argmin ‖p − z‖ over the simplex: y_k = max(0, z_k − τ) with τ such that Σ y = 1.

    The classes left with y_k > 0 are its support S. Of the others it says exactly 0, and
    they get no gradient by way of y. Unchanged by a common shift of z.

    Source: Martins and Astudillo, From softmax to sparsemax, ICML (2016).
    """

    name: ClassVar[str] = "sparsemax"
    range: ClassVar[Region] = SIMPLEX

    def __call__(self, logits: Tensor) -> Tensor:
        """y = max(0, z − τ) (…, K)."""
        below_top = logits - logits.amax(-1, keepdim=True).detach()
        return (below_top - threshold(below_top)).relu()

    def potential(self, logits: Tensor) -> Tensor:
        """A(z) = τ + ½ Σ_k y_k² (…), which is ⟨y, z⟩ − ½ ‖y‖²."""
        top = logits.amax(-1, keepdim=True).detach()
        tau = threshold(logits - top)
        y = (logits - top - tau).relu()
        return (top + tau).squeeze(-1) + (0.5 * y * y).sum(-1)

    def slope(self, logits: Tensor) -> Tensor:
        """∂y_k/∂z_k = 1 − 1/|S| in the support S, exactly 0 outside (…, K)."""
        supported = self(logits).sign()
        return supported * (1 - 1 / supported.sum(-1, keepdim=True))


def threshold(below_top: Tensor) -> Tensor:
    """τ (…, 1) of logits less the largest, with Σ_k max(0, z_k − τ) = 1."""
    ordered = below_top.sort(-1, descending=True).values
    above_one = ordered.cumsum(-1) - 1
    counts = ordered.new_ones(ordered.shape[-1]).cumsum(0)
    # S is the first n in order for which 1 + n z_(n) > Σ_{j ≤ n} z_(j)
    size = (counts * ordered > above_one).to(ordered.dtype).sum(-1, keepdim=True)
    return above_one.gather(-1, size.long().clamp(min=1) - 1) / size
