"""Numbers of twice the precision, for float64: an unevaluated sum of a rounded value and its rest.

Where a gradient is a small difference of large terms, float64 terms do not hold it to a
few ulp: the terms are then computed here, to about 2⁻⁷⁰, and rounded once. (float32 has
float64 for that.) Every operation is an ordinary one of torch, free of branches; the
split parts are detached, so that derivatives pass through the rest and stay exact.

Source: Dekker, Numerische Mathematik 18 (1971); Shewchuk, Discrete & Computational
    Geometry 18 (1997); exp by table as Tang, ACM TOMS 15 (1989).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any, TypeAlias

import torch
from torch import Tensor


@dataclass(frozen=True)
class Pair:
    """hi + lo, with hi the sum rounded: arithmetic as of tensors, to about twice the digits."""

    hi: Tensor
    lo: Tensor

    def __neg__(self) -> Pair:
        return Pair(-self.hi, -self.lo)

    def __add__(self, other: Pair | Tensor | float) -> Pair:
        hi, lo = _parts(other)
        total, error = two_sum(self.hi, hi)
        return quick_sum(total, error + (self.lo + lo))

    def __sub__(self, other: Pair | Tensor | float) -> Pair:
        return self + (-other)

    def __rsub__(self, other: Tensor | float) -> Pair:
        return -self + other

    def __mul__(self, other: Pair | Tensor | float) -> Pair:
        hi, lo = _parts(other)
        product, error = two_product(self.hi, hi)
        return quick_sum(product, error + (self.hi * lo + self.lo * hi))

    def __truediv__(self, other: Pair) -> Pair:
        ratio = self.hi / other.hi
        rest = self - other * ratio
        return quick_sum(ratio, (rest.hi + rest.lo) / other.hi)

    __radd__ = __add__
    __rmul__ = __mul__

    @classmethod
    def of(cls, values: Tensor) -> Pair:
        """The numbers themselves, with nothing left over."""
        return cls(values, torch.zeros_like(values))


Number: TypeAlias = Any
"""A Tensor or a Pair: what a formula is written in, whatever precision it is computed in."""


def value(x: Number) -> Tensor:
    """The number, rounded to one."""
    return x.hi + x.lo if isinstance(x, Pair) else x


def total(x: Number) -> Number:
    """Σ over the last axis, kept; pairs by halves, so that no error grows with K."""
    if not isinstance(x, Pair):
        return x.sum(-1, keepdim=True)
    hi, lo = x.hi, x.lo
    while hi.shape[-1] > 1:
        half = hi.shape[-1] // 2
        pair = Pair(hi[..., :half], lo[..., :half]) + Pair(
            hi[..., half:][..., :half], lo[..., half:][..., :half]
        )
        # an odd one waits for the next round
        hi = torch.cat([pair.hi, hi[..., 2 * half :]], -1)
        lo = torch.cat([pair.lo, lo[..., 2 * half :]], -1)
    return Pair(hi, lo)


def pick(x: Number, index: Tensor) -> Number:
    """The entries at `index` (…, 1) of the last axis."""
    if isinstance(x, Pair):
        return Pair(x.hi.gather(-1, index), x.lo.gather(-1, index))
    return x.gather(-1, index)


def put(x: Number, index: Tensor, new: Number | float) -> Number:
    """The same numbers with `new` (…, 1) at `index` (…, 1) of the last axis."""
    if isinstance(x, Pair):
        hi, lo = _parts(new)
        return Pair(_scattered(x.hi, index, hi), _scattered(x.lo, index, lo))
    return _scattered(x, index, new)


def choose(condition: Tensor, yes: Number, no: Number) -> Number:
    """torch.where of numbers or pairs."""
    if isinstance(yes, Pair) or isinstance(no, Pair):
        (yes_hi, yes_lo), (no_hi, no_lo) = _parts(yes), _parts(no)
        return Pair(torch.where(condition, yes_hi, no_hi), torch.where(condition, yes_lo, no_lo))
    return torch.where(condition, yes, no)


def two_sum(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The sum rounded, and the error, exactly."""
    total = a + b
    seen = total - a
    return total, (a - (total - seen)) + (b - seen)


def quick_sum(a: Tensor, b: Tensor) -> Pair:
    """The sum as a pair, for |a| ≥ |b|."""
    total = a + b
    return Pair(total, b - (total - a))


def two_product(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The product rounded, and the error, to 2⁻¹⁰⁰ of the product."""
    product = a * b
    (a1, a0), (b1, b0) = _split(a), _split(b)
    return product, ((a1 * b1 - product) + a1 * b0 + a0 * b1) + a0 * b0


def exp_and_expm1(x: Pair) -> tuple[Pair, Pair]:
    """eˣ and eˣ − 1 for x ≤ 0, each to about 2⁻⁶⁹ (the second relative to itself near 0)."""
    hi = x.hi.clamp(min=-800)  # below, eˣ is 0 in float64
    n = (hi.detach() * _PER_STEP).round()
    # x = n·(log 2)/64 + r, |r| < 0.0055: the first two products are exact
    r, lost = two_sum(hi - n * _STEP[0], -n * _STEP[1])
    lost = lost - n * _STEP[2] + x.lo
    # eʳ − 1 = r + q, by its series
    series = 0.5 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720 + r / 5040))))
    q = lost + r * (lost + r * series)
    k = torch.floor(n / 64)
    table = torch.tensor(_TABLE, dtype=torch.float64, device=hi.device)
    coarse, fine = table[:, (n - 64 * k).long().clamp(0, 63)]  # NaN too
    # 2^(j/64)·eʳ = c + c·r₁ + …, with c and r₁ of 26 bits, so that their product is exact
    r1, r0 = _split(r)
    main = quick_sum(coarse, coarse * r1)
    e = quick_sum(main.hi, main.lo + (coarse * (r0 + q) + fine * (1 + (r + q))))
    scale = torch.ldexp(torch.ones_like(hi), k)
    e = Pair(e.hi * scale, e.lo * scale)
    near_zero = quick_sum(r, q)
    further = e - 1.0
    is_near = n == 0
    return e, Pair(
        torch.where(is_near, near_zero.hi, further.hi),
        torch.where(is_near, near_zero.lo, further.lo),
    )


def _parts(value: Pair | Tensor | float) -> tuple[Tensor, Tensor]:
    if isinstance(value, Pair):
        return value.hi, value.lo
    whole = torch.as_tensor(value, dtype=torch.float64)
    return whole, torch.zeros_like(whole)


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
