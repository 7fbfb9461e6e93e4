"""Time of a run to get most of the way to the best result of all configurations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf, isfinite, isnan, nan
from statistics import median
from typing import NamedTuple

import numpy as np

from mlr.analysis.ranking import by_seed, loss_of, mean_and_std, standing
from mlr.records.reading import Recorded
from mlr.records.series import Series

SHARE = 0.9
LEAST = 0.2
"""Share of the way from a constant prediction to an accuracy of 1 that the best must go."""
ACCURACY, LOSS = "accuracy/val", "loss/train"


class Target(NamedTuple):
    """A value to be reached."""

    tag: str
    """validation accuracy; for a regression the training loss"""
    best: float
    """final value of the best configuration"""
    constant: float = 0.0
    """accuracy of the most frequent class; of a loss, the way begins at a run's own first loss"""

    @property
    def accuracy(self) -> float:
        """Validation accuracy to be reached."""
        return self.constant + SHARE * (self.best - self.constant)


class Reached(NamedTuple):
    """Point of a training; infinite if the target was not reached."""

    updates: float
    epochs: float | None
    """None if epochs were not counted"""


NEVER = Reached(inf, inf)


def shared_target(groups: Sequence[Sequence[Recorded]]) -> Target | None:
    """Choose the target of configurations: an accuracy, or the training loss if all have one.

    None if none has ended well, or got `LEAST` of the way, or losses differ.
    """
    accuracies = _ends(groups, ACCURACY)
    if accuracies:
        constant, best = _constant(groups), max(accuracies)
        worth = best > 0 and best >= constant + LEAST * (1 - constant)
        return Target(ACCURACY, best, constant) if worth else None
    losses = {loss for runs in groups for loss in loss_of(runs)}
    ends = _ends(groups, LOSS) if len(losses) == 1 else []
    return Target(LOSS, min(ends)) if ends else None


def _ends(groups: Sequence[Sequence[Recorded]], tag: str) -> list[float]:
    """Compute means over seeds of the configurations that lost few of their runs."""
    sound = [runs for runs in groups if not standing(runs, tag).behind]
    return [mean_and_std(list(by_seed(runs, tag).values()))[0] for runs in sound]


def _constant(groups: Iterable[Sequence[Recorded]]) -> float:
    """Return the share of the most frequent class; 0 if it is unknown or there is one class."""
    for run in (run for runs in groups for run in runs):
        counts = (run.anatomy or {}).get("classes", {}).get("count", [])
        if sum(map(bool, counts)) > 1:
            return float(max(counts) / sum(counts))
    return 0.0


def reached(series: Series | None, target: Target) -> Reached | None:
    """Find the first recorded point at the target, or `NEVER`; None for fewer than two points.

    For a loss, the target is 90 % of the way from the run's first loss/train to the best end.
    """
    if series is None or len(series.of(target.tag)[0]) < 2:
        return None
    rows, values = series.of(target.tag)
    if target.tag == ACCURACY:
        there = values >= np.float32(target.accuracy)
    else:
        first = float(values[0])
        fall = first - target.best
        there = (values <= first - SHARE * fall) & (fall > 0)
    there &= np.isfinite(values)
    if not there.any():
        return NEVER
    row = rows[np.argmax(there)]
    epochs = nan if series.epochs is None else float(series.epochs[row])
    return Reached(float(series.steps[row]), None if isnan(epochs) else epochs)


def median_of(values: Iterable[float | None]) -> float | None:
    """Compute the median without None; None for no number, or if it is infinite."""
    there = [value for value in values if value is not None]
    middle = float(median(there)) if there else nan
    return middle if isfinite(middle) else None
