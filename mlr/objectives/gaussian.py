"""Exact formulas of the Gaussian's −log-likelihood.

Shapes: logits z = (m, s) (…, 2K), means and log standard deviations; targets t (…, K) → losses
(…), gradients (…, 2K). With the residual r = (t − m)e⁻ˢ

    L = Σ_k [½r_k² + s_k + ½ log 2π],  dL/dm = −r e⁻ˢ,  dL/ds = 1 − r².

Terms cancel where r is near 1, and where the loss changes its sign. float32 has float64 for
that; in float64 the functions of pairs are within 2 ulp, of 1 − r² where it is not below 2⁻⁹⁶.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import partial
from math import factorial, log

import torch
from torch import Tensor

from mlr.information import HALF_LOG_TAU
from mlr.objectives.elementwise import DOUBT
from mlr.objectives.formula import Formula, TensorFunction
from mlr.objectives.twofold import Pair, total, value

BEYOND_HALF_LOG_TAU = -3.8782941580672414e-17
"""What float64 leaves of ½ log 2π."""
LOG_2 = (0.6931471805601177, -1.7239444525590147e-13, -2.4688171419345863e-25)
"""log 2 in parts, of which the first two have so few bits that 2000 times them is exact."""
MOST = 1386.0
"""|s| ends there, at 2^±2000: e⁻ˢ is 0 or infinite whatever it multiplies."""
HALVINGS = 4
"""of the argument of exp, before its series: each is made good by a squaring."""
LAST_TERMS = [1 / factorial(n) for n in range(15, 6, -1)]
FIRST_TERMS = [
    (1 / factorial(n), float(Fraction(1, factorial(n)) - Fraction(1 / factorial(n))))
    for n in range(6, -1, -1)
]
"""1/n! from the last that counts: float64 will do for the small ones, the others with the rest."""


def gaussian_losses(z: Tensor, t: Tensor) -> Tensor:
    """Σ ½r² + s + ½ log 2π."""
    s, r, _ = _residuals(z, t)
    square = r * r
    # where r² is infinite the sum is, even if log σ is −∞
    return torch.where(square.isinf(), square, 0.5 * square + s + HALF_LOG_TAU).sum(-1)


def gaussian_gradient(z: Tensor, t: Tensor) -> Tensor:
    """(−r e⁻ˢ, 1 − r²)."""
    _, r, root = _residuals(z, t)
    return torch.cat([-r * root * root, 1 - r * r], -1)


def gaussian_losses_in_pairs(z: Tensor, t: Tensor) -> Tensor:
    """Σ ½r² + s + ½ log 2π."""
    r, _ = _residuals_in_pairs(z, t)
    s = z.chunk(2, -1)[1]
    constant = _constant(s, HALF_LOG_TAU, BEYOND_HALF_LOG_TAU)
    return value(total(r * r * 0.5 + (Pair.of(s) + constant))).squeeze(-1)


def gaussian_gradient_in_pairs(z: Tensor, t: Tensor) -> Tensor:
    """(−r e⁻ˢ, 1 − r²)."""
    r, inverse = _residuals_in_pairs(z, t)
    return torch.cat([value(-(r * inverse)), value(1.0 - r * r)], -1)


def gaussian_doubtful(z: Tensor, t: Tensor, gradient: Tensor) -> Tensor:
    """Where 1 − r², or the sum of the losses, is little of its terms (…, 1)."""
    s, r, _ = _residuals(z, t)
    terms = torch.cat([0.5 * r * r, s, torch.full_like(s, HALF_LOG_TAU)], -1)
    small_sum = terms.sum(-1).abs() < DOUBT * terms.abs().sum(-1)
    to_log = gradient.chunk(2, -1)[1]
    return (small_sum | (to_log.abs() < DOUBT).any(-1)).unsqueeze(-1)


def of_deviation_one(se: Formula) -> Formula:
    """The same of a head that gives no σ: the squared error, and ½ log 2π an output.

    The gradient is that of the squared error, the very function.
    """

    def shifted(given: Formula | None) -> Formula | None:
        return given and replace(given, losses=partial(_and_constant, given.losses))

    own = replace(se, losses=partial(_and_constant, se.losses), wide=True, quick=None)
    return replace(
        own, hard=shifted(se.hard), accurate=shifted(se.accurate), precise=shifted(se.precise)
    )


def _and_constant(function: TensorFunction, z: Tensor, t: Tensor) -> Tensor:
    return function(z, t) + HALF_LOG_TAU * z.shape[-1]


def _residuals(z: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """s, r = (t − m)e⁻ˢ and e^−s/2 (…, K)."""
    m, s = z.chunk(2, -1)
    # by halves, so that e⁻ˢ alone may leave the numbers; beyond the ends r² and dL/dm are 0 or
    # infinite as they are there, and 0·inf never comes up
    end = 2.0 * int(log(torch.finfo(z.dtype).max))
    root = (-0.5 * s.clamp(-end, end)).exp()
    return s, (t - m) * root * root, root


def _residuals_in_pairs(z: Tensor, t: Tensor) -> tuple[Pair, Pair]:
    """r = (t − m)e⁻ˢ and e⁻ˢ (…, K)."""
    m, s = z.chunk(2, -1)
    s = s.clamp(-MOST, MOST)
    n = (s.detach() / LOG_2[0]).round()
    first, second, third = (Pair.of(n * part) for part in LOG_2)
    e = _exp((first - Pair.of(s)) + second + third)
    inverse = Pair(e.hi, e.lo, e.exponent - n)
    return (Pair.of(t) - Pair.of(m)) * inverse, inverse


def _exp(x: Pair) -> Pair:
    """eˣ for |x| ≤ ½ log 2, to 2⁻⁹⁸: 1 − r² keeps no more digits than r² has."""
    x = Pair(x.hi, x.lo, x.exponent - HALVINGS)
    last, near = torch.zeros_like(x.hi), value(x)
    for term in LAST_TERMS:
        last = near * last + term
    power = Pair.of(last)
    for hi, lo in FIRST_TERMS:
        power = x * power + _constant(last, hi, lo)
    for _ in range(HALVINGS):
        power = power * power
    return power


def _constant(like: Tensor, hi: float, lo: float) -> Pair:
    zero = torch.zeros_like(like)
    return Pair(zero + hi, zero + lo, zero)


GAUSSIAN_NLL = Formula(
    gaussian_losses,
    gaussian_gradient,
    precise=Formula(gaussian_losses_in_pairs, gaussian_gradient_in_pairs),
    doubtful=gaussian_doubtful,
)
