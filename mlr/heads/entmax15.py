"""The 1.5-entmax unit: between softmax and sparsemax, smooth and with exact zeros."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mlr.core.domains import SIMPLEX, Region
from mlr.heads.base import Head

if TYPE_CHECKING:
    from torch import Tensor


class Entmax15(Head):
    """y_k = max(0, z_k/2 − τ)², τ such that Σ y = 1: 1.5-entmax, of the family of softmax (1).

    y maximises ⟨p, z⟩ + (4/3)(1 − Σ_k p_k^1.5) over the simplex. As with sparsemax, the
    2-entmax, classes far below the largest have exactly y = 0 and get no gradient by way of y;
    y reaches 0 with slope 0, so that the prediction has no kinks. Unchanged by a common shift
    of z, and one-hot from a lead of 2.

    Source: Peters, Niculae and Martins, Sparse sequence-to-sequence models, ACL (2019).
    """

    name: ClassVar[str] = "entmax15"
    range: ClassVar[Region] = SIMPLEX

    def __call__(self, logits: Tensor) -> Tensor:
        """y = max(0, z/2 − τ)² (…, K)."""
        return roots(logits)[0].square()

    def potential(self, logits: Tensor) -> Tensor:
        """A(z) = 2τ + ⅔ Σ_k y_k^1.5 + 4/3 (…), which is ⟨y, z⟩ + (4/3)(1 − Σ_k y_k^1.5)."""
        s, tau = roots(logits)
        top = logits.amax(-1).detach()
        return top + (2 * tau.squeeze(-1) + (2 / 3) * (s * s * s).sum(-1) + 4 / 3)

    def slope(self, logits: Tensor) -> Tensor:
        """∂y_k/∂z_k = s_k(1 − s_k/Σ_j s_j), s = √y (…, K)."""
        s = roots(logits)[0]
        return s * (1 - s / s.sum(-1, keepdim=True))


def roots(logits: Tensor) -> tuple[Tensor, Tensor]:
    """√y (…, K), and τ (…, 1) of logits less the largest: √y = max(0, (z − z_max)/2 − τ)."""
    x = 0.5 * (logits - logits.amax(-1, keepdim=True).detach())
    tau = _threshold(x.detach())
    # Newton's steps take off what rounding left; of the second, τ has its first two derivatives
    for _ in range(2):
        s = (x - tau).relu()
        tau = tau + (s.square().sum(-1, keepdim=True) - 1) / (2 * s.sum(-1, keepdim=True))
    return (x - tau).relu(), tau


def _threshold(x: Tensor) -> Tensor:
    """τ (…, 1) of x (…, K) with largest 0, such that Σ_k max(0, x_k − τ)² = 1, nearly."""
    # τ ≥ −1: what lies lower is outside the support, however far
    ordered = x.clamp(min=-2.0).sort(-1, descending=True).values
    counts = ordered.new_ones(ordered.shape[-1]).cumsum(0)
    means = ordered.cumsum(-1) / counts
    # Σ (x − mean)² of the first n
    spreads = (ordered.square().cumsum(-1) - counts * means.square()).clamp(min=0)
    found = means - ((1 - spreads) / counts).clamp(min=0).sqrt()
    # the support is the first n in order for which τ of them lies below the last of them
    size = (found <= ordered).to(x.dtype).sum(-1, keepdim=True)
    return found.gather(-1, size.long().clamp(min=1) - 1)
