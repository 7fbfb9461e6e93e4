"""Kernels of counts: the Poisson and the negative binomial −log-likelihood.

Shapes: logits (…, K) or (…, 2K), counts t (…, K) → losses (…), gradients as the logits.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mlr.densities.special import (
    NEAR,
    excess_of_exp,
    excess_of_log1p,
    excess_over_square,
    stirling,
    times_excess_of_exp,
    times_rest_of_rate,
)
from mlr.heads.functions import sigmoid, softplus
from mlr.information import HALF_LOG_TAU
from mlr.objectives.kernels.kernel import Kernel


def poisson_losses(z: Tensor, t: Tensor) -> Tensor:
    """Σ λ − tz + log t!, λ = e^z: t(e^u − 1 − u) + ½ log 2πt + δ(t) with u = z − log t."""
    is_none = t == 0
    count = t.masked_fill(is_none, 1.0)
    logs = count.log()
    some = count * excess_of_exp(z - logs) + (0.5 * logs + HALF_LOG_TAU + stirling(count, logs))
    return torch.where(is_none, z.exp(), some).sum(-1)


def poisson_gradient(z: Tensor, t: Tensor) -> Tensor:
    """λ − t."""
    return z.exp() - t


def negative_binomial_losses(z: Tensor, t: Tensor) -> Tensor:
    """Σ D + ½ log(2πt(t + r)/r) + δ(t) + δ(r) − δ(t + r), of z = (log μ, log r).

    D = t log(t/μ) + (t + r) log((r + μ)/(r + t)), and δ what Stirling's formula leaves of log Γ.
    """
    a, b = z.chunk(2, -1)
    mean, size = a.exp(), b.exp()
    is_none = t == 0
    count = t.masked_fill(is_none, 1.0)
    logs = count.log()
    w, few = logs - a, softplus(logs - b)
    # D in two forms, whose terms are of the size of μ or of r
    v = (mean - count) / (count + size)
    near = v.masked_fill(~(v.abs() < NEAR), 0.0)
    part = torch.where(
        v.abs() < NEAR,
        (mean - count) * near * excess_over_square(near),
        (mean - count) - (count + size) * (softplus(a - b) - few),
    )
    low = count * excess_of_exp(-w) - part
    share = sigmoid(b - logs)
    y = torch.where(w < 1, share * w.clamp(max=1).expm1(), (w - few).exp() - share)
    log = softplus(b - a) - softplus(b - logs)
    high = times_excess_of_exp(size, b, w) - (count + size) * excess_of_log1p(y, log)
    apart = torch.where(a < b, low, high)
    rest = stirling(count, logs) + (stirling(size, b) - stirling(count + size))
    some = apart + (0.5 * (logs + few) + HALF_LOG_TAU + rest)
    # a count of 0 costs r log(1 + μ/r)
    ratio = (a - b).clamp(max=0).exp()
    shrunk = torch.where(ratio == 0, 1.0, ratio.log1p() / ratio.masked_fill(ratio == 0, 1.0))
    none = torch.where(a < b, mean * shrunk, size * softplus(a - b))
    losses = torch.where(is_none, none, some)
    return losses.masked_fill(mean.isinf() & size.isinf(), torch.inf).sum(-1)


def negative_binomial_gradient(z: Tensor, t: Tensor) -> Tensor:
    """((μ − t)r/(μ + r), r(x − log(1 + x)) − r(ω(t + r) − ω(r))) with x = (t − μ)/(μ + r).

    ω(r) = ψ(r) − log r, of which −1/2r is taken apart: ω(t + r) and ω(r) are nearly equal far out.
    """
    a, b = z.chunk(2, -1)
    mean, size = a.exp(), b.exp()
    # in the larger of μ and r, so that neither overflows before the result does
    up, down = sigmoid(a - b), sigmoid(b - a)
    relative = t * (-a).exp() - 1
    x = torch.where(a >= b, relative * up, (t - mean) * (-b).exp() * down)
    to_mean = torch.where(a >= b, (size - t * (b - a).exp()) * up, (mean - t) * down)
    few = softplus(t.log() - b)
    near = x.masked_fill(~(x.abs() < NEAR), 0.0)
    spread = torch.where(
        x.abs() < NEAR,
        -to_mean * near * excess_over_square(near),
        torch.where(
            size.isinf(),
            size * (x - (few - softplus(a - b))),
            -to_mean - size * (few - softplus(a - b)),
        ),
    )
    share = sigmoid(b - t.log())
    rates = 0.5 * sigmoid(t.log() - b) + (
        share * times_rest_of_rate(t + size, b + few) - times_rest_of_rate(size, b)
    )
    return torch.cat([to_mean, spread - rates], -1)


POISSON_NLL = Kernel(poisson_losses, poisson_gradient)
NEGATIVE_BINOMIAL_NLL = Kernel(negative_binomial_losses, negative_binomial_gradient)
