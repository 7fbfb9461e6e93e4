"""Kernels of real numbers with heavy tails: the Laplace and the Student-t −log-likelihood.

Shapes: logits (…, 2K) or (…, 3K), targets t (…, K) → losses (…), gradients as the logits.
"""

from __future__ import annotations

from math import log
from typing import NamedTuple

import torch
from torch import Tensor

from mlr.densities.special import excess_of_log1p, stirling, times_rest_of_rate
from mlr.information import HALF_LOG_TAU
from mlr.objectives.kernels.error_costs import sign
from mlr.objectives.kernels.gaussian import residuals
from mlr.objectives.kernels.kernel import Kernel


def laplace_losses(z: Tensor, t: Tensor) -> Tensor:
    """Σ |r| + s + log 2, r = (t − m)e⁻ˢ."""
    r, _ = residuals(z, t)
    size, s = r.abs(), z.chunk(2, -1)[1]
    return torch.where(size.isinf(), size, size + s + log(2)).sum(-1)


def laplace_gradient(z: Tensor, t: Tensor) -> Tensor:
    """(−sign(r) e⁻ˢ, 1 − |r|)."""
    r, (first, second) = residuals(z, t)
    # the sign of t − m, which r may have lost
    side = sign(t - z.chunk(2, -1)[0])
    return torch.cat([-side * first * second, 1 - r.abs()], -1)


def student_losses(z: Tensor, t: Tensor) -> Tensor:
    """Σ s + ½ log 2π − c(ν) + ½(ν + 1) log(1 + r²/ν), of z = (m, s, log(ν − 2)).

    c(ν) = log Γ(½(ν + 1)) − log Γ(½ν) − ½ log ½ν is about −1/4ν: the difference is taken on paper.
    """
    _, s, _ = z.chunk(3, -1)
    parts = _student(z, t)
    half = 0.5 * parts.freedom
    rest = half * (0.5 / half).log1p() - 0.5 + (stirling(half + 0.5) - stirling(half))
    return (0.5 * (parts.freedom + 1) * parts.log + (s + HALF_LOG_TAU - rest)).sum(-1)


def student_gradient(z: Tensor, t: Tensor) -> Tensor:
    """dL/dm, dL/ds and dL/dn with p = r²/(ν + r²)."""
    parts = _student(z, t)
    freedom, p, d = parts.freedom, parts.share, t - z.chunk(3, -1)[0]
    # r/(ν + r²)·e⁻ˢ is p/(t − m), or, where r² may be no number, itself
    far = (freedom + 1) * p / d.masked_fill(d == 0, 1.0)
    near = (freedom + 1) * parts.r * parts.inverse / (freedom + parts.r * parts.r)
    to_place = -torch.where(parts.r.abs() > 1, far, near)
    to_scale = 1 - (freedom + 1) * p
    half = 0.5 * freedom
    # ½(log(1 + q) − p) − ½p/ν + ½(1/ν − log(1 + 1/ν)) − ½(ω(½ν + ½) − ω(½ν)), times ν − 2
    own = torch.where(p < 0.5, excess_of_log1p(-p), parts.log - p)
    upper = half + 0.5
    low, high = (times_rest_of_rate(one, one.log()) / one for one in (half, upper))
    rates = 0.25 / (half * upper) + (high - low)
    slope = own - p / freedom + excess_of_log1p(1 / freedom) - rates
    to_freedom = 0.5 * parts.excess * slope
    return torch.cat([to_place, to_scale, to_freedom], -1)


class _Student(NamedTuple):
    """Parts of the formulas (…, K)."""

    excess: Tensor  # ν − 2
    freedom: Tensor  # ν
    r: Tensor  # (t − m)e⁻ˢ
    inverse: Tensor  # e⁻ˢ
    share: Tensor  # r²/(ν + r²)
    log: Tensor  # log(1 + r²/ν)


def _student(z: Tensor, t: Tensor) -> _Student:
    m, s, n = z.chunk(3, -1)
    # beyond it t is a Gaussian for every r whose square is a number
    most = 0.5 * log(torch.finfo(z.dtype).max)
    excess = n.clamp(max=most).exp()
    freedom = 2 + excess
    r, (first, second) = residuals(torch.cat([m, s], -1), t)
    q = r * r / freedom
    # each form sees its own numbers, so that second derivatives are numbers too
    is_large, beyond = q > 1, q > torch.finfo(z.dtype).eps ** -2
    small = q.masked_fill(is_large, 0.0)
    share = torch.where(is_large, 1 / (1 + 1 / q.masked_fill(~is_large, 1.0)), small / (1 + small))
    # r² may be no number where its logarithm is
    size = (t - m).abs().masked_fill(~beyond, 1.0)
    logs = 2 * (size.log() - s) - freedom.log()
    log1p = torch.where(beyond, logs, q.log1p())
    return _Student(excess, freedom, r, first * second, share, log1p)


LAPLACE_NLL = Kernel(laplace_losses, laplace_gradient)
STUDENT_NLL = Kernel(student_losses, student_gradient)
