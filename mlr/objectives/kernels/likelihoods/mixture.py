"""Kernel of the mixture of Gaussians: its −log-likelihood.

Shapes: logits z = (a, m, s), each M blocks of K (…, 3MK), targets t (…, K) → losses (…), gradients
(…, 3MK). With r = (t − m)e⁻ˢ and the shares γ = softmax(a − ½r² − s) of the components

    L = log Σ_j e^a_j − log Σ_j e^(a_j − ½r_j² − s_j) + ½ log 2π,
    dL/da = softmax(a) − γ,  dL/dm = −γ r e⁻ˢ,  dL/ds = γ(1 − r²).
"""

from __future__ import annotations

import torch
from torch import Tensor

from mlr.information import HALF_LOG_TAU
from mlr.objectives.kernels.gaussian import residuals
from mlr.objectives.kernels.kernel import Kernel


def mixture_nll(components: int) -> Kernel:
    """The kernel of so many components."""

    def split(z: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Weights, residuals, two factors of e⁻ˢ as one, and log shares (…, M, K)."""
        a, m, s = (one.unflatten(-1, (components, -1)) for one in z.chunk(3, -1))
        r, (first, second) = residuals(torch.cat([m, s], -1), t.unsqueeze(-2))
        # −∞ and not NaN where r² is infinite
        far = 0.5 * r * r
        return a, r, first * second, a - torch.where(far.isinf(), far, far + s)

    def losses(z: Tensor, t: Tensor) -> Tensor:
        a, _, _, logs = split(z, t)
        return (a.logsumexp(-2) - logs.logsumexp(-2) + HALF_LOG_TAU).sum(-1)

    def gradient(z: Tensor, t: Tensor) -> Tensor:
        a, r, inverse, logs = split(z, t)
        # of −∞ alone, where every component is too far, the shares are those of the weights
        lost = logs.amax(-2, keepdim=True) == -torch.inf
        share = torch.where(lost, a, logs).softmax(-2)
        none = share == 0
        # a component without a share has no gradient, however far it is
        held = r.masked_fill(none, 0.0), inverse.masked_fill(none, 0.0)
        apart = a.softmax(-2) - share
        # both may be near 1, where their difference is what the others miss to 0
        index = share.max(-2, keepdim=True).indices
        apart = apart.scatter(-2, index, 0.0)
        apart = apart.scatter(-2, index, -apart.sum(-2, keepdim=True))
        parts = apart, -share * held[0] * held[1], share * (1 - held[0] * held[0])
        return torch.cat([one.flatten(-2) for one in parts], -1)

    return Kernel(losses, gradient)
