"""Both classes of each output, as exact as a float holds them, for heads that treat outputs alone.

A loss of probabilities asks of an output: the probability p of each class, 1 − p, −log p, and
the rate of p with the logit. Each head answers here so that nothing cancels in either tail;
`class_losses` makes the kernels of all losses of the answers. Shapes: z and results (…, K).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log, pi, sqrt

import torch
from torch import Tensor

from mlr.heads import (
    ClippedLinear,
    ComplementaryLogLog,
    Coral,
    HardSigmoid,
    Head,
    Probit,
    Sigmoid,
)
from mlr.heads.base import clipped
from mlr.heads.functions import sigmoid, softplus
from mlr.losses.base import LOG_FLOOR
from mlr.objectives.kernels.kernel import times


@dataclass(frozen=True)
class ClassTerm:
    """One class of each output.

    Attributes:
        p: its probability.
        rest: 1 − p.
        cost: −log p.
        cost_of_rest: −log(1 − p).
        rate: |dp/dz| / p, or |dp/dz| itself if there is `per`.
        per: p, where 1/p may be no number; 1 where the floor of log p holds.
    """

    p: Tensor
    rest: Tensor
    cost: Tensor
    cost_of_rest: Tensor
    rate: Tensor
    per: Tensor | None = None

    def to_logits(self, falls: Tensor) -> Tensor:
        """Return u·|dp/dz|/p of u (…, K), with 0·∞ = 0."""
        slopes = times(falls, self.rate)
        return slopes if self.per is None else slopes / self.per


@dataclass(frozen=True)
class ClassTerms:
    """The class with probability y, the class with 1 − y, and dy/dz."""

    one: ClassTerm
    zero: ClassTerm
    slope: Tensor

    @classmethod
    def of(
        cls,
        probabilities: tuple[Tensor, Tensor],
        costs: tuple[Tensor, Tensor],
        rates: tuple[Tensor, Tensor],
        slope: Tensor,
    ) -> ClassTerms:
        """Both classes, of pairs (one, zero)."""
        (y, rest), (cost, cost_of_rest), (rate, rate_of_rest) = probabilities, costs, rates
        one = ClassTerm(y, rest, cost, cost_of_rest, rate)
        return cls(one, ClassTerm(rest, y, cost_of_rest, cost, rate_of_rest), slope)

    def error(self, t: Tensor) -> Tensor:
        """y − t, without 1 − y where y is near 1."""
        return (1 - t) * self.one.p - t * self.zero.p


TermsOf = Callable[[Tensor], ClassTerms]
"""Logits (…, K) → both classes of each output."""


def sigmoid_terms(z: Tensor) -> ClassTerms:
    """σ(z) and σ(−z)."""
    y, rest = sigmoid(z), sigmoid(-z)
    return ClassTerms.of((y, rest), (softplus(-z), softplus(z)), (rest, y), y * rest)


def probit_terms(z: Tensor) -> ClassTerms:
    """Φ(z) and Φ(−z), by Mills' ratio m(x) = Φ(−x)/φ(x) of x = |z|."""
    is_down, x, density, mills = gauss(z)
    far = density * mills
    near = 1 - far
    # −log Φ(−x) = ½x² + ½ log 2π − log m(x), and m ≤ m(0) = √(π/2)
    cost_far, cost_near = 0.5 * x * x + (log(2 * pi) / 2 - mills.log()), -(-far).log1p()
    rate_far, rate_near = 1 / mills, density / near

    def ordered(below: Tensor, above: Tensor) -> tuple[Tensor, Tensor]:
        return torch.where(is_down, below, above), torch.where(is_down, above, below)

    return ClassTerms.of(
        ordered(far, near), ordered(cost_far, cost_near), ordered(rate_far, rate_near), density
    )


