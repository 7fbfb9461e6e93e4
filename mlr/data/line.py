"""Line: a straight line with Gaussian noise, where squared error is the negative log-likelihood."""

from __future__ import annotations

from math import isfinite

from mlr.core.checks import InputError, non_negative, typed, whole
from mlr.data import options, prepare
from mlr.data.base import Dataset, Source


class Line(Source):
    """t = slope · x + intercept + ε with x uniform in [−1, 1] and ε normal.

    Args:
        n: examples in all.
        slope: of the line.
        intercept: of the line.
        noise: standard deviation of ε.
        val_fraction: share of examples for validation.
        test_fraction: share of examples for the test.
        seed: fixes the data; None follows the run's seed.
        order: shuffled: another order of the training examples in each epoch, by the run's seed;
            given: the one in which they were drawn.
        drop_last: leave out the last examples of an epoch that do not fill a batch.
    """

    name = "line"
    classes: int | None = None
    regression = True

    def __init__(
        self,
        n: int = 1000,
        slope: float = 2.0,
        intercept: float = 0.5,
        noise: float = 0.1,
        val_fraction: float = 0.2,
        test_fraction: float = 0.2,
        seed: int | None = None,
        order: str = "shuffled",
        drop_last: bool = False,
    ) -> None:
        self.n = whole("data.n", n, at_least=3)
        self.slope = _finite("data.slope", slope)
        self.intercept = _finite("data.intercept", intercept)
        self.noise = non_negative("data.noise", noise)
        self.shares = options.split_shares(val_fraction, test_fraction)
        self.seed = options.optional_whole("data.seed", seed)
        self.take_order(order, drop_last)

    def load(self, seed: int) -> Dataset:
        """Features (N, 1) and targets (N, 1).

        Raises:
            InputError: too few examples for the splits.
        """
        seed = seed if self.seed is None else self.seed
        rng = prepare.generator(seed, self.name, "points")
        x = rng.uniform(-1.0, 1.0, (self.n, 1))
        t = self.slope * x + self.intercept + self.noise * rng.standard_normal((self.n, 1))
        splits = prepare.split(
            f"data={self.name}", prepare.Arrays(x, t), self.shares, seed, stratify=False
        )
        return prepare.to_dataset(prepare.Plan(self.name, None), *splits)


def _finite(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        raise InputError(f"{name}={typed(value)} must be a finite number.")
    return value
