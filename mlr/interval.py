"""Sets of numbers: where predictions live and where a loss is defined.

A head states its `range`, a loss its `domain`; a pair is legal when the first
lies inside the second. Nothing here imports torch, so that a configuration is
judged before a second is spent on loading it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True)
class Interval:
    """A real interval with open or closed ends: the possible values of one number."""

    low: float
    high: float
    includes_low: bool = True
    includes_high: bool = True

    def contains(self, other: Region) -> bool:
        """Whether every value of `other` (or every entry of its vectors) lies in here."""
        if isinstance(other, Simplex):
            other = UNIT
        above = self.low < other.low or (
            self.low == other.low and (self.includes_low or not other.includes_low)
        )
        below = self.high > other.high or (
            self.high == other.high and (self.includes_high or not other.includes_high)
        )
        return above and below

    def closure(self) -> Interval:
        """The interval with its finite ends added: where soft targets may lie."""
        return Interval(self.low, self.high, self.low > -inf, self.high < inf)

    def __str__(self) -> str:
        if self.low == -inf and self.high == inf:
            return "any real number"
        left, right = "[" if self.includes_low else "(", "]" if self.includes_high else ")"
        return f"values in {left}{self.low:g}, {self.high:g}{right}"


@dataclass(frozen=True)
class Simplex:
    """Vectors of K ≥ 2 probabilities that sum to one."""

    def contains(self, other: Region) -> bool:
        """Whether `other` gives probability vectors too."""
        return isinstance(other, Simplex)

    def closure(self) -> Simplex:
        """The simplex is closed already."""
        return self

    def __str__(self) -> str:
        return "probabilities that sum to 1"


Region = Interval | Simplex

REALS = Interval(-inf, inf, False, False)
UNIT = Interval(0.0, 1.0)
OPEN_UNIT = Interval(0.0, 1.0, False, False)
SIMPLEX = Simplex()
