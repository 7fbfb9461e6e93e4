"""Kernel of shares: the beta −log-likelihood.

Shapes: logits z = (a, b) (…, 2K), targets 0 < t < 1 (…, K) → losses (…), gradients (…, 2K).
"""

from __future__ import annotations

import torch
from torch import Tensor

from mlr.densities.special import excess_of_exp, stirling, times_rest_of_rate
from mlr.heads.functions import sigmoid, softplus
from mlr.information import HALF_LOG_TAU
from mlr.objectives.kernels.kernel import Kernel
from mlr.objectives.kernels.likelihoods.positive import finite_exp


def beta_losses(z: Tensor, t: Tensor) -> Tensor:
    """Σ φ KL(μ‖t) + log t(1 − t) + ½ log 2π − ½(b + log μ(1 − μ)) + δ(μφ) + δ((1 − μ)φ) − δ(φ)."""
    a, b = z.chunk(2, -1)
    log_mean, log_rest = -softplus(-a), -softplus(a)
    log_t, log_other = t.log(), (-t).log1p()
    phi = finite_exp(b)
    apart = phi * _divergence(a, t, log_t - log_mean, log_other - log_rest)
    first, second = b + log_mean, b + log_rest
    rest = stirling(first.exp(), first) + stirling(second.exp(), second) - stirling(phi, b)
    own = HALF_LOG_TAU - 0.5 * (b + log_mean + log_rest) + rest
    return (apart + log_t + log_other + own).sum(-1)


def beta_gradient(z: Tensor, t: Tensor) -> Tensor:
    """φμ(1 − μ)(a − logit t + ω(μφ) − ω((1 − μ)φ)), and φ KL + μφ ω(μφ) + … − φ ω(φ)."""
    a, b = z.chunk(2, -1)
    mean, other = sigmoid(a), sigmoid(-a)
    log_mean, log_rest = -softplus(-a), -softplus(a)
    log_t, log_other = t.log(), (-t).log1p()
    phi = finite_exp(b)
    first, second = b + log_mean, b + log_rest
    alpha, beta = first.exp(), second.exp()
    rests = times_rest_of_rate(alpha, first), times_rest_of_rate(beta, second)
    # φμ(1 − μ)ω(μφ) = (1 − μ)·μφω(μφ): finite where μφ is 0
    rates = other * (rests[0] - 0.5) - mean * (rests[1] - 0.5)
    to_mean = (first + log_rest).exp() * (a - (log_t - log_other)) + rates
    apart = phi * _divergence(a, t, log_t - log_mean, log_other - log_rest)
    to_phi = apart + (rests[0] + rests[1] - times_rest_of_rate(phi, b) - 0.5)
    return torch.cat([to_mean, to_phi], -1)


def _divergence(a: Tensor, t: Tensor, gap: Tensor, other: Tensor) -> Tensor:
    """KL of (μ, 1 − μ) from (t, 1 − t) ≥ 0, of log t/μ and log (1 − t)/(1 − μ): no terms cancel."""
    return _part(sigmoid(a), t, gap) + _part(sigmoid(-a), 1 - t, other)


def _part(p: Tensor, q: Tensor, gap: Tensor) -> Tensor:
    """p log(p/q) − p + q ≥ 0 of log q/p, where that may be as large as p is small."""
    far = q - p * (1 + gap)
    return torch.where(gap < 1, p * excess_of_exp(gap.clamp(max=1)), far)


BETA_NLL = Kernel(beta_losses, beta_gradient)
