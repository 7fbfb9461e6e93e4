"""Domains: the sets of values that heads predict and losses accept.

A head declares its `range`, a loss its `domain`; a pair is legal if the first lies inside the
second. This module does not import torch, so that a configuration is checked before torch is
loaded.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor


IGNORED = -100
"""torch's class number of an example without a label."""


class Region(ABC):
    """A domain."""

    least_outputs: ClassVar[int] = 1
    """Smallest number of outputs."""

    @property
    def per_target(self) -> int:
        """Numbers predicted for each target."""
        return 1

    @property
    def entries(self) -> Region:
        """Domain of each single number, or of the whole vector where these do not stand alone."""
        return self

    @abstractmethod
    def contains(self, other: Region) -> bool:
        """Return True if every value of `other` lies in this domain."""

    def closure(self) -> Region:
        """Return the domain with its finite ends added: the domain of soft targets."""
        return self

    @abstractmethod
    def describe(self, noun: str) -> str:
        """Return words for a sentence: `predictions in [0, 1]`, or `any real number`."""


@dataclass(frozen=True)
class Interval(Region):
    """Real interval with open or closed ends: the possible values of one number."""

    low: float
    high: float
    includes_low: bool = True
    includes_high: bool = True
    whole: bool = False
    """True for whole numbers alone."""

    def contains(self, other: Region) -> bool:
        """Return True if every value of `other`, or entry of its vectors, lies in this interval."""
        inner = other.entries
        if not isinstance(inner, Interval):
            return False
        above = self.low < inner.low or (
            self.low == inner.low and (self.includes_low or not inner.includes_low)
        )
        below = self.high > inner.high or (
            self.high == inner.high and (self.includes_high or not inner.includes_high)
        )
        return above and below and inner.whole >= self.whole

    def closure(self) -> Interval:
        """Return the interval with its finite ends added."""
        return Interval(self.low, self.high, self.low > -inf, self.high < inf, self.whole)

    def describe(self, noun: str) -> str:
        """Return words for a sentence."""
        if self.low == -inf and self.high == inf:
            return "any real number"
        if self.whole:
            return f"{noun} that are whole numbers, {self.low:g} or above"
        if self.high == inf:
            return f"{noun} above {self.low:g}"
        left, right = "[" if self.includes_low else "(", "]" if self.includes_high else ")"
        return f"{noun} in {left}{self.low:g}, {self.high:g}{right}"

    def __str__(self) -> str:
        return self.describe("values")


@dataclass(frozen=True)
class Simplex(Region):
    """Vectors of K ≥ 2 probabilities that sum to one; a single one would be the constant 1."""

    least_outputs: ClassVar[int] = 2

    @property
    def entries(self) -> Interval:
        """Domain of each single probability."""
        return UNIT

    def contains(self, other: Region) -> bool:
        """Return True if `other` consists of probability vectors too."""
        return isinstance(other, Simplex)

    def describe(self, noun: str) -> str:
        """Return words for a sentence."""
        return f"{noun} that are probabilities and sum to 1"

    def __str__(self) -> str:
        return "probabilities that sum to 1"


@dataclass(frozen=True)
class DirichletMeans(Simplex):
    """Vectors of K ≥ 2 probabilities that are means of Dirichlet distributions."""

    def contains(self, other: Region) -> bool:
        """Return True if `other` consists of such means too."""
        return isinstance(other, DirichletMeans)

    def describe(self, noun: str) -> str:
        """Return words for a sentence."""
        return f"{noun} that are means of a Dirichlet distribution"

    def __str__(self) -> str:
        return "means of a Dirichlet distribution"


@dataclass(frozen=True)
class Levels(Region):
    """Vectors of K − 1 probabilities that do not increase: P(class ≥ k) of K ordered classes."""

    @property
    def entries(self) -> Interval:
        """Domain of each single probability."""
        return UNIT

    @staticmethod
    def shares(levels: Tensor) -> Tensor:
        """Probabilities (…, K) of the classes, y_c − y_(c+1), of levels y (…, K − 1)."""
        ones = levels[..., :1] ** 0
        return -levels.diff(prepend=ones, append=ones - 1)

    def contains(self, other: Region) -> bool:
        """Return True if `other` consists of levels too."""
        return isinstance(other, Levels)

    def describe(self, noun: str) -> str:
        """Return words for a sentence."""
        return f"{noun} that are levels of ordered classes, probabilities that do not increase"

    def __str__(self) -> str:
        return "levels of ordered classes"


@dataclass(frozen=True)
class Distributions(Region):
    """Predictions that describe the distribution of each target, such as its parameters.

    K numbers of the first parameter for K targets, then K of the second, and so on.

    Attributes:
        name: of the head, or of the heads that a loss takes.
        words: the parameters of one target, as in `a mean and a standard deviation`.
        plural: the same of many targets.
        support: where targets can lie.
        count: numbers predicted for each target.
        density: True if the numbers say a density, which has a likelihood and a deviation.
    """

    name: str
    words: str
    plural: str
    support: Interval
    count: int
    density: bool = True

    @property
    def per_target(self) -> int:
        """Numbers predicted for each target."""
        return self.count

    def contains(self, other: Region) -> bool:
        """Return True if `other` is the same family."""
        return isinstance(other, Distributions) and other.name == self.name

    def describe(self, noun: str) -> str:
        """Return words for a sentence."""
        return f"{noun} that are {self.plural}"

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True)
class Gaussians(Distributions):
    """Vectors of K means followed by K standard deviations above 0; without these σ is 1."""

    def contains(self, other: Region) -> bool:
        """Return True unless `other` is another family: any one number is a mean with σ = 1."""
        return not isinstance(other, (Distributions, Densities)) or super().contains(other)


@dataclass(frozen=True)
class Densities(Region):
    """The parameters of any density."""

    def contains(self, other: Region) -> bool:
        """Return True if `other` describes densities too."""
        return isinstance(other, Densities) or (isinstance(other, Distributions) and other.density)

    def describe(self, noun: str) -> str:
        """Return words for a sentence."""
        return f"{noun} that are the parameters of a density"

    def __str__(self) -> str:
        return "the parameters of a density"


REALS = Interval(-inf, inf, False, False)
UNIT = Interval(0.0, 1.0)
OPEN_UNIT = Interval(0.0, 1.0, False, False)
POSITIVE = Interval(0.0, inf, False, False)
COUNTS = Interval(0.0, inf, True, False, whole=True)
SIMPLEX = Simplex()
DIRICHLET_MEANS = DirichletMeans()
LEVELS = Levels()
_MEAN_AND_STD = (
    "gaussian",
    "a mean and a standard deviation",
    "means and standard deviations",
    REALS,
    2,
)
GAUSSIANS = Gaussians(*_MEAN_AND_STD)
WITH_DEVIATION = Distributions(*_MEAN_AND_STD)
"""The same, for a loss that needs σ."""
DENSITIES = Densities()


def quantiles(levels: tuple[float, ...]) -> Distributions:
    """Return the family of predictions that are the quantiles of these levels."""
    words = f"the quantiles of {', '.join(f'{one:g}' for one in levels)}"
    return Distributions("quantiles", words, "quantiles", REALS, len(levels), density=False)


QUANTILES = quantiles((0.1, 0.5, 0.9))
"""Any quantiles, as a domain: a family contains itself whatever the count."""
