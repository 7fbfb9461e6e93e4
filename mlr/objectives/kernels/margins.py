"""Kernels of softmax with a margin at the true class: ArcFace and CosFace.

With f(z) the lowered logit and the gaps u_k = log Σ_{j≠k} e^z_j − f(z_k)

    L = Σ_k t_k log(1 + e^u_k),  dL/dz_j = y_j Σ_{k≠j} t_k σ(u_k)/(1 − y_k) − t_j σ(u_j) f'(z_j),

y = softmax(z): y_j/(1 − y_k) is the softmax of all but class k. Shapes: logits z and targets t
(…, K) → losses (…), gradients (…, K).
"""

from __future__ import annotations

from torch import Tensor

from mlr.heads.functions import sigmoid, softplus
from mlr.losses.margins.base import MarginLoss
from mlr.objectives.kernels.class_terms import ClassTerm
from mlr.objectives.kernels.kernel import Kernel, sum_of_others, times
from mlr.objectives.kernels.softmax import among_others, softmax_term


def with_margin(loss: MarginLoss) -> Kernel:
    """The kernel of this scale and margin."""

    def gaps(term: ClassTerm, z: Tensor) -> Tensor:
        # −log y + log(1 − y) is what the others lead by
        return (term.cost - term.cost_of_rest) + loss.drop(z)

    def losses(z: Tensor, t: Tensor) -> Tensor:
        return times(t, softplus(gaps(softmax_term(z), z))).sum(-1)

    def gradient(z: Tensor, t: Tensor) -> Tensor:
        term, index = softmax_term(z), z.max(-1, keepdim=True).indices
        pulls = t * sigmoid(gaps(term, z))
        # of all but the largest, whose 1 − y may be 0
        shares = (pulls / term.rest.scatter(-1, index, 1.0)).scatter(-1, index, 0.0)
        of_top = pulls.gather(-1, index) * among_others(z, index)
        return term.p * sum_of_others(shares) + of_top - pulls * loss.slope(z)

    return Kernel(losses, gradient)
