"""Exact formulas of the Gaussian's −log-likelihood.

Shapes: logits z = (m, s) (…, 2K), means and log standard deviations; targets t (…, K) → losses
(…), gradients (…, 2K). With the residual r = (t − m)e⁻ˢ

    L = Σ_k [½r_k² + s_k + ½ log 2π],  dL/dm = −r e⁻ˢ,  dL/ds = 1 − r².

Terms cancel where r is near 1, and where the loss changes its sign. float32 has float64 for
that; in float64 the `precise` functions compute in pairs: to 2 ulp, of 1 − r² where it is
not below 2⁻⁹⁶.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import factorial, log

import torch
from torch import Tensor

from mlr.information import HALF_LOG_TAU
from mlr.objectives.formula import Formula, TensorFunction
from mlr.objectives.twofold import Pair, choose, total, two_sum, value

BEYOND_HALF_LOG_TAU = -3.8782941580672414e-17
"""What float64 leaves of ½ log 2π."""
LOG_2 = (0.6931471805601177, -1.7239444525590147e-13, -2.4688171419345863e-25)
"""log 2 in parts, of which the first two have so few bits that 2000 times them is exact."""
MOST = 2000
"""Exponent of 2 beyond which numbers of float64 are 0 and infinite, whatever the factor."""
FAR = 400
"""Exponent of r beyond which r² drowns every other term, or is drowned."""
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


def gaussian_losses_precise(z: Tensor, t: Tensor) -> Tensor:
    """Σ ½r² + s + ½ log 2π."""
    parts, s = _Parts.of(z, t), z.chunk(2, -1)[1]
    rest = Pair.of(s) + _constant(s, HALF_LOG_TAU, BEYOND_HALF_LOG_TAU)
    near = value(total(rest + parts.square_near * 0.5)).squeeze(-1)
    exact = near + 0.5 * parts.square_far.sum(-1)
    return torch.where(parts.finite.all(-1), exact, gaussian_losses(z, t))


def gaussian_gradient_precise(z: Tensor, t: Tensor) -> Tensor:
    """(−r e⁻ˢ, 1 − r²)."""
    parts = _Parts.of(z, t)
    to_mean = -_scaled(value(parts.ratio * parts.deviation), parts.k - 2 * parts.n)
    to_log = value(1 - parts.square_near) - parts.square_far
    exact, plain = torch.cat([to_mean, to_log], -1), gaussian_gradient(z, t)
    return torch.where(torch.cat([parts.finite, parts.finite], -1), exact, plain)


def of_deviation_one(se: Formula) -> Formula:
    """The same of a head that gives no σ: the squared error, and ½ log 2π an output.

    The gradient is that of the squared error, the very function.
    """

    def shifted(given: Formula) -> Formula:
        return replace(given, losses=_and_constant(given.losses))

    hard, precise = (one and shifted(one) for one in (se.hard, se.precise))
    return replace(shifted(se), wide=True, hard=hard, precise=precise)


def _and_constant(function: TensorFunction) -> TensorFunction:
    return lambda z, t: function(z, t) + HALF_LOG_TAU * z.shape[-1]


def _residuals(z: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """s, r = (t − m)e⁻ˢ and e^−s/2 (…, K)."""
    m, s = z.chunk(2, -1)
    # by halves, so that e⁻ˢ alone may leave the numbers; beyond the ends r² and dL/dm are 0 or
    # infinite as they are there, and 0·inf never comes up
    end = 2.0 * int(log(torch.finfo(z.dtype).max))
    root = (-0.5 * s.clamp(-end, end)).exp()
    return s, (t - m) * root * root, root


@dataclass(frozen=True)
class _Parts:
    """The residual in pairs, its exponent apart, so that no pair leaves the numbers.

    Attributes:
        k: the exponent of t − m (…, K).
        n: that of σ.
        deviation: e⁻ˢ 2ⁿ, near 1.
        ratio: r 2^(n−k), near 1, or 0.
        finite: where logits and targets are.
    """

    k: Tensor
    n: Tensor
    deviation: Pair
    ratio: Pair
    finite: Tensor

    @classmethod
    def of(cls, z: Tensor, t: Tensor) -> _Parts:
        m, s = z.chunk(2, -1)
        finite = m.isfinite() & s.isfinite() & t.isfinite()
        # the difference of two of the largest numbers is beyond them
        shift = 64.0 * ((m.abs() > 2.0**1000) | (t.abs() > 2.0**1000))
        difference = Pair(*two_sum(_scaled(t, -shift), -_scaled(m, -shift)))
        k = torch.frexp(difference.hi.detach())[1].double()
        s = s.clamp(-0.69 * MOST, 0.69 * MOST)
        n = (s.detach() / LOG_2[0]).round()
        deviation = _exp(-Pair.of(s) + n * LOG_2[0] + n * LOG_2[1] + n * LOG_2[2])
        ratio = Pair(_scaled(difference.hi, -k), _scaled(difference.lo, -k)) * deviation
        return cls(k + shift, n, deviation, ratio, finite)

    @property
    def _is_far(self) -> Tensor:
        return self.k - self.n > FAR

    @property
    def square_near(self) -> Pair:
        """R² where it is not far above 1, else 0."""
        square, exponent = self.ratio * self.ratio, 2 * (self.k - self.n).clamp(-FAR, FAR)
        square = Pair(_scaled(square.hi, exponent), _scaled(square.lo, exponent))
        return choose(self._is_far, Pair.of(torch.zeros_like(self.k)), square)

    @property
    def square_far(self) -> Tensor:
        """R² where it is far above 1, else 0."""
        square = _scaled(value(self.ratio * self.ratio), 2 * (self.k - self.n))
        return torch.where(self._is_far, square, 0.0)


def _exp(x: Pair) -> Pair:
    """eˣ for |x| ≤ ½ log 2, to 2⁻⁹⁸: 1 − r² keeps no more digits than r² has."""
    x = Pair(x.hi / 2**HALVINGS, x.lo / 2**HALVINGS)
    last = torch.zeros_like(x.hi)
    for term in LAST_TERMS:
        last = x.hi * last + term
    power = Pair.of(last)
    for hi, lo in FIRST_TERMS:
        power = x * power + _constant(x.hi, hi, lo)
    for _ in range(HALVINGS):
        power = power * power
    return power


def _constant(like: Tensor, hi: float, lo: float) -> Pair:
    return Pair(torch.full_like(like, hi), torch.full_like(like, lo))


def _scaled(x: Tensor, exponent: Tensor) -> Tensor:
    """2^exponent · x, rounded once; 0 stays 0."""
    half = (0.5 * exponent.clamp(-MOST, MOST)).floor()
    return torch.ldexp(torch.ldexp(x, half), exponent.clamp(-MOST, MOST) - half)


GAUSSIAN_NLL = Formula(
    gaussian_losses,
    gaussian_gradient,
    precise=Formula(gaussian_losses_precise, gaussian_gradient_precise),
)
