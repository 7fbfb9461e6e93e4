"""Kernel of the evidential loss: E‖t − p‖² of p with the distribution Dir(α), and λ KL.

With e = log(1 + eᶻ), α = 1 + e, S = Σ α, y = α/S, V = Σ y(1 − y), d = y − t, and the evidence for
other classes ẽ = (1 − t)e with the sum E:

    L = Σ d² + V/(S + 1) + λ [Σ_k h(1, ẽ_k) − h(K, E)],   h(a, x) = ∫₀ˣ u ψ'(a + u) du ≥ 0,
    g_k = 2d_k + (1 − 2y_k)/(S + 1),
    dL/dα_k = Σ_j y_j (g_k − g_j)/S − V/(S + 1)² + λ(1 − t_k)[ẽ_k ψ'(1 + ẽ_k) − E ψ'(K + E)],

and dL/dz = σ(z) dL/dα. h(a, x) is xψ(a + x) − log Γ(a + x) + log Γ(a), the part that one gamma
function has in the divergence. Shapes: z and t (…, K) → losses (…), gradients (…, K).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlr.densities.special import rate, stirling
from mlr.heads.functions import sigmoid, softplus
from mlr.information import HALF_LOG_TAU
from mlr.objectives.kernels.kernel import Kernel, sum_of_others

NODES = 22
"""Nodes of the quadrature, whose error is below the rounding of float64."""
NEAR = 4.0
"""x/a up to which h is integrated, and not made of logarithms that cancel."""


def evidential_se(weight: float) -> Kernel:
    """The kernel of λ."""

    def losses(z: Tensor, t: Tensor) -> Tensor:
        y, rest, whole = _means(z)
        d = (1 - t) * y - t * rest
        errors = (d * d + y * rest / (whole + 1)).sum(-1)
        others, total = _evidence_of_others(z, t)
        outputs = float(z.shape[-1])
        # h(a, x) is about x far out, and Σ ẽ = E: where E is large both are taken without it
        is_far = total >= NEAR * outputs
        own, shared = _part(1.0, others, is_far).sum(-1), _part(outputs, total, is_far)[..., 0]
        return errors + weight * (own - shared)

    def gradient(z: Tensor, t: Tensor) -> Tensor:
        y, rest, whole = _means(z)
        d = (1 - t) * y - t * rest
        g = 2 * d + (rest - y) / (whole + 1)
        # Σ_j y_j (g_k − g_j) = g_k (1 − y_k) − Σ_{j≠k} y_j g_j
        to_error = (g * rest - sum_of_others(y * g)) / whole
        variance = (y * rest).sum(-1, keepdim=True)
        others, total = _evidence_of_others(z, t)
        apart = others * _trigamma(1 + others) - total * _trigamma(total + z.shape[-1])
        to_alpha = to_error - variance / (whole + 1) / (whole + 1) + weight * (1 - t) * apart
        return sigmoid(z) * to_alpha

    return Kernel(losses, gradient)


def _means(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """y and 1 − y (…, K), and S (…, 1)."""
    alpha = 1 + softplus(z)
    whole = alpha.sum(-1, keepdim=True)
    return alpha / whole, sum_of_others(alpha) / whole, whole


def _evidence_of_others(z: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """(1 − t)e (…, K) and its sum (…, 1)."""
    others = (1 - t) * softplus(z)
    return others, others.sum(-1, keepdim=True)


def _part(a: float, x: Tensor, less: Tensor) -> Tensor:
    """h(a, x) (…) of x ≥ 0, and h(a, x) − x where `less` is true."""
    is_near = x < NEAR * a
    u = torch.where(is_near, x, 0.0).unsqueeze(-1)
    nodes, weights = (torch.from_numpy(one).to(x) for one in _gauss_legendre())
    # all terms are positive, so that nothing cancels however small x is
    near = (weights * nodes * _trigamma(a + u * nodes)).sum(-1) * u[..., 0] * u[..., 0]
    s = a + torch.where(is_near, NEAR * a, x)
    logs = s.log()
    constant = torch.lgamma(torch.tensor(a, dtype=x.dtype, device=x.device))
    # log Γ(s) = (s − ½) log s − s + ½ log 2π + δ(s)
    far = (s - a) * rate(s) + (0.5 - a) * logs + (a + constant - HALF_LOG_TAU)
    far = far - stirling(s, logs)
    low, high = near - u[..., 0], far + x
    return torch.where(is_near, torch.where(less, low, near), torch.where(less, far, high))


def _trigamma(x: Tensor) -> Tensor:
    """ψ'(x) (…) of x ≥ 1; torch.polygamma has nine digits of it."""
    return torch.special.zeta(torch.full_like(x, 2.0), x)


@lru_cache(maxsize=1)
def _gauss_legendre() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes and weights of [0, 1]; no tensors, which may be made for inference only."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return (nodes + 1) / 2, weights / 2
