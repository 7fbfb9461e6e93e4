"""Numbers of logged curves for the rules: levels, noise, falls and rises."""

from __future__ import annotations

from functools import cached_property
from math import nan

import numpy as np
from numpy.typing import NDArray

from mlr.records.tensorboard.logs import LoggedCurve, LoggedRun

FEWEST = 6
"""Values that a curve needs for its shape to count."""
BLOCK, BLOCKS = 16, 40
"""Least batches whose mean loss tells something, and most such means."""
LEARNED, HARDLY = 0.8, 0.9
"""Accuracy from which something was learned, and share of the loss that is left where all was
learned before."""
PARTS = 5
"""Parts of a curve whose means are compared."""

Row = NDArray[np.float64]


class CurveCourse:
    """The curves of one logged training; None for one that it lacks."""

    def __init__(self, run: LoggedRun) -> None:
        """Judge a run that has the loss of the training, of the validation, or both."""
        self.train, self.val = run.curves.get("loss/train"), run.curves.get("loss/val")
        self.accuracy = run.curves.get("accuracy/train")
        self.val_accuracy = run.curves.get("accuracy/val")
        self.rate = run.curves.get("learning_rate")

    @property
    def losses(self) -> list[LoggedCurve]:
        """Losses that were logged, that of the training first."""
        return [one for one in (self.train, self.val) if one is not None]

    @property
    def loss(self) -> LoggedCurve:
        """Loss of the training, or of the validation if there is no other."""
        return self.losses[0]

    @property
    def accuracies(self) -> list[LoggedCurve]:
        """Accuracies that were logged, that of the training first."""
        return [one for one in (self.accuracy, self.val_accuracy) if one is not None]

    @cached_property
    def start(self) -> float:
        """Loss at the start: mean of the first fiftieth, if it did not rise in it; NaN for none.

        If it did, the first value counts, which single examples may make small: later means are no
        larger than the start of a sound training, and do not
        all exceed it.
        """
        values = finite(self.loss)
        if not len(values):
            return nan
        first, early = float(values[0]), float(values[: max(1, len(values) // 50)].mean())
        if len(values) > 1 and first < values[1:].min():
            return first
        return min(early, float(max(first, *parts(values, 10)[1:])))

    @property
    def best_accuracy(self) -> float:
        """Largest mean accuracy of a fifth of any split's; NaN for none."""
        tops = [parts(finite(one)).max() for one in self.accuracies if len(finite(one))]
        return float(max(tops, default=nan))

    @property
    def knew_before(self) -> bool:
        """True if accuracy is high and the loss hardly fell, as of a model tuned further."""
        values = finite(self.loss)
        means = parts(values) if len(values) else values
        return self.best_accuracy >= LEARNED and means[-1] > HARDLY * means[0]

    @property
    def highest_rate(self) -> float:
        """Highest learning rate; NaN if none was logged."""
        return float(finite(self.rate).max(initial=0)) if self.rate else nan

    @property
    def smooth(self) -> tuple[LoggedCurve, Row]:
        """A loss that single batches do not move: of the validation, of epochs, or means of 16."""
        curve = self.loss
        if self.val is not None and len(finite(self.val)) >= FEWEST:
            curve = self.val
        values = finite(curve)
        if curve is self.val or "epoch" in curve.tag:
            return curve, values
        return curve, parts(values, min(BLOCKS, len(values) // BLOCK)) if len(
            values
        ) >= BLOCK else values[:0]


def finite(curve: LoggedCurve) -> Row:
    """Return the values that are finite."""
    return curve.values[np.isfinite(curve.values)]


def parts(values: Row, count: int = PARTS) -> Row:
    """Return the means of equal parts; no more parts than values."""
    pieces = np.array_split(values, min(count, len(values)))
    return np.array([piece.mean() for piece in pieces])


def noise(values: Row) -> float:
    """Estimate the standard deviation of values around their trend, from second differences."""
    if len(values) < 3:
        return nan
    return float(1.4826 * np.median(np.abs(np.diff(values, 2))) / np.sqrt(6))


def median_of_3(values: Row) -> Row:
    """Return running medians, which single outliers do not move; the ends are left out."""
    if len(values) < 3:
        return values
    return np.median(np.stack([values[:-2], values[1:-1], values[2:]]), axis=0)


def last(values: Row, share: float = 0.1) -> float:
    """Return the median of the last values, of at least three if there are enough."""
    return float(np.median(values[-max(min(3, len(values)), int(share * len(values))) :]))


def place(curve: LoggedCurve, index: int) -> str:
    """Write where in a training a value was logged, as in step 1,200."""
    return f"{'step' if curve.counted else 'point'} {curve.steps[index]:,}"


def ends(curve: LoggedCurve) -> str:
    """Write the first and the last value with their places."""
    first, final = curve.values[0], curve.values[-1]
    return (
        f"{curve.tag} {first:.3g} at {place(curve, 0)}, {final:.3g} at {place(curve, -1)}, "
        f"{len(curve.values):,} values"
    )


def fractions(curve: LoggedCurve, other: LoggedCurve) -> tuple[Row, Row]:
    """Return the places of the values of two curves as comparable numbers.

    Steps, if both end at about the same one; else shares of each curve, as for a loss by updates
    and a validation by epochs.
    """
    end, others = float(curve.steps[-1]), float(other.steps[-1])
    if curve.counted and other.counted and 0.5 * end <= others <= 1.5 * end:
        return curve.steps.astype(float), other.steps.astype(float)
    return tuple(np.arange(1, len(one.steps) + 1) / len(one.steps) for one in (curve, other))  # type: ignore[return-value]
