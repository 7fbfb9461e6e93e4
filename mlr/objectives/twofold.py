"""Numbers of twice the precision and any size: (hi + lo)·2^exponent, of float64.

Where a gradient is a small difference of large terms, float64 terms do not hold it to an
ulp, and e⁻ᶻ of a sure output is too small for it: the terms are then computed here, to about
2⁻⁷⁰, and rounded once. Every operation is an ordinary one of torch, free of branches; split
parts and exponents are detached, so that derivatives pass through the rest and stay exact.
All numbers must be finite.

Source: Dekker, Numerische Mathematik 18 (1971); Shewchuk, Discrete & Computational
    Geometry 18 (1997); exp by table as Tang, ACM TOMS 15 (1989).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any, TypeAlias

import torch
from torch import Tensor

LEAST_EXPONENT = -(2.0**30)
"""Below that of every number."""


@dataclass(frozen=True)
class Pair:
    """(hi + lo)·2^exponent, hi near 1 or 0: arithmetic as of tensors, to about twice the digits."""

    hi: Tensor
    lo: Tensor
    exponent: Tensor
    """whole numbers"""

    @classmethod
    def of(cls, values: Tensor) -> Pair:
        """Finite numbers, exactly."""
        with torch.no_grad():
            # subnormal numbers are made normal first
            raised = torch.where(values.abs() < 2.0**-1000, 100.0, 0.0).to(values)
            size = torch.frexp(values * power_of_two(raised))[1].to(values)
        hi = times_power(values * power_of_two(raised), -size)
        return cls(hi, torch.zeros_like(hi), size - raised)

    def __neg__(self) -> Pair:
        return Pair(-self.hi, -self.lo, self.exponent)

    def __abs__(self) -> Pair:
        return choose(self.hi < 0, -self, self)

    def __add__(self, other: Pair | Tensor | float) -> Pair:
        other = lifted(other, self.hi)
        # 0 has no size of its own: beside the smallest number it must not set the unit
        exponent = torch.maximum(self.size(), other.size())
        neither = torch.maximum(self.exponent, other.exponent)
        exponent = torch.where(exponent == LEAST_EXPONENT, neither, exponent)
        (a, a_lo), (b, b_lo) = (x.parts_at(exponent) for x in (self, other))
        total, error = two_sum(a, b)
        hi, lo = quick_sum(total, error + (a_lo + b_lo))
        # near 1 again, or what cancelled would be smaller with every product
        size = torch.frexp(hi.detach())[1].to(hi)
        scale = power_of_two(-size)
        return Pair(hi * scale, lo * scale, exponent + size)

    def __sub__(self, other: Pair | Tensor | float) -> Pair:
        return self + (-other)

    def __rsub__(self, other: Tensor | float) -> Pair:
        return -self + other

    def __mul__(self, other: Pair | Tensor | float) -> Pair:
        other = lifted(other, self.hi)
        product, error = two_product(self.hi, other.hi)
        parts = quick_sum(product, error + (self.hi * other.lo + self.lo * other.hi))
        return Pair(*parts, self.exponent + other.exponent)

    def __truediv__(self, other: Pair) -> Pair:
        ratio = self.hi / other.hi
        zero = torch.zeros_like(ratio)
        product = Pair(other.hi, other.lo, zero) * Pair(ratio, zero, zero)
        rest = ((self.hi - product.hi) + (self.lo - product.lo)) / other.hi
        return Pair(*quick_sum(ratio, rest), self.exponent - other.exponent)

    __radd__ = __add__
    __rmul__ = __mul__

    def size(self) -> Tensor:
        """The exponent, or less than any if the number is 0."""
        return torch.where(self.hi.detach() == 0, LEAST_EXPONENT, self.exponent)

    def parts_at(self, exponent: Tensor) -> tuple[Tensor, Tensor]:
        """Hi and lo in units of 2^exponent, which is not below the size."""
        below = self.exponent - exponent
        scale = power_of_two(below.clamp(-1000.0, 1000.0))
        scale = torch.where(below < -1000, 0.0, scale)
        return self.hi * scale, self.lo * scale


Number: TypeAlias = Any
"""A Tensor or a Pair: what a formula is written in, whatever precision it is computed in."""


def lifted(x: Pair | Tensor | float, like: Tensor) -> Pair:
    """The number as a Pair; a plain one that is no tensor is near 1 or 0."""
    if isinstance(x, Pair):
        return x
    if isinstance(x, Tensor):
        return Pair.of(x)
    whole = torch.full((), x, dtype=torch.float64, device=like.device)
    zero = torch.zeros_like(whole)
    return Pair(whole, zero, zero)


def lift(values: Tensor, pairs: bool) -> Number:
    """The tensor itself, or as pairs."""
    return Pair.of(values) if pairs else values


def value(x: Number) -> Tensor:
    """The number, rounded to one."""
    return times_power(x.hi + x.lo, x.exponent) if isinstance(x, Pair) else x


def times_power(values: Tensor, exponent: Tensor) -> Tensor:
    """Values·2^exponent, rounded once: in two steps, of which the first is exact."""
    exponent = exponent.clamp(-1200.0, 1200.0)
    half = torch.floor(exponent * 0.5)
    return values * power_of_two(half) * power_of_two(exponent - half)


def power_of_two(exponent: Tensor) -> Tensor:
    """2^exponent of whole numbers between −1022 and 1023, exactly, written as its bits."""
    return (exponent.detach().long() + 1023).bitwise_left_shift(52).view(torch.float64)


def total(x: Number) -> Number:
    """Σ over the last axis, kept; pairs by halves, so that no error grows with K."""
    if not isinstance(x, Pair):
        return x.sum(-1, keepdim=True)
    while x.hi.shape[-1] > 1:
        half = x.hi.shape[-1] // 2
        summed = _cut(x, slice(0, half)) + _cut(x, slice(half, 2 * half))
        # an odd one waits for the next round
        x = _joined(summed, _cut(x, slice(2 * half, None)))
    return x


def pick(x: Number, index: Tensor) -> Number:
    """The entries at `index` (…, 1) of the last axis."""
    if isinstance(x, Pair):
        return Pair(*(part.gather(-1, index) for part in (x.hi, x.lo, x.exponent)))
    return x.gather(-1, index)


def put(x: Number, index: Tensor, new: Number | float) -> Number:
    """The same numbers with `new` (…, 1) at `index` (…, 1) of the last axis."""
    if isinstance(x, Pair):
        new = lifted(new, x.hi)
        return Pair(
            *(
                _scattered(old, index, part)
                for old, part in (
                    (x.hi, new.hi),
                    (x.lo, new.lo),
                    (x.exponent, new.exponent),
                )
            )
        )
    return _scattered(x, index, new)


def choose(condition: Tensor, yes: Number, no: Number) -> Number:
    """torch.where of numbers or pairs."""
    if isinstance(yes, Pair) or isinstance(no, Pair):
        like = yes.hi if isinstance(yes, Pair) else no.hi
        yes, no = lifted(yes, like), lifted(no, like)
        return Pair(
            torch.where(condition, yes.hi, no.hi),
            torch.where(condition, yes.lo, no.lo),
            torch.where(condition, yes.exponent, no.exponent),
        )
    return torch.where(condition, yes, no)


def two_sum(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The sum rounded, and the error, exactly."""
    total = a + b
    seen = total - a
    return total, (a - (total - seen)) + (b - seen)


