"""Domains: the sets of values that heads predict and losses accept.

A head declares its `range`, a loss its `domain`; a pair is legal if the first lies inside the
second. This module does not import torch, so that a configuration is checked before torch is
loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar


@dataclass(frozen=True)
class Interval:
    """Real interval with open or closed ends: the possible values of one number."""

    low: float
    high: float
    includes_low: bool = True
    includes_high: bool = True

    least_outputs: ClassVar[int] = 1
    """Smallest number of outputs: a single number can lie in an interval."""
    per_target: ClassVar[int] = 1
    """Numbers predicted for each target."""

    @property
    def entries(self) -> Interval:
        """Domain of each single number: the interval itself."""
        return self

    def contains(self, other: Region) -> bool:
        """Return True if every value of `other`, or entry of its vectors, lies in this interval."""
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
        """Return the interval with its finite ends added: the domain of soft targets."""
        return Interval(self.low, self.high, self.low > -inf, self.high < inf)

    def describe(self, noun: str) -> str:
        """Return words for a sentence: `predictions in [0, 1]`, or `any real number`."""
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
    """Smallest number of outputs: a single number that sums to one is the constant 1."""
    per_target: ClassVar[int] = 1
    """Numbers predicted for each target."""

    @property
    def entries(self) -> Interval:
        """Domain of each single probability."""
        return UNIT

    def contains(self, other: Region) -> bool:
        """Return True if `other` consists of probability vectors too."""
        return isinstance(other, Simplex)

    def closure(self) -> Simplex:
        """Return the simplex itself, which is closed."""
        return self

    def describe(self, noun: str) -> str:
        """Return words for a sentence: `predictions that are probabilities and sum to 1`."""
        return f"{noun} that are probabilities and sum to 1"

    def __str__(self) -> str:
        return "probabilities that sum to 1"


@dataclass(frozen=True)
class Gaussians:
    """Vectors of K means followed by K standard deviations above 0."""

    least_outputs: ClassVar[int] = 1
    """Smallest number of outputs: a single target can be Gaussian."""
    per_target: ClassVar[int] = 2
    """Numbers predicted for each target: a mean and a standard deviation."""

    @property
    def entries(self) -> Gaussians:
        """Domain of the whole vector: means and deviations are not interchangeable."""
        return self

    def contains(self, other: Region) -> bool:
        """Return True: a prediction without a standard deviation is a mean with σ = 1."""
        return True

    def closure(self) -> Gaussians:
        """Return the domain itself: no target is a Gaussian."""
        return self

    def describe(self, noun: str) -> str:
        """Return words for a sentence: `predictions that are means and standard deviations`."""
        return f"{noun} that are means and standard deviations"

    def __str__(self) -> str:
        return "a mean and a standard deviation"


Region = Interval | Simplex | Gaussians

REALS = Interval(-inf, inf, False, False)
UNIT = Interval(0.0, 1.0)
OPEN_UNIT = Interval(0.0, 1.0, False, False)
SIMPLEX = Simplex()
GAUSSIANS = Gaussians()
