"""Toy data, each to show one effect: Blobs, Moons, Xor, Outliers, Multilabel, Line, …"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING

from mlr.core.checks import InputError, memory_limit
from mlr.data import validate
from mlr.data.base import Dataset, Split
from mlr.data.generated import Generated
from mlr.data.prepare import Arrays, PreparedSource, generator, legacy_generator, split

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


LARGEST_LOG_MEAN = 14.0
"""float32, in which data are held, has all whole numbers to e^16.6."""


@dataclass(eq=False, kw_only=True)
class Blobs(Generated):
    """K round Gaussian clouds, which a linear classifier separates best.

    The centres lie on a circle with neighbours 2 apart, so that K does not change the overlap.

    Args:
        classes: K ≥ 2.
        noise: standard deviation of each cloud; with two classes 0.5 leaves 2.3 % of the points
            on the wrong side of the best boundary.

    Source: scikit-learn, make_blobs, whose points these are.
    """

    name = "blobs"
    classes: int = 2
    noise: float = 0.5

    def draw(self, seed: int) -> tuple[NDArray, NDArray[np.int64]]:
        """Draw points (n, 2) and labels (n,)."""
        import numpy as np

        # turned by 45 degrees, so that both features matter when K = 2
        angles = pi / 4 + 2 * pi * np.arange(self.classes) / self.classes
        radius = 1 / np.sin(pi / self.classes)
        centres = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        labels = np.sort(np.arange(self.n) % self.classes)
        rng = legacy_generator(seed, self.name, "points")
        points = rng.normal(centres[labels], self.noise)
        order = rng.permutation(self.n)
        return points[order], labels[order]


@dataclass(eq=False, kw_only=True)
class Moons(Generated):
    """Two interleaved half circles of radius 1, which no straight line separates.

    Args:
        noise: standard deviation of the points around their arcs.

    Source: scikit-learn, make_moons, whose points these are.
    """

    name = "moons"
    noise: float = 0.15

    def draw(self, seed: int) -> tuple[NDArray, NDArray[np.int64]]:
        """Draw points (n, 2) and labels (n,)."""
        import numpy as np

        rng = legacy_generator(seed, self.name, "points")
        outer, inner = (np.linspace(0, pi, n) for n in (self.n // 2, self.n - self.n // 2))
        x = np.append(np.cos(outer), 1 - np.cos(inner))
        y = np.append(np.sin(outer), 1 - np.sin(inner) - 0.5)
        order = rng.permutation(self.n)
        points = np.stack([x, y], axis=1)[order]
        labels = (order >= len(outer)).astype(np.int64)
        return points + rng.normal(scale=self.noise, size=points.shape), labels


@dataclass(eq=False, kw_only=True)
class Xor(Generated):
    """Clouds at (±1, ±1); class 1 where the signs differ.

    A straight line gets at most three of the four clouds right, and the best linear fit in the
    sense of every loss is w = 0, b = 0: predictions of ½. A hidden layer solves it.

    Args:
        noise: standard deviation of each cloud.

    Source: Minsky and Papert, Perceptrons, 1969.
    """

    name = "xor"
    scale: str = "none"
    noise: float = 0.25

    def draw(self, seed: int) -> tuple[NDArray, NDArray[np.int64]]:
        """Draw points (n, 2) and labels (n,); the sizes of the clouds differ by one at most."""
        import numpy as np

        rng = generator(seed, self.name, "points")
        # the classes alternate first, so that they stay balanced for every n
        cloud = rng.permutation(self.n)
        labels = cloud % 2
        first = np.where(cloud // 2 % 2 == 0, 1.0, -1.0)
        centres = np.stack([first, np.where(labels == 1, -first, first)], axis=1)
        return centres + self.noise * rng.standard_normal((self.n, 2)), labels


@dataclass(eq=False, kw_only=True)
class Outliers(Generated):
    """Two separable clouds at (∓1, 0), and some of class 1 far out on the correct side.

    A linear unit with squared error is pulled to the output 1 at the far points too, so it
    flattens and moves its boundary over the near points of class 1: the least-squares fit gets
    about 76 % right. Logistic regression stays at about 100 %: a far point on the correct side
    costs it nothing.

    Args:
        outliers: share of class 1 that lies far out.
        distance: first coordinate of the far points' centre, above 1; the near clouds' are ∓1.
        noise: standard deviation of each cloud.

    Source: Bishop, Pattern Recognition and Machine Learning, 2006, section 4.1.3, figure 4.4.
    """

    name = "outliers"
    outliers: float = 0.2
    distance: float = 12.0
    noise: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.distance <= 1:
            raise InputError(
                f"data.distance={self.distance} must be above 1, where the near points of class 1 "
                "lie."
            )

    def draw(self, seed: int) -> tuple[NDArray, NDArray[np.int64]]:
        """Draw points (n, 2) and labels (n,)."""
        import numpy as np

        rng = generator(seed, self.name, "points")
        labels = rng.permutation(self.n) % 2
        points = self.noise * rng.standard_normal((self.n, 2))
        points[:, 0] += np.where(labels == 1, 1.0, -1.0)
        members = np.flatnonzero(labels == 1)
        far = members[: round(self.outliers * len(members))]
        points[far, 0] += self.distance - 1.0
        return points, labels


@dataclass(eq=False, kw_only=True)
class Multilabel(PreparedSource):
    """Normal points in the plane with K yes/no labels, of which any number may be 1.

    Label k is 1 where x · u_k + ε > ½, with directions u_k at equal angles and ε normal: 31 % of
    the points without noise. A linear model with one output a label finds all boundaries.

    Args:
        n: number of examples in all three splits together.
        outputs: K, the number of labels.
        noise: standard deviation of ε, drawn for each label.
        val_fraction: share of the n examples for validation.
        test_fraction: share of the n examples for the test.
        seed: fixes the data; None follows the run's seed.
    """

    name = "multilabel"
    classes = None
    multilabel = True
    n: int = 1000
    outputs: int = 4
    noise: float = 0.25
    val_fraction: float = 0.2
    test_fraction: float = 0.2
    seed: int | None = None

    def seed_of(self, run: int) -> int:
        """Return `seed` if that is set, else the run's."""
        return run if self.seed is None else self.seed

    def load(self, seed: int) -> Dataset:
        """Draw features (N, 2) and labels (N, K).

        Raises:
            InputError: too few examples for the splits, or more than memory holds.
        """
        import numpy as np

        seed = self.seed_of(seed)
        rng = generator(seed, self.name, "points")
        try:
            x = rng.standard_normal((self.n, 2))
            angles = 2 * pi * np.arange(self.outputs) / self.outputs
            along = x @ np.stack([np.cos(angles), np.sin(angles)])
            t = along + self.noise * rng.standard_normal((self.n, self.outputs)) > 0.5
        except MemoryError:
            raise InputError(
                f"data.n={self.n} examples of data.outputs={self.outputs} labels do not fit into "
                f"memory{memory_limit()}."
            ) from None
        where, shares = f"data={self.name}", (self.val_fraction, self.test_fraction)
        splits = split(where, Arrays(x, t), shares, seed, stratify=False)
        return self.dataset(seed, None, splits, multilabel=True)


