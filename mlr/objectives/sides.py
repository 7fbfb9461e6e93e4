"""Both classes of an output as exactly as a float holds them: what further formulas are made of.

A loss of probabilities asks of an output: how likely is each class, how unlikely, −log of it,
and how fast does it change with the logit. Each head answers here so that nothing cancels in
either tail; `outputs` makes losses and dL/dz of the answers. Shapes throughout: (…, K).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log, pi, sqrt

import torch
from torch import Tensor

from mlr.heads.base import clipped
from mlr.heads.sparsemax import Sparsemax
from mlr.losses.base import LEAST_PROBABILITY, LOG_FLOOR


@dataclass(frozen=True)
class Side:
    """One class of each output.

    Attributes:
        p: its probability.
        rest: 1 − p.
        cost: −log p.
        cost_of_rest: −log(1 − p).
        rate: |dp/dz| / p.
    """

    p: Tensor
    rest: Tensor
    cost: Tensor
    cost_of_rest: Tensor
    rate: Tensor


@dataclass(frozen=True)
class Sides:
    """The class y speaks for, the class 1 − y speaks for, and dy/dz."""

    one: Side
    zero: Side
    slope: Tensor

    def error(self, t: Tensor) -> Tensor:
        """y − t, without 1 − y where y is near 1."""
        return (1 - t) * self.one.p - t * self.zero.p


SidesOf = Callable[[Tensor], Sides]
"""What a head answers: logits → both classes."""


def sigmoid_sides(z: Tensor) -> Sides:
    """Both σ(z) and σ(−z), of e^−|z|."""
    is_up = z > 0
    e = torch.where(is_up, -z, z).exp()
    near, far, log = 1 / (1 + e), e / (1 + e), e.log1p()
    y, rest = torch.where(is_up, near, far), torch.where(is_up, far, near)
    costs = torch.where(is_up, log, log - z), torch.where(is_up, log + z, log)
    return _sides(y, rest, costs, (rest, y), y * rest)


def probit_sides(z: Tensor) -> Sides:
    """Φ(z) and Φ(−z), by Mills' ratio m(x) = Φ(−x)/φ(x) of x = |z|."""
    is_down, x, density, mills = gauss(z)
    far = density * mills
    near = 1 - far
    # −log Φ(−x) = ½x² + ½ log 2π − log m(x), and m ≤ m(0) = √(π/2)
    cost_far, cost_near = 0.5 * x * x + (log(2 * pi) / 2 - mills.log()), -(-far).log1p()
    rate_far, rate_near = 1 / mills, density / near
    return _sides(
        torch.where(is_down, far, near),
        torch.where(is_down, near, far),
        (torch.where(is_down, cost_far, cost_near), torch.where(is_down, cost_near, cost_far)),
        (torch.where(is_down, rate_far, rate_near), torch.where(is_down, rate_near, rate_far)),
        density,
    )


