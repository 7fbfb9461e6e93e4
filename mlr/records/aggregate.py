"""Mean and quantiles over runs that differ by their seed only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

QUANTILES = (0.1, 0.9)
# a row stands in the aggregate if at least this part of the runs that got so far has it:
# a run that stops early records its last step, where no other does
_SHARE = 0.5
_MOST_STEPS = 1 << 53
"""A float64 counts no further."""
_BLANKS = bytes.maketrans(b",\n", b"  ")


class Series(NamedTuple):
    """The table that one run recorded."""

    tags: tuple[str, ...]
    """T names"""
    steps: np.ndarray
    """int (P,)"""
    values: np.ndarray
    """float32 (P, T); NaN where there is none, infinite where it is not finite"""
    epochs: np.ndarray | None = None
    """float (P,), passes over the training data; None where nobody counted them"""

    def of(self, tag: str) -> tuple[np.ndarray, np.ndarray]:
        """Where a tag is there, finite or not: rows (N,) and their values (N,); empty for none."""
        if tag not in self.tags:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        column = self.values[:, self.tags.index(tag)]
        rows = np.flatnonzero(~np.isnan(column))
        return rows, column[rows]

    @property
    def diverged(self) -> bool:
        """Tell if a loss was not finite in the end."""
        losses = [column for column, tag in enumerate(self.tags) if tag.startswith("loss/")]
        return bool(np.isinf(self.values[-1, losses]).any())


class Aggregate(NamedTuple):
    """The mean and the quantiles of what runs recorded."""

    tags: tuple[str, ...]
    """T names"""
    steps: np.ndarray
    """int (P,)"""
    mean: np.ndarray
    """(P, T), over the runs with a finite number there; NaN where none has"""
    low: np.ndarray
    """(P, T), the 10 % quantile of the same numbers"""
    high: np.ndarray
    """(P, T), the 90 % quantile"""
    counts: np.ndarray
    """int (P, T), how many they are; -1 where no run has anything, finite or not"""
    runs: int
    """how many runs there are, those without any number included"""

    def final(self, tag: str) -> tuple[float, int]:
        """Mean and count where a tag was last there; NaN and 0 where it never was."""
        if tag not in self.tags:
            return float("nan"), 0
        column = self.tags.index(tag)
        rows = np.flatnonzero(self.counts[:, column] >= 0)
        if not len(rows):
            return float("nan"), 0
        return float(self.mean[rows[-1], column]), int(self.counts[rows[-1], column])


def read_series(metrics: Path) -> Series | None:
    """A run's metrics.csv; None where there is none, or none that mlr wrote."""
    tags, table = read_table(metrics)
    if not len(table):
        return None
    with np.errstate(over="ignore"):
        values = table[:, 2:].astype(np.float32)
    return Series(
        tags, table[:, 0].astype(np.int64), values, table[:, 1].copy()
    )  # a view keeps the table


def read_table(metrics: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """A run's metrics.csv in full precision.

    Returns:
        T tags, and float64 (P, 2 + T): step, epoch, values; NaN where there is none, infinite
        where it is not finite. (0, 2) where there is no file, or none that mlr wrote.
    """
    try:
        return _parsed(metrics.read_bytes())
    except (OSError, ValueError):
        return (), np.empty((0, 2))


def _parsed(content: bytes) -> tuple[tuple[str, ...], np.ndarray]:
    """The table's text as numbers; without rows where it has no whole one.

    Raises:
        ValueError: it is not as `MetricsTable` writes it.
    """
    head, _, body = content.partition(b"\n")
    tags = tuple(head.decode("utf-8").split(",")[2:])
    body = body[: body.rfind(b"\n") + 1]  # a run that was killed may end in half a row
    if not body or not tags:
        return (), np.empty((0, 2))
    marks = np.frombuffer(body, np.uint8)
    ends = np.flatnonzero((marks == ord(",")) | (marks == ord("\n")))
    numbers = np.full(len(ends), np.nan)
    filled = np.diff(ends, prepend=-1) > 1
    # between blanks, an empty cell is none: it takes no text, and no time
    written = np.fromstring(body.translate(_BLANKS).decode("ascii"), sep=" ")
    numbers[filled] = np.where(np.isnan(written), np.inf, written)
    table = numbers.reshape(-1, len(tags) + 2)
    if not _are_steps(table[:, 0]):
        raise ValueError("its steps do not increase")
    return tags, table


def _are_steps(found: np.ndarray) -> bool:
    """True of whole numbers that increase; the file may be of others."""
    with np.errstate(invalid="ignore"):
        whole = (found >= 0) & (found < _MOST_STEPS) & (found == np.floor(found))
    return bool(whole.all() and (np.diff(found) > 0).all())


def aggregate(series: Sequence[Series], runs: int) -> Aggregate | None:
    """Mean and quantiles, step by step, over what is finite.

    A run that ended counts no more after its end: the mean there is over those that went
    on, and the count falls. A tag that a run has at its end only, a test, stands at the last
    step of all, but for diverged runs: those ended before it.

    Args:
        series: of the runs that recorded anything.
        runs: how many there are with the others.

    Returns:
        The aggregate; None where nothing was recorded.
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
    """The steps that enough of the runs that got so far have logged, and the last one."""
    steps, counts = np.unique(np.concatenate(logged), return_counts=True)
    ends = np.sort([one[-1] for one in logged])
    going = len(logged) - np.searchsorted(ends, steps, "left")
    kept = counts >= _SHARE * going
    kept[-1] = True
    return np.asarray(steps[kept])


def _places(own: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of a run's rows stand in the aggregate, and where there."""
    at = np.minimum(np.searchsorted(steps, own), len(steps) - 1)
    rows = np.flatnonzero(steps[at] == own)
    return rows, at[rows]


def _statistics(numbers: np.ndarray) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """Mean, quantiles and number of the finite ones of each row (P, N)."""
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