@dataclass(eq=False, kw_only=True)
class Line(PreparedSource):
    """t = slope · x + intercept + ε with x uniform in [−1, 1] and ε normal.

    Squared error is the negative log-likelihood of such data.

    Args:
        n: number of examples in all three splits together.
        slope: of the line.
        intercept: of the line.
        noise: standard deviation of ε.
        val_fraction: share of the n examples for validation.
        test_fraction: share of the n examples for the test.
        seed: fixes the data; None follows the run's seed.
    """

    name = "line"
    classes = None
    regression = True
    n: int = 1000
    slope: float = 2.0
    intercept: float = 0.5
    noise: float = 0.1
    val_fraction: float = 0.2
    test_fraction: float = 0.2
    seed: int | None = None

    def seed_of(self, run: int) -> int:
        """Return `seed` if that is set, else the run's."""
        return run if self.seed is None else self.seed

    def load(self, seed: int) -> Dataset:
        """Draw features (N, 1) and targets (N, 1).

        Raises:
            InputError: too few examples for the splits.
        """
        seed = self.seed_of(seed)
        rng = generator(seed, self.name, "points")
        x = rng.uniform(-1.0, 1.0, (self.n, 1))
        t = self.slope * x + self.intercept + self.noise * rng.standard_normal((self.n, 1))
        where, shares = f"data={self.name}", (self.val_fraction, self.test_fraction)
        validate.finite(where, t, "targets")
        splits = split(where, Arrays(x, t), shares, seed, stratify=False)
        return self.dataset(seed, None, splits)


