"""Blocks of many runs at once, as a sweep's program produces them.

Each function does to every recorder what its own method would do to it alone, and the files
are the same, byte for byte. A run whose files cannot be written keeps its error and writes
nothing more; its siblings go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from mlr.records.durable import WriteError
from mlr.records.recorder import Recorder


def record_scalars(
    recorders: Sequence[Recorder | None],
    steps: np.ndarray,
    epochs: np.ndarray,
    values: np.ndarray,
    present: np.ndarray,
    wall_times: np.ndarray,
) -> None:
    """Record a block of logged steps of R runs with the same tags.

    Args:
        recorders: one a run; None records nothing.
        steps: int (P,), increasing.
        epochs: (P,) passes over the training data so far.
        values: (P, R, T) in the order of the tags; their dtype decides the digits of
            metrics.csv.
        present: bool (P, R, T); False leaves a value out, and a row of a run without any
            value is left out of both files.
        wall_times: (P,) seconds since 1970, UTC.

    Raises:
        ValueError: shapes disagree or a step is negative.
        WriteError: no recorder is left that can write.
    """
    for run, recorder in _able(recorders):
        with _Kept(recorder):
            recorder.scalars(steps, epochs, values[:, run], present[:, run], wall_times)
    _raise_if_none_left(recorders)


def record_histograms(
    recorders: Sequence[Recorder | None],
    steps: np.ndarray,
    tag: str,
    limits: np.ndarray,
    counts: np.ndarray,
    minimum: np.ndarray,
    maximum: np.ndarray,
    total: np.ndarray,
    total_squares: np.ndarray,
    present: np.ndarray,
    wall_times: np.ndarray,
) -> None:
    """Record one histogram a step and run.

    Args:
        recorders: one a run; None records nothing.
        steps: int (P,), 0 or above.
        tag: name of the histogram.
        limits: (P, R, bins) right edges of the buckets.
        counts: (P, R, bins) values in each bucket.
        minimum: (P, R) smallest value.
        maximum: (P, R) largest value.
        total: (P, R) sum of the values.
        total_squares: (P, R) sum of their squares.
        present: bool (P, R); False leaves a histogram out.
        wall_times: (P,) seconds since 1970, UTC.

    Raises:
        ValueError: shapes disagree, there is no bucket, or a step is negative.
    """
    for run, recorder in _able(recorders):
        rows = np.asarray(present)[:, run]
        if rows.any():
            recorder.histograms(
                steps[rows],
                tag,
                limits[rows, run],
                counts[rows, run],
                minimum[rows, run],
                maximum[rows, run],
                total[rows, run],
                total_squares[rows, run],
                wall_times[rows],
            )


def flush_all(recorders: Sequence[Recorder | None]) -> None:
    """Append to every run's files what was recorded.

    Raises:
        WriteError: no recorder is left that can write.
    """
    for _, recorder in _able(recorders):
        with _Kept(recorder):
            recorder.flush()
    _raise_if_none_left(recorders)


class _Kept:
    """Keeps a WriteError of the block in the recorder's `error`."""

    def __init__(self, recorder: Recorder):
        self.recorder = recorder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, WriteError):
            self.recorder.error = error
            return True
        return False


def _able(recorders: Sequence[Recorder | None]) -> Iterable[tuple[int, Recorder]]:
    """The recorders that can write, and their numbers."""
    for run, recorder in enumerate(recorders):
        if recorder is not None and recorder.error is None:
            yield run, recorder


def _raise_if_none_left(recorders: Sequence[Recorder | None]) -> None:
    """Raise the first error where every recorder has one."""
    errors = [recorder.error for recorder in recorders if recorder is not None]
    if errors and errors[0] is not None and None not in errors:
        raise errors[0]
