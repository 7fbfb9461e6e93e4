"""One number from what a run recorded while it learned."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import NamedTuple

import numpy as np

from mlr.records.aggregate import Series

SHARE = 0.9
GRADIENT, STUCK = "logit_grad/wrong", "stuck/fraction"


class Reached(NamedTuple):
    """A point of a training."""

    updates: int
    epochs: float
    """NaN where nobody counted them"""


def time_to_share(series: Series | None, share: float = SHARE) -> Reached | None:
    """When a run first had `share` of what it came to.

    accuracy/val ≥ share · (its last value); for a regression, which has no accuracy,
    loss/train ≤ first − share · (first − last): the loss in validation data is known from the
    end of an epoch on, when most of the fall may be past. It is no finer than the points that
    were recorded: accuracy/val has one an epoch.

    Args:
        series: what the run recorded; None for nothing.
        share: in (0, 1].

    Returns:
        None where there is no point before the last, the last one is not finite, or the loss
        did not fall.
    """
    if series is None:
        return None
    if "accuracy/val" in series.tags:
        rows, values = series.of("accuracy/val")
        reached = values >= share * values[-1:]
    else:
        rows, values = series.of("loss/train")
        start, fall = values[:1], values[:1] - values[-1:]
        reached = (values <= start - share * fall) & (fall > 0)
    if len(rows) < 2 or not np.isfinite(values[-1]) or not reached.any():
        return None
    row = rows[np.argmax(reached)]
    epochs = float("nan") if series.epochs is None else float(series.epochs[row])
    return Reached(int(series.steps[row]), epochs)


def wrong_gradient(series: Series | None) -> float | None:
    """The median over logged steps of the mean |dL/dz| on wrong samples; None where none is."""
    if series is None:
        return None
    _, values = series.of(GRADIENT)
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else None


def median_of(values: Iterable[float | None]) -> float | None:
    """The median of the numbers that are there; None for none."""
    there = [value for value in values if value is not None]
    return float(median(there)) if there else None