def gauss(z: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Tell if z < 0, x = |z|, φ(x), and Mills' ratio Φ(−x)/φ(x)."""
    is_down = z < 0
    x = torch.where(is_down, -z, z)
    # x² = h² + (x − h)(x + h), with h of so few bits that h² is exact; φ(40) is 0
    near = x.clamp(max=40)
    h = near.detach().float().to(z.dtype)
    density = (-0.5 * h * h).exp() * (-0.5 * (near - h) * (near + h)).exp() / sqrt(2 * pi)
    # erfcx of small numbers misses by some ulp
    mills = torch.where(
        x < 1,
        0.5 * (x * sqrt(0.5)).erfc() / density,
        torch.special.erfcx(x * sqrt(0.5)) * sqrt(pi / 2),
    )
    return is_down, x, density, mills


def cloglog_sides(z: Tensor) -> Sides:
    """1 − exp(−e^z) and exp(−e^z)."""
    is_down = z <= 0
    rate = z.exp()
    rest = (-rate).exp()
    y = torch.where(is_down, -(-rate).expm1(), 1 - rest)
    # y/e^z, which → 1 in the lower tail: −log y = −z − log(y/e^z)
    low = clipped(z, -700, 0).exp()
    ratio = -(-low).expm1() / low
    cost = torch.where(is_down, -z - ratio.log(), -(-rest).log1p())
    # (dy/dz)/y = e^z exp(−e^z)/y; beyond e^7 that is 0
    high = clipped(z, 0, 7).exp()
    falling = high * (-high).exp()
    rate_one = torch.where(is_down, rest / ratio, falling / (1 - (-high).exp()))
    slope = torch.where(is_down, rate * rest, falling)
    return _sides(y, rest, (cost, rate), (rate_one, rate), slope)


def clipped_sides(z: Tensor) -> Sides:
    """The clip y = max(0, min(1, z)) and 1 − y, their logarithms floored at −100."""
    y = z.clamp(0, 1)
    return _floored_sides(y, 1 - y, _inside(z, y))


def hard_sigmoid_sides(z: Tensor) -> Sides:
    """The line y = max(0, min(1, z/6 + ½)) and 1 − y, their logarithms floored at −100."""
    w = z.clamp(-3, 3)
    return _floored_sides((w + 3) / 6, (3 - w) / 6, _inside(z, w) / 6)


def sparsemax_sides(z: Tensor) -> Sides:
    """Sparsemax y and 1 − y, their logarithms floored; `slope` is 1 in the support."""
    y = Sparsemax()(z)
    index = y.max(-1, keepdim=True).indices
    others = y.scatter(-1, index, 0.0).sum(-1, keepdim=True)
    return _floored_sides(y, (1 - y).scatter(-1, index, others), (y > 0).to(z.dtype))


def linear_sides(z: Tensor) -> Sides:
    """How far y = z is beyond each margin of the hinge; not probabilities."""
    above, below = z.relu(), (1 - z).relu()
    return _sides(above, below, (above, below), (above, below), _inside(z, z))


def _inside(z: Tensor, clipped: Tensor) -> Tensor:
    """1 where nothing was clipped, else 0; NaN stays NaN."""
    return (clipped == z).to(z.dtype).masked_fill(z.isnan(), torch.nan)


def _sides(
    y: Tensor,
    rest: Tensor,
    costs: tuple[Tensor, Tensor],
    rates: tuple[Tensor, Tensor],
    slope: Tensor,
) -> Sides:
    return Sides(
        Side(y, rest, costs[0], costs[1], rates[0]),
        Side(rest, y, costs[1], costs[0], rates[1]),
        slope,
    )


def _floored_sides(y: Tensor, rest: Tensor, slope: Tensor) -> Sides:
    """Of a y that may be 0 or 1: the floored logarithm has no gradient."""
    log_y, log_rest = _log(y, rest), _log(rest, y)
    return Sides(
        _floored_side(y, rest, log_y, log_rest, slope),
        _floored_side(rest, y, log_rest, log_y, slope),
        slope,
    )


def _floored_side(p: Tensor, rest: Tensor, log_p: Tensor, log_rest: Tensor, slope: Tensor) -> Side:
    is_floored = p <= LEAST_PROBABILITY
    rate = (slope / p.masked_fill(is_floored, 1.0)).masked_fill(is_floored, 0.0)
    return Side(p, rest, -log_p.masked_fill(is_floored, LOG_FLOOR), -log_rest, rate)


def _log(p: Tensor, rest: Tensor) -> Tensor:
    """Logarithms of p; what no branch takes is kept finite, or its gradient would be 0·∞."""
    is_large, is_none = p > 0.5, p == 0
    small = p.masked_fill(is_large | is_none, 1.0).log().masked_fill(is_none, -torch.inf)
    # log p = log1p(−rest): near 1, rest has the digits that p has not
    return torch.where(is_large, (-rest * is_large).log1p(), small)