def quick_sum(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The sum rounded, and the rest, for |a| ≥ |b|."""
    total = a + b
    return total, b - (total - a)


def two_product(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The product rounded, and the error, to 2⁻¹⁰⁰ of the product."""
    product = a * b
    (a1, a0), (b1, b0) = _split(a), _split(b)
    return product, ((a1 * b1 - product) + a1 * b0 + a0 * b1) + a0 * b0


def exp_and_expm1(x: Pair) -> tuple[Pair, Pair]:
    """eˣ and eˣ − 1, each to about 2⁻⁶⁹ (the second relative to itself near 0).

    |x| ends at 2000: e⁻²⁰⁰⁰ is 0 beside anything that float64 holds, even squared.
    """
    hi = times_power(x.hi, x.exponent)
    lo = times_power(x.lo, x.exponent)
    lo = torch.where(hi.abs() < 2000, lo, 0.0)
    hi = hi.clamp(-2000.0, 2000.0)
    n = (hi.detach() * _PER_STEP).round()
    # x = n·(log 2)/64 + r, |r| < 0.0055: the first two products are exact
    r, lost = two_sum(hi - n * _STEP[0], -n * _STEP[1])
    lost = lost - n * _STEP[2] + lo
    # e^(r + lost) − 1 = r + q, by its series
    series = 0.5 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720 + r / 5040))))
    q = lost + r * (lost + r * (series + 0.5 * lost))
    k = torch.floor(n / 64)
    table = torch.tensor(_TABLE, dtype=torch.float64, device=hi.device)
    coarse, fine = table[:, (n - 64 * k).long()]
    # 2^(j/64)·eʳ = c + c·r₁ + …, with c and r₁ of 26 bits, so that their product is exact
    r1, r0 = _split(r)
    main = quick_sum(coarse, coarse * r1)
    e = Pair(*quick_sum(main[0], main[1] + (coarse * (r0 + q) + fine * (1 + (r + q)))), k)
    # near 0, eˣ − 1 = r + q is as small as x, which may be smaller than float64 holds
    tiny = x.hi.detach().abs() * power_of_two(x.exponent.clamp(-600.0, 600.0)) < 2.0**-500
    zero = torch.zeros_like(k)
    return e, choose(tiny, x, choose(n == 0, Pair(*quick_sum(r, q), zero), e - 1.0))


