"""Mean and quantiles over runs that differ in their seed only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mlr.records.series import Series

QUANTILES = (0.1, 0.9)
_SHARE = 0.5
"""Least share of the runs still training that must have logged a step: a run that stops early
records its last step, which no other run has."""


class Aggregate(NamedTuple):
    """Mean and quantiles of several series, at P steps of T tags."""

    tags: tuple[str, ...]  # T names
    steps: np.ndarray  # int (P,)
    mean: np.ndarray  # (P, T), over the runs with a finite number there; NaN if none has
    low: np.ndarray  # (P, T), the 10 % quantile of the same numbers
    high: np.ndarray  # (P, T), the 90 % quantile
    counts: np.ndarray  # int (P, T), finite numbers; -1 if no run has anything, finite or not
    runs: int  # runs in all, also those without any number

    def final(self, tag: str) -> tuple[float, int]:
        """Return the last mean and count of a tag; NaN and 0 if it was never recorded."""
        if tag not in self.tags:
            return float("nan"), 0
        column = self.tags.index(tag)
        rows = np.flatnonzero(self.counts[:, column] >= 0)
        if not len(rows):
            return float("nan"), 0
        return float(self.mean[rows[-1], column]), int(self.counts[rows[-1], column])


def aggregate(series: Sequence[Series], runs: int) -> Aggregate | None:
    """Compute mean and quantiles step by step, over finite numbers.

    A run that ended is no longer counted: the mean is then over the others, and the count falls.
    A tag that a run has at its end only, such as a test, is put at the last step of all, but
    not for diverged runs, which ended before it.

    Args:
        series: of the runs that recorded anything.
        runs: number of all runs.

    Returns:
        The aggregate; None for no series.
    """
    if not series:
        return None
    tags = tuple(dict.fromkeys(tag for one in series for tag in one.tags))
    steps = _common_steps([one.steps for one in series])
    shape = (len(steps), len(tags))
    mean, low, high = (np.full(shape, np.nan) for _ in range(3))
    count = np.zeros(shape, dtype=np.int64)
    places = [_places(one.steps, steps) for one in series]
    for column, tag in enumerate(tags):
        numbers = np.full((len(steps), len(series)), np.nan, dtype=np.float32)
        for run, (one, (rows, at)) in enumerate(zip(series, places, strict=True)):
            if tag in one.tags:
                own = one.values[:, one.tags.index(tag)]
                if np.isfinite(own[-1]) and not np.isfinite(own[:-1]).any():
                    numbers[-1, run] = np.inf if one.diverged else own[-1]
                else:
                    numbers[at, run] = own[rows]
        mean[:, column], (low[:, column], high[:, column]), count[:, column] = _statistics(numbers)
    return Aggregate(tags, steps, mean, low, high, count, runs)


def _common_steps(logged: Sequence[np.ndarray]) -> np.ndarray:
    """Return the steps that enough of the runs still training have logged, and the last one."""
    steps, counts = np.unique(np.concatenate(logged), return_counts=True)
    ends = np.sort([one[-1] for one in logged])
    going = len(logged) - np.searchsorted(ends, steps, "left")
    chosen = counts >= _SHARE * going
    chosen[-1] = True
    return np.asarray(steps[chosen])


def _places(own: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of a run that are in the aggregate, and their places there."""
    at = np.minimum(np.searchsorted(steps, own), len(steps) - 1)
    rows = np.flatnonzero(steps[at] == own)
    return rows, at[rows]


def _statistics(numbers: np.ndarray) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """Compute mean, quantiles and count of the finite numbers of each row (P, N)."""
    finite = np.isfinite(numbers)
    count = finite.sum(axis=1)
    some = np.maximum(count, 1)
    total = np.where(finite, numbers, 0).sum(axis=1, dtype=np.float64)
    ordered = np.sort(np.where(finite, numbers, np.inf), axis=1)
    rows, quantiles = np.arange(len(numbers)), []
    for quantile in QUANTILES:
        place = quantile * (some - 1)
        below = np.floor(place).astype(np.int64)
        first, second = ordered[rows, below], ordered[rows, np.minimum(below + 1, some - 1)]
        with np.errstate(invalid="ignore"):  # rows without any number
            between = first + (place - below) * (second - first)
        quantiles.append(np.where(count > 0, between, np.nan))
    mean = np.where(count > 0, total / some, np.nan)
    return mean, quantiles, np.where(np.isnan(numbers).all(axis=1), -1, count)
