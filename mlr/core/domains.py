"""Sets of numbers: where predictions live and where a loss is defined.

A head states its `range`, a loss its `domain`; a pair is legal when the first
lies inside the second. Nothing here imports torch, so that a configuration is
judged before a second is spent on loading it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar


@dataclass(frozen=True)
class Interval:
    """A real interval with open or closed ends: the possible values of one number."""

    low: float
    high: float
    includes_low: bool = True
    includes_high: bool = True

    least_outputs: ClassVar[int] = 1
    """One number alone can lie in an interval."""
    per_target: ClassVar[int] = 1
    """One number is predicted for each target."""

    @property
    def entries(self) -> Interval:
        """Where each single number lies: the interval itself."""
        return self

    def contains(self, other: Region) -> bool:
        """Tell if every value of `other` (or every entry of its vectors) lies in here."""
        inner = other.entries
        if isinstance(inner, Gaussians):
            return False
        above = self.low < inner.low or (
            self.low == inner.low and (self.includes_low or not inner.includes_low)
        )
        below = self.high > inner.high or (
            self.high == inner.high and (self.includes_high or not inner.includes_high)
        )
        return above and below

    def closure(self) -> Interval:
        """The interval with its finite ends added: where soft targets may lie."""
        return Interval(self.low, self.high, self.low > -inf, self.high < inf)

    def describe(self, noun: str) -> str:
        """Words for a sentence: `predictions in [0, 1]`, or `any real number`."""
        if self.low == -inf and self.high == inf:
            return "any real number"
        left, right = "[" if self.includes_low else "(", "]" if self.includes_high else ")"
        return f"{noun} in {left}{self.low:g}, {self.high:g}{right}"

    def __str__(self) -> str:
        return self.describe("values")


@dataclass(frozen=True)
class Simplex:
    """Vectors of K ≥ 2 probabilities that sum to one."""

    least_outputs: ClassVar[int] = 2
    """A single number that sums to one is the constant 1."""
    per_target: ClassVar[int] = 1
    """Each target has its own probability."""

    @property
    def entries(self) -> Interval:
        """Where each single probability lies."""
        return UNIT

    def contains(self, other: Region) -> bool:
        """Tell if `other` gives probability vectors too."""
        return isinstance(other, Simplex)

    def closure(self) -> Simplex:
        """The simplex is closed already."""
        return self

    def describe(self, noun: str) -> str:
        """Words for a sentence: `predictions that are probabilities and sum to 1`."""
        return f"{noun} that are probabilities and sum to 1"

    def __str__(self) -> str:
        return "probabilities that sum to 1"


@dataclass(frozen=True)
class Gaussians:
    """Vectors of K means and, behind them, K standard deviations above 0."""

    least_outputs: ClassVar[int] = 1
    """One target alone can be Gaussian."""
    per_target: ClassVar[int] = 2
    """Each target has a mean and a standard deviation."""

    @property
    def entries(self) -> Gaussians:
        """The region itself: its numbers belong together."""
        return self

    def contains(self, other: Region) -> bool:
        """Tell if `other` gives Gaussians: a number without a deviation is a mean, with σ = 1."""
        return True

    def closure(self) -> Gaussians:
        """The region itself: no target is a Gaussian."""
        return self

    def describe(self, noun: str) -> str:
        """Words for a sentence: `predictions that are means and standard deviations`."""
        return f"{noun} that are means and standard deviations"

    def __str__(self) -> str:
        return "a mean and a standard deviation"


Region = Interval | Simplex | Gaussians

REALS = Interval(-inf, inf, False, False)
UNIT = Interval(0.0, 1.0)
OPEN_UNIT = Interval(0.0, 1.0, False, False)
SIMPLEX = Simplex()
GAUSSIANS = Gaussians()