def log(x: Number) -> Number:
    """log x of 2⁻¹⁰⁰⁰ ≤ x, pairs to about 2⁻⁶⁸, relative to itself near 1 too."""
    if not isinstance(x, Pair):
        return x.log()
    first = value(x).log()
    e, e_less_1 = exp_and_expm1(Pair.of(-first))
    # one step of Newton's method: log x = first + (x·e^−first − 1)
    step = choose(first.abs() < 0.5, x * e_less_1 + (x - 1.0), x * e - 1.0)
    return step + Pair.of(first)


def log1p(x: Number) -> Number:
    """log(1 + x) of −1 < x, pairs to about 2⁻⁶⁸, relative to itself near 0 too."""
    if not isinstance(x, Pair):
        return x.log1p()
    tiny = x.hi.detach().abs() * power_of_two(x.exponent.clamp(-1000.0, 1000.0)) < 2.0**-200
    first = torch.where(tiny, 0.0, value(x)).log1p()
    e, e_less_1 = exp_and_expm1(Pair.of(-first))
    return choose(tiny, x, (e_less_1 + x * e) + Pair.of(first))


def _cut(x: Pair, part: slice) -> Pair:
    return Pair(x.hi[..., part], x.lo[..., part], x.exponent[..., part])


def _joined(x: Pair, y: Pair) -> Pair:
    return Pair(
        torch.cat([x.hi, y.hi], -1),
        torch.cat([x.lo, y.lo], -1),
        torch.cat([x.exponent, y.exponent], -1),
    )


def _scattered(x: Tensor, index: Tensor, new: Number | float) -> Tensor:
    if isinstance(new, Tensor) and new.dim() == 0:
        new = new.expand(index.shape)
    return x.scatter(-1, index, new)


def _split(a: Tensor) -> tuple[Tensor, Tensor]:
    """26 leading bits of each number, and the rest."""
    shifted = a.detach() * 134217729.0  # 2²⁷ + 1
    head = shifted - (shifted - a.detach())
    return head, a - head


def _constants() -> tuple[tuple[float, float, float], tuple[tuple[float, ...], ...]]:
    """(log 2)/64 in three parts of ≤ 32 bits first, and 2^(j/64) as 26 bits plus the rest."""
    with localcontext(prec=60):
        step, parts = Decimal(2).ln() / 64, []
        for bits in (38, 70):
            parts.append(float(round(step * 2**bits)) / 2**bits)
            step -= Decimal(parts[-1])
        powers = [Decimal(2) ** (Decimal(j) / 64) for j in range(64)]
        coarse = [float(round(power * 2**25)) / 2**25 for power in powers]
        fine = [float(power - Decimal(c)) for power, c in zip(powers, coarse, strict=True)]
    return (parts[0], parts[1], float(step)), (tuple(coarse), tuple(fine))


_STEP, _TABLE = _constants()
_PER_STEP = 92.33248261893024  # 64 / log 2
