"""Kernels of sparsemax and 1.5-entmax, whose outputs share one probability, and may be 0.

Both have the Jacobian ∂y_k/∂z_j = s_k (δ_kj − s_j/Σ_i s_i): s is 1 in the support of sparsemax and
√y of entmax, 0 outside. Shapes: logits z (…, K), targets t (…, K) → losses (…), gradients (…, K).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mlr.heads import Entmax15, Head, Sparsemax
from mlr.heads.entmax15 import roots
from mlr.heads.sparsemax import threshold
from mlr.objectives.kernels.class_terms import ClassTerms, TermsOf, floored_terms
from mlr.objectives.kernels.kernel import Kernel, sum_of_others, times


def sparsemax_terms(z: Tensor) -> ClassTerms:
    """Sparsemax y and 1 − y, their logarithms floored; `slope` is 1 in the support."""
    return _shared_terms(Sparsemax()(z))


def entmax_terms(z: Tensor) -> ClassTerms:
    """Entmax y and 1 − y, their logarithms floored; `slope` is 1 in the support."""
    return _shared_terms(Entmax15()(z))


def _shared_terms(y: Tensor) -> ClassTerms:
    index = y.max(-1, keepdim=True).indices
    others = y.scatter(-1, index, 0.0).sum(-1, keepdim=True)
    return floored_terms(y, (1 - y).scatter(-1, index, others), (y > 0).to(y.dtype))


def projected(kernel: Kernel, shares: Callable[[Tensor], Tensor]) -> Kernel:
    """The kernel of a head, of one for its outputs alone; `shares` gives s of the Jacobian.

    dL/dz_k = s_k Σ_j s_j (g_k − g_j) / Σ_j s_j, g = dL/dy.
    """

    def gradient(z: Tensor, t: Tensor) -> Tensor:
        s, of_y = shares(z), kernel.gradient(z, t)
        # less that of the largest: equal numbers leave nothing
        moved = s * (of_y - of_y.gather(-1, s.max(-1, keepdim=True).indices))
        return (sum_of_others(s) * moved - s * sum_of_others(moved)) / s.sum(-1, keepdim=True)

    return Kernel(kernel.losses, gradient)


def sparsemax_shares(z: Tensor) -> Tensor:
    """1 in the support of sparsemax, else 0."""
    return Sparsemax()(z).sign()


def entmax_shares(z: Tensor) -> Tensor:
    """√y of entmax."""
    return roots(z)[0]


def sparsemax_matching_losses(z: Tensor, t: Tensor) -> Tensor:
    """½ Σ (y_k − t_k)² + Σ t_k max(0, τ − z_k): A(z) − ⟨t, z⟩ + ½‖t‖² for Σ t = 1."""
    below_top = z - z.amax(-1, keepdim=True)
    missing = (threshold(below_top) - below_top).relu()
    d = sparsemax_terms(z).error(t)
    return (0.5 * d * d + times(t, missing)).sum(-1)


def entmax_matching_losses(z: Tensor, t: Tensor) -> Tensor:
    """⅔ Σ (√y_k − √t_k)² (√y_k + 2√t_k) + 2 Σ t_k max(0, τ − z_k/2): both terms ≥ 0.

    That is A(z) − ⟨t, z⟩ + (4/3)(Σ t_k^1.5 − 1) for Σ t = 1.
    """
    s, tau = roots(z)
    missing = (tau - 0.5 * (z - z.amax(-1, keepdim=True))).relu()
    r = t.sqrt()
    # √y − √t = (y − t)/(√y + √t)
    both = s + r
    d = entmax_terms(z).error(t) / torch.where(both > 0, both, 1.0)
    return ((2 / 3) * d * d * (s + 2 * r) + times(2 * t, missing)).sum(-1)


SPARSE: dict[type[Head], tuple[TermsOf, Callable[[Tensor], Tensor]]] = {
    Sparsemax: (sparsemax_terms, sparsemax_shares),
    Entmax15: (entmax_terms, entmax_shares),
}
"""Heads with such a Jacobian, their terms and its s."""
SPARSE_MATCHING: dict[type[Head], Kernel] = {
    Sparsemax: Kernel(sparsemax_matching_losses, lambda z, t: sparsemax_terms(z).error(t)),
    Entmax15: Kernel(entmax_matching_losses, lambda z, t: entmax_terms(z).error(t)),
}
