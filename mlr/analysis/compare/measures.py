"""How long runs take to get most of the way that the best of them went.

A run's own end says nothing of it: a unit that never learns reaches 90 % of its end at once. The
mark is the same for all configurations that are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf, isfinite, nan
from statistics import median
from typing import NamedTuple

import numpy as np

from mlr.records.aggregate import Series
from mlr.records.ranking import by_seed, loss_of, mean_and_std, standing
from mlr.records.reading import Recorded

SHARE = 0.9
LEAST = 0.2
"""Of the way from a constant prediction to an accuracy of 1: the best must go as far."""
ACCURACY, LOSS = "accuracy/val", "loss/train"


class Mark(NamedTuple):
    """A value to be reached.

    tag: validation accuracy; for a regression the training loss.
    best: where the best configuration ends.
    constant: the accuracy of always predicting the most frequent class; 0 for a loss, where
        the way begins at a run's own first loss.
    """

    tag: str
    best: float
    constant: float = 0.0

    @property
    def accuracy(self) -> float:
        """The validation accuracy to be reached."""
        return self.constant + SHARE * (self.best - self.constant)


class Reached(NamedTuple):
    """A point of a training."""

    updates: float
    """Infinite where it was not reached"""
    epochs: float
    """NaN where nobody counted them"""


NEVER = Reached(inf, inf)


def marks(groups: Sequence[Sequence[Recorded]]) -> list[Mark | None]:
    """The mark of each configuration: one for all accuracies, or for the one loss of all.

    Returns:
        None where nothing is worth reaching: no configuration gets a fifth of the way from a
        constant prediction to an accuracy of 1, none has ended well, or losses differ.
    """
    accuracies = _ends(groups, ACCURACY)
    if accuracies:
        constant = _constant(groups)
        worth = max(accuracies) >= constant + LEAST * (1 - constant)
        mark = Mark(ACCURACY, max(accuracies), constant) if worth and max(accuracies) > 0 else None
        return [mark] * len(groups)
    losses = {loss for runs in groups for loss in loss_of(runs)}
    ends = _ends(groups, LOSS) if len(losses) == 1 else []
    return [Mark(LOSS, min(ends)) if ends else None] * len(groups)


def _ends(groups: Sequence[Sequence[Recorded]], tag: str) -> list[float]:
    """Means over seeds of those that lost few of their runs."""
    there = [runs for runs in groups if not standing(runs, tag).behind]
    return [mean_and_std(list(by_seed(runs, tag).values()))[0] for runs in there]


def _constant(groups: Iterable[Sequence[Recorded]]) -> float:
    """The share of the most frequent class; 0 where it is not known, or there is one class."""
    for run in (run for runs in groups for run in runs):
        counts = ((run.anatomy or {}).get("classes") or {}).get("count") or []
        if sum(map(bool, counts)) > 1:
            return float(max(counts) / sum(counts))
    return 0.0


def reached(series: Series | None, mark: Mark) -> Reached | None:
    """When a run first got to the mark; no finer than the points that were recorded.

    accuracy/val has a point at the end of each epoch. For a loss, the mark is 90 % of the way from
    the run's first loss/train to the best end.

    Args:
        series: what the run recorded; None for nothing.
        mark: to be reached.

    Returns:
        `NEVER` where it was not; None where there is no point before the last.
    """
    if series is None:
        return None
    rows, values = series.of(mark.tag)
    if len(rows) < 2:
        return None
    if mark.tag == ACCURACY:
        there = values >= np.float32(mark.accuracy)
    else:
        first = float(values[0])
        fall = first - mark.best
        there = (values <= first - SHARE * fall) & (fall > 0)
    there &= np.isfinite(values)
    if not there.any():
        return NEVER
    row = rows[np.argmax(there)]
    epochs = nan if series.epochs is None else float(series.epochs[row])
    return Reached(float(series.steps[row]), epochs)


def median_of(values: Iterable[float | None]) -> float | None:
    """The median of the numbers that are there; None for none, or where it is infinite."""
    there = [value for value in values if value is not None]
    middle = float(median(there)) if there else nan
    return middle if isfinite(middle) else None
