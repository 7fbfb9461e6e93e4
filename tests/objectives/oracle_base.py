"""View of a head for an oracle's loss, in gmpy2's binary numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import gmpy2
from gmpy2 import mpfr

Numbers = list[mpfr]

FARTHEST = 10**6
"""Gaps between neighbouring logits are cut to it where only eᶻ is asked for: e⁻ᵍᵃᵖ is as good
as 0 beside anything, and remains a number. Logarithms see the whole gap."""
LOG_FLOOR = -100
"""Where the clipped head's logarithms end."""


@dataclass(frozen=True)
class Outputs:
    """A head for a loss: y, 1 − y and their logarithms, and dL/dy → dL/dz."""

    y: Numbers
    rest: Numbers
    log_y: Callable[[int], mpfr]
    log_rest: Callable[[int], mpfr]
    back: Callable[[Numbers], Numbers]
    floored: bool = False
    """True where logarithms end at −100 and give no gradient there."""

    largest: Callable[[Numbers], Numbers] | None = None

    def largest_back(self, sizes: Numbers) -> Numbers:
        """The largest product of the Jacobian and numbers of these sizes, for each logit."""
        return (self.largest or self.back)(sizes)

    def errors(self, t: Numbers) -> Numbers:
        """y − t: above ½ of the complements, where nothing was rounded to 1."""
        numbers = zip(self.y, self.rest, t, strict=True)
        return [(1 - c) - b if a > 0.5 else a - c for a, b, c in numbers]

    def slope_of_log(self, p: mpfr) -> mpfr:
        """1/p, or 0 where the logarithm is floored."""
        if self.floored and (not p or gmpy2.log(p) <= LOG_FLOOR):
            return mpfr(0)
        return 1 / p
