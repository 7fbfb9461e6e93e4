"""Exact numbers set beside those of a floating point type: nearest value, rest, distance in ulp."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import gmpy2
import numpy as np
import torch
from gmpy2 import mpfr

FORMATS = {
    torch.float64: (53, -1074, 1024),
    torch.float32: (24, -149, 128),
    torch.bfloat16: (8, -133, 128),
    torch.float16: (11, -24, 16),
}
"""Bits of the significand, exponent of the smallest subnormal, exponent past the largest number."""


@dataclass(frozen=True)
class Rounded:
    """Exact numbers as (whole + rest) · 2^unit, 2^unit the ulp of each in its type.

    Attributes:
        whole: the nearest whole number of ulps, half to even.
        rest: what rounding took, in ulp, within ±½.
        unit: the exponent of the ulp; never below that of the smallest subnormal.
        past: the exponent of the first power of 2 that is too large for the type.
    """

    whole: np.ndarray
    rest: np.ndarray
    unit: np.ndarray
    past: int

    @classmethod
    def of(cls, numbers: Iterable[mpfr], dtype: torch.dtype) -> Rounded:
        """The numbers as this type sees them."""
        bits, smallest, past = FORMATS[dtype]
        rows = []
        with gmpy2.context(gmpy2.get_context(), precision=200):  # or 53, where none was set
            for x in numbers:
                unit = max(gmpy2.get_exp(x) - bits, smallest) if x else smallest
                scaled = gmpy2.div_2exp(x, unit) if unit > 0 else gmpy2.mul_2exp(x, -unit)
                whole = gmpy2.rint(scaled)
                rows.append((float(whole), float(scaled - whole), unit))
        whole, rest, unit = np.array(rows).T
        return cls(whole, rest, unit.astype(np.int64), past)

    def nearest(self) -> np.ndarray:
        """The correctly rounded numbers, inf where the type ends."""
        with np.errstate(over="ignore"):
            values, past = np.ldexp(self.whole, self.unit), np.ldexp(1.0, self.past)
        return np.where(np.abs(values) >= past, np.copysign(np.inf, values), values)

    def distances(self, got: np.ndarray) -> np.ndarray:
        """|got − true| in ulp of `true`; inf stands for the first number too large, NaN is far."""
        # inf is right for all that is as large, and the next number for what is a little less
        size = np.ldexp(np.ones_like(got), np.minimum(self.past - self.unit, 1000))
        true_is_past = np.abs(self.whole + self.rest) >= size
        sign = np.sign(got)
        with np.errstate(over="ignore"):
            scaled = np.where(np.isinf(got), sign * size, np.ldexp(got, -self.unit))
        far = np.abs((scaled - self.whole) - self.rest)
        agree = np.isinf(got) & true_is_past & (sign == np.sign(self.whole))
        return np.where(np.isnan(got), np.inf, np.where(agree, 0.0, far))