@dataclass(eq=False, kw_only=True)
class Counts(PreparedSource):
    """Counts t with the mean e^(slope · x + intercept), x uniform in [−1, 1].

    Their distribution is a Poisson one, or, with `size`, a negative binomial one of that size r:
    the mean of each count is then multiplied by a gamma variable of mean 1 and variance 1/r. A
    linear model of head=poisson or head=negative_binomial can learn the truth.

    Args:
        n: number of examples in all three splits together.
        slope: of log mean.
        intercept: of log mean.
        size: r > 0 of a negative binomial distribution; None for a Poisson one.
        val_fraction: share of the n examples for validation.
        test_fraction: share of the n examples for the test.
        seed: fixes the data; None follows the run's seed.

    Source: McCullagh and Nelder, Generalized Linear Models (1989), 6.2.
    """

    name = "counts"
    classes = None
    regression = True
    n: int = 1000
    slope: float = 1.0
    intercept: float = 1.0
    size: float | None = None
    val_fraction: float = 0.2
    test_fraction: float = 0.2
    seed: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        most = abs(self.slope) + self.intercept
        if most > LARGEST_LOG_MEAN:
            raise InputError(
                f"data.slope={self.slope} and data.intercept={self.intercept} give means up to "
                f"e^{most:g}; |slope| + intercept may be at most {LARGEST_LOG_MEAN:g}."
            )

    def seed_of(self, run: int) -> int:
        """Return `seed` if that is set, else the run's."""
        return run if self.seed is None else self.seed

    def load(self, seed: int) -> Dataset:
        """Draw features (N, 1) and targets (N, 1).

        Raises:
            InputError: too few examples for the splits.
        """
        import numpy as np

        seed = self.seed_of(seed)
        rng = generator(seed, self.name, "points")
        x = rng.uniform(-1.0, 1.0, (self.n, 1))
        mean = np.exp(self.slope * x + self.intercept)
        if self.size is not None:
            mean = mean * rng.gamma(self.size, 1 / self.size, (self.n, 1))
        t = rng.poisson(mean).astype(np.float64)
        where, shares = f"data={self.name}", (self.val_fraction, self.test_fraction)
        splits = split(where, Arrays(x, t), shares, seed, stratify=False)
        return self.dataset(seed, None, splits)


@dataclass(eq=False, kw_only=True)
class Neuron(PreparedSource):
    """The input 1 whose target is class 0, and nothing else: Nielsen's single saturated neuron.

    Started at w = b = 2 a sigmoid unit is wrong and saturated: squared error barely moves it,
    cross-entropy moves it at once. Training, validation and test are the same single example,
    because one trajectory is observed and nothing is learnt about other examples.

    Source: Nielsen, Neural Networks and Deep Learning, 2015, chapter 3.
    """

    name = "neuron"
    classes = 2

    def load(self, seed: int) -> Dataset:
        """Return the example, features (1, 1) and label (1,), whatever the seed."""
        import torch

        example = Split(torch.ones(1, 1), torch.zeros(1, dtype=torch.int64))
        return Dataset(self.name, example, example, example, self.classes)
