"""Kernels of the Gaussian −log-likelihood.

Shapes: logits z = (m, s) (…, 2K), means and log standard deviations; targets t (…, K) → losses
(…), gradients (…, 2K). With the residual r = (t − m)e⁻ˢ

    L = Σ_k [½r_k² + s_k + ½ log 2π],  dL/dm = −r e⁻ˢ,  dL/ds = 1 − r².
"""

from __future__ import annotations

from math import log

import torch
from torch import Tensor

from mlr.information import HALF_LOG_TAU
from mlr.objectives.kernels.kernel import Kernel


def gaussian_losses(z: Tensor, t: Tensor) -> Tensor:
    """Σ ½r² + s + ½ log 2π."""
    return gaussian_costs(z, t).sum(-1)


def gaussian_costs(z: Tensor, t: Tensor) -> Tensor:
    """½r² + s + ½ log 2π (…, K)."""
    r, _ = residuals(z, t)
    # halving first keeps the largest squares finite
    half, s = 0.5 * r * r, z.chunk(2, -1)[1]
    # where r² is infinite the sum is, even if log σ is −∞
    return torch.where(half.isinf(), half, half + s + HALF_LOG_TAU)


def gaussian_gradient(z: Tensor, t: Tensor) -> Tensor:
    """(−r e⁻ˢ, 1 − r²)."""
    r, (first, second) = residuals(z, t)
    return torch.cat([-r * first * second, 1 - r * r], -1)


def of_deviation_one(se: Kernel) -> Kernel:
    """The kernel of a head that gives no σ: the squared error, and ½ log 2π an output.

    The gradient is that of the squared error, the very function.
    """

    def losses(z: Tensor, t: Tensor) -> Tensor:
        return se.losses(z, t) + HALF_LOG_TAU * z.shape[-1]

    return Kernel(losses, se.gradient, se.differentiable)


def residuals(z: Tensor, t: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """r = (t − m)e⁻ˢ (…, K), and two factors of e⁻ˢ."""
    m, s = z.chunk(2, -1)
    # the second factor is 1 but where e⁻ˢ alone may be no number; beyond the ends r² and dL/dm
    # are 0 or infinite as they are there, and 0·∞ never comes up
    end = float(int(log(torch.finfo(z.dtype).max)))
    near = s.clamp(-end, end)
    factors = (-near).exp(), (near - s).clamp(-end, end).exp()
    return (t - m) * factors[0] * factors[1], factors


def beta_nll(beta: float) -> Kernel:
    """The likelihood of each target with the weight σ^2β, which is held."""

    def losses(z: Tensor, t: Tensor) -> Tensor:
        return (_weights(beta, z) * gaussian_costs(z, t)).sum(-1)

    def gradient(z: Tensor, t: Tensor) -> Tensor:
        r, (first, second) = residuals(z, t)
        s = z.chunk(2, -1)[1]
        # e^(2β − 1)s as one number
        to_mean = -r * (first * second if beta == 0 else ((2 * beta - 1) * s).exp())
        return torch.cat([to_mean, _weights(beta, z) * (1 - r * r)], -1)

    return Kernel(losses, gradient)


def _weights(beta: float, z: Tensor) -> Tensor:
    return (2 * beta * z.chunk(2, -1)[1]).exp()


GAUSSIAN_NLL = Kernel(gaussian_losses, gaussian_gradient)
