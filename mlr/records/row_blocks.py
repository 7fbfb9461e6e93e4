"""Encoding of logged steps of many runs as the bytes of their files.

The rows of several runs are encoded together, because numpy's cost is by the call and not
by the row. The bytes of a row do not depend on the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mlr.records.metrics_table import format_rows
from mlr.records.tensorboard.encoding import check_steps, histogram_records, scalar_records

_NUMBERS = 1 << 15  # encoded at a time, so that intermediate results stay in the cache


class EncodedRows(NamedTuple):
    """Bytes that a block of logged steps adds to the files of one run."""

    events: bytes
    """records of the event file"""
    lines: bytes
    """rows of the table"""
    first: int
    """the first step"""
    last: int
    """the last step"""
    epoch: float
    """of the last step"""
    seen: np.ndarray
    """int (T,): the step at which each tag was last there, -1 where nowhere"""


def encode_scalars(
    tags: tuple[str, ...],
    steps: np.ndarray,
    epochs: np.ndarray,
    values: np.ndarray,
    present: np.ndarray,
    wall_times: np.ndarray,
    runs: Sequence[int],
) -> Iterator[EncodedRows | None]:
    """Encode the rows of each of `runs`, in their order; None for a run without any value.

    Args:
        tags: T names.
        steps: int (P,), increasing.
        epochs: (P,).
        values: (P, R, T).
        present: bool (P, R, T).
        wall_times: (P,).
        runs: positions on the axis R.

    Raises:
        ValueError: shapes disagree, a step is negative or they do not increase.
    """
    steps = check_steps(steps)
    if (np.diff(steps) <= 0).any():
        raise ValueError("steps must increase.")
    shape = (len(steps), values.shape[1], len(tags))
    arrays = {"values": values, "present": present}
    lines = {"epochs": epochs, "wall_times": wall_times}
    for name, array in (arrays | lines).items():
        wanted = shape if name in arrays else shape[:1]
        if array.shape != wanted:
            raise ValueError(f"{name} must have shape {wanted}, not {array.shape}.")
    for some in _parts(runs, len(steps) * len(tags)):
        there = present[:, some].swapaxes(0, 1)
        filled = there.any(axis=2)
        at, counts = np.nonzero(filled)[1], filled.sum(axis=1)
        rows = values[:, some].swapaxes(0, 1)[filled]
        yield from encode_rows(
            tags, counts, steps[at], epochs[at], rows, there[filled], wall_times[at]
        )


def encode_rows(
    tags: tuple[str, ...],
    counts: np.ndarray,
    steps: np.ndarray,
    epochs: np.ndarray,
    values: np.ndarray,
    present: np.ndarray,
    wall_times: np.ndarray,
) -> Iterator[EncodedRows | None]:
    """Encode the rows of several runs, those of one run after those of another.

    Args:
        tags: T names.
        counts: int (R,), rows of each run.
        steps: int (N,).
        epochs: (N,).
        values: (N, T).
        present: bool (N, T).
        wall_times: (N,).
    """
    if not len(steps):
        yield from [None] * len(counts)
        return
    records = scalar_records(steps, tags, values, wall_times, present)
    lines = format_rows(steps, epochs, values, present)
    seen = np.where(present, steps[:, None], -1)
    ends = np.cumsum(counts).tolist()
    for start, end in zip([0, *ends], ends, strict=False):
        if start == end:
            yield None
            continue
        yield EncodedRows(
            b"".join(records[start:end]),
            "".join(lines[start:end]).encode(),
            int(steps[start]),
            int(steps[end - 1]),
            float(epochs[end - 1]),
            seen[start:end].max(axis=0),
        )


def encode_histograms(
    steps: np.ndarray,
    tag: str,
    limits: np.ndarray,
    counts: np.ndarray,
    moments: Sequence[np.ndarray],
    present: np.ndarray,
    wall_times: np.ndarray,
    runs: Sequence[int],
) -> Iterator[bytes]:
    """Encode the histograms of each of `runs`, in their order, as records.

    Args:
        steps: int (P,), 0 or above.
        tag: name of the histogram.
        limits: (P, R, bins).
        counts: (P, R, bins).
        moments: minimum, maximum, sum and sum of squares, each (P, R).
        present: bool (P, R).
        wall_times: (P,).
        runs: positions on the axis R.

    Raises:
        ValueError: shapes disagree, there is no bucket, or a step is negative.
    """
    steps = check_steps(steps)
    if counts.ndim != 3 or counts.shape[0] != len(steps) or not counts.shape[2]:
        raise ValueError(f"counts must have shape ({len(steps)}, R, bins), not {counts.shape}.")
    if limits.shape != counts.shape:
        raise ValueError(f"limits must have shape {counts.shape}, not {limits.shape}.")
    for array in (*moments, present):
        if array.shape != counts.shape[:2]:
            raise ValueError(f"moments must have shape {counts.shape[:2]}, not {array.shape}.")
    minimum, maximum, total, squares = moments
    for some in _parts(runs, 2 * len(steps) * counts.shape[2]):
        filled = present[:, some].T
        at, bars = np.nonzero(filled)[1], counts[:, some].swapaxes(0, 1)[filled].astype(np.float64)
        columns = (minimum, maximum, None, total, squares)
        rows = [
            bars.sum(axis=1) if column is None else column[:, some].T[filled] for column in columns
        ]
        edges = limits[:, some].swapaxes(0, 1)[filled]
        records = histogram_records(
            steps[at], tag, edges, bars, np.stack(rows, axis=1).astype(np.float64), wall_times[at]
        )
        ends = np.cumsum(filled.sum(axis=1)).tolist()
        for start, end in zip([0, *ends], ends, strict=False):
            yield b"".join(records[start:end])


def final_rows(
    tags: tuple[str, ...],
    steps: Sequence[int],
    epochs: Sequence[float],
    seen: np.ndarray,
    metrics: Sequence[Mapping[str, float]],
    dtype: np.dtype,
    wall_time: float,
) -> Iterator[EncodedRows | None]:
    """Encode the final numbers that the last step of each run does not hold yet.

    Args:
        tags: T names.
        steps: the last step of each of R runs.
        epochs: and its epoch.
        seen: int (R, T), as in `EncodedRows`.
        metrics: final numbers by tag, of each run.
        dtype: of the numbers in the table.
        wall_time: seconds since 1970, UTC.
    """
    numbers = [[own.get(tag, np.nan) for tag in tags] for own in metrics]
    known = np.array([[tag in own for tag in tags] for own in metrics], dtype=bool)
    last = check_steps(np.array(steps))
    present = known & (seen < last[:, None])
    rows = present.any(axis=1)
    with np.errstate(over="ignore"):
        values = np.array(numbers, dtype=np.float64).astype(dtype)
    yield from encode_rows(
        tags,
        np.asarray(rows, dtype=np.int64),
        last[rows],
        np.array(epochs, dtype=np.float64)[rows],
        values[rows],
        present[rows],
        np.full(int(rows.sum()), wall_time),
    )


def _parts(runs: Sequence[int], numbers: int) -> Iterator[np.ndarray]:
    """Split runs, of so many numbers each, into groups that are encoded together."""
    size = max(1, _NUMBERS // max(1, numbers))
    for start in range(0, len(runs), size):
        yield np.array(runs[start : start + size], dtype=np.int64)
