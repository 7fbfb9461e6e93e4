"""Kernels of positive numbers: the gamma and the log-normal −log-likelihood.

Shapes: logits (…, 2K), targets t > 0 (…, K) → losses (…), gradients (…, 2K).
"""

from __future__ import annotations

import torch
from torch import Tensor

from mlr.densities.special import stirling, times_excess_of_exp, times_rest_of_rate
from mlr.information import HALF_LOG_TAU
from mlr.objectives.kernels.gaussian import gaussian_costs, gaussian_gradient
from mlr.objectives.kernels.kernel import Kernel


def gamma_losses(z: Tensor, t: Tensor) -> Tensor:
    """Σ α(e^v − 1 − v) + log t + ½ log 2π − ½b + δ(α), v = log t − a, of z = (a, b)."""
    a, b = z.chunk(2, -1)
    logs, shape = t.log(), finite_exp(b)
    apart = times_excess_of_exp(shape, b, logs - a)
    return (apart + logs + (HALF_LOG_TAU - 0.5 * b + stirling(shape, b))).sum(-1)


def gamma_gradient(z: Tensor, t: Tensor) -> Tensor:
    """(α(1 − e^v), α(e^v − 1 − v) + α(ψ(α) − log α)), v = log t − a."""
    a, b = z.chunk(2, -1)
    v, shape = t.log() - a, finite_exp(b)
    to_mean = torch.where(v < 1, -shape * v.expm1(), shape - (b + v).exp())
    to_shape = times_excess_of_exp(shape, b, v) - 0.5 + times_rest_of_rate(shape, b)
    return torch.cat([to_mean, to_shape], -1)


def log_normal_losses(z: Tensor, t: Tensor) -> Tensor:
    """Σ log t − log N(log t; m, σ²) of z = (m, log σ)."""
    logs = t.log()
    return (gaussian_costs(z, logs) + logs).sum(-1)


def log_normal_gradient(z: Tensor, t: Tensor) -> Tensor:
    """Gradient of a Gaussian of log t."""
    return gaussian_gradient(z, t.log())


def finite_exp(b: Tensor) -> Tensor:
    """Return e^b (…), or the largest number, so that 0·∞ never comes up; NaN stays NaN."""
    return b.exp().clamp(max=torch.finfo(b.dtype).max)


GAMMA_NLL = Kernel(gamma_losses, gamma_gradient)
LOG_NORMAL_NLL = Kernel(log_normal_losses, log_normal_gradient)