def gauss(z: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """z < 0, x = |z|, φ(x), and Mills' ratio Φ(−x)/φ(x)."""
    is_down = z < 0
    x = torch.where(is_down, -z, z)
    # x² = h² + (x − h)(x + h), with h of so few bits that h² is exact; φ(40) is 0
    near = x.clamp(max=40)
    h = near.detach().to(FEWER_BITS[z.dtype]).to(z.dtype)
    density = (-0.5 * h * h).exp() * (-0.5 * (near - h) * (near + h)).exp() / sqrt(2 * pi)
    # erfcx of small numbers misses by some ulp
    mills = torch.where(
        x < 1,
        0.5 * (x * sqrt(0.5)).erfc() / density,
        torch.special.erfcx(x * sqrt(0.5)) * sqrt(pi / 2),
    )
    return is_down, x, density, mills


FEWER_BITS = {torch.float64: torch.float32, torch.float32: torch.bfloat16}
"""A type with less than half as many digits."""


def cloglog_terms(z: Tensor) -> ClassTerms:
    """1 − exp(−e^z) and exp(−e^z)."""
    is_down = z <= 0
    rate = z.exp()
    rest = (-rate).exp()
    y = torch.where(is_down, -(-rate).expm1(), 1 - rest)
    # y/e^z, which → 1 in the lower tail: −log y = −z − log(y/e^z)
    low = clipped(z, -40, 0).exp()
    ratio = -(-low).expm1() / low
    cost = torch.where(is_down, -z - ratio.log(), -(-rest).log1p())
    # (dy/dz)/y = e^z exp(−e^z)/y; beyond e^7 that is 0
    high = clipped(z, 0, 7).exp()
    falling = high * (-high).exp()
    rate_one = torch.where(is_down, rest / ratio, falling / (1 - (-high).exp()))
    slope = torch.where(is_down, rate * rest, falling)
    return ClassTerms.of((y, rest), (cost, rate), (rate_one, rate), slope)


def clipped_terms(z: Tensor) -> ClassTerms:
    """The clip y = max(0, min(1, z)) and 1 − y, their logarithms floored at −100."""
    y = z.clamp(0, 1)
    return floored_terms(y, 1 - y, is_inside(z, y))


def hard_sigmoid_terms(z: Tensor) -> ClassTerms:
    """The line y = max(0, min(1, z/6 + ½)) and 1 − y, their logarithms floored at −100."""
    w = z.clamp(-3, 3)
    return floored_terms((w + 3) / 6, (3 - w) / 6, is_inside(z, w) / 6)


def linear_terms(z: Tensor) -> ClassTerms:
    """The distance of y = z beyond each margin of the hinge; these are no probabilities."""
    sides = z.relu(), (1 - z).relu()
    return ClassTerms.of(sides, sides, sides, is_inside(z, z))


def is_inside(z: Tensor, clipped: Tensor) -> Tensor:
    """1 where nothing was clipped, else 0; NaN stays NaN."""
    return (clipped == z).to(z.dtype).masked_fill(z.isnan(), torch.nan)


def floored_terms(y: Tensor, rest: Tensor, slope: Tensor) -> ClassTerms:
    """Both classes of a y that may be 0 or 1, where the floored logarithm has no gradient."""
    logs = _log(y, rest), _log(rest, y)
    terms = []
    for p, other, log_p, log_other in ((y, rest, *logs), (rest, y, *reversed(logs))):
        is_floored = log_p <= LOG_FLOOR
        rate, per = slope.masked_fill(is_floored, 0.0), p.masked_fill(is_floored, 1.0)
        cost = -log_p.masked_fill(is_floored, LOG_FLOOR)
        terms.append(ClassTerm(p, other, cost, -log_other, rate, per))
    return ClassTerms(terms[0], terms[1], slope)


def _log(p: Tensor, rest: Tensor) -> Tensor:
    """Logarithms of p; the branch not taken is kept finite, or its gradient would be 0·∞."""
    is_large, is_none = p > 0.5, p == 0
    small = p.masked_fill(is_large | is_none, 1.0).log().masked_fill(is_none, -torch.inf)
    # log p = log1p(−rest): near 1, rest has the digits that p has not
    return torch.where(is_large, (-rest * is_large).log1p(), small)


TERMS: dict[type[Head], TermsOf] = {
    ClippedLinear: clipped_terms,
    Sigmoid: sigmoid_terms,
    HardSigmoid: hard_sigmoid_terms,
    Probit: probit_terms,
    ComplementaryLogLog: cloglog_terms,
    Coral: sigmoid_terms,
}
"""Heads of a probability for each output: a line here gives one exact kernels with all losses."""
