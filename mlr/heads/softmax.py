"""The softmax unit: a distribution over K classes, the sigmoid's generalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import SIMPLEX, Region
from mlr.heads.base import Head

if TYPE_CHECKING:
    from torch import Tensor


class Softmax(Head):
    """y_k = e^z_k / Σ_j e^z_j: positive, sums to one, unchanged by a common shift of z.

    Source: Goodfellow et al., Deep Learning, 6.2.2.3.
    """

    name: ClassVar[str] = "softmax"
    range: ClassVar[Region] = SIMPLEX

    def __call__(self, logits: Tensor) -> Tensor:
        """y = softmax(z) (…, K)."""
        return logits.softmax(-1)

    def potential(self, logits: Tensor) -> Tensor:
        """A(z) = log Σ_k e^z_k (…)."""
        return logits.logsumexp(-1)

    def slope(self, logits: Tensor) -> Tensor:
        """∂y_k/∂z_k = y_k(1 − y_k) (…, K)."""
        top = logits.amax(-1, keepdim=True)
        e = (logits - top).exp()
        # 1.0 and 0.0: a factor takes a tenth of the time of a choice
        is_top = logits.clone().eq_(top)
        below = 1 - is_top
        others = (e * below).sum(-1, keepdim=True)
        tops = is_top.sum(-1, keepdim=True)
        whole = tops + others
        # 1 − y_k = Σ_{j≠k} y_j, summed where y_k may be near 1: at the largest
        complement = (whole - e) * below + is_top * (tops - 1 + others)
        return e * complement / whole.square()
