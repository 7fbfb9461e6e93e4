"""Blocks of many runs at once, as a sweep's program produces them.

Each function does to every recorder what its own method would do to it alone, and the files
are the same, byte for byte. A run whose files cannot be written keeps its error and writes
nothing more; its siblings go on.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from mlr.core import durable
from mlr.core.durable import WriteError
from mlr.records.blocks import encode_histograms, encode_scalars, final_rows, plain_numbers
from mlr.records.recorder import Recorder

SPILL_BYTES = 64 << 20  # of one block: of more, the first runs are flushed before the last


def record_scalars(
    recorders: Sequence[Recorder | None],
    steps: np.ndarray,
    epochs: np.ndarray,
    values: np.ndarray,
    present: np.ndarray,
    wall_times: np.ndarray,
) -> None:
    """Record a block of logged steps of R runs.

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
    spill = _Spill()
    for (tags, _), runs in _grouped(recorders).items():
        rows = encode_scalars(tags, steps, epochs, values, present, wall_times, list(runs))
        for recorder, own in zip(runs.values(), rows, strict=True):
            with FailingAlone(recorder):
                recorder.take(own, values.dtype)
                spill.add(recorder, 0 if own is None else len(own.events) + len(own.lines))
    raise_if_none_left(recorders)


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
        WriteError: no recorder is left that can write.
    """
    runs = dict(_able(recorders))
    moments = (minimum, maximum, total, total_squares)
    records = encode_histograms(
        steps, tag, limits, counts, moments, present, wall_times, list(runs)
    )
    spill = _Spill()
    for recorder, own in zip(runs.values(), records, strict=True):
        recorder.take_events(own)
        spill.add(recorder, len(own))
    raise_if_none_left(recorders)


def flush_all(recorders: Sequence[Recorder | None]) -> None:
    """Append to every run's files what was recorded.

    Raises:
        WriteError: no recorder is left that can write.
    """
    for _, recorder in _able(recorders):
        with FailingAlone(recorder):
            recorder.flush()
    raise_if_none_left(recorders)


class Ending(NamedTuple):
    """How a run ended; the arguments of `Recorder.finish`."""

    status: str
    metrics: Mapping[str, float] = MappingProxyType({})
    reason: str | None = None
    fields: Mapping[str, Any] = MappingProxyType({})
    at: tuple[int, float] | None = None


def finish_all(
    recorders: Sequence[Recorder | None], endings: Sequence[Ending], sync: bool = False
) -> None:
    """End the runs; a run whose files cannot be written keeps its error in `error`.

    Args:
        recorders: one a run; None records nothing, and one that holds an error has failed.
        endings: one a run.
        sync: wait for each run until all of it is on the disk. A sweep waits for all at once,
            before the first of them says how it ended.

    Raises:
        InputError: an unknown status.
        WriteError: no recorder is left that can write.
    """
    for recorder in recorders:
        if recorder is not None and recorder.error is not None:
            with suppress(WriteError):
                recorder.raise_error(sync)
    now = time.time()
    numbers = [plain_numbers(ending.metrics) for ending in endings]
    for (tags, dtype), runs in _grouped(recorders).items():
        own = list(runs.values())
        for run, recorder in runs.items():
            recorder.step, recorder.epoch = endings[run].at or (recorder.step, recorder.epoch)
        rows = final_rows(
            tags,
            [recorder.step for recorder in own],
            [recorder.epoch for recorder in own],
            np.stack([recorder.seen for recorder in own]),
            [numbers[run] for run in runs],
            dtype,
            now,
        )
        for (run, recorder), row in zip(runs.items(), rows, strict=True):
            with FailingAlone(recorder):
                recorder.take(row)
                recorder.close(endings[run].status, numbers[run], sync, now)
    if not sync:
        durable.sync_all()  # no status.json may say "done" of files that a power failure can take
    for run, recorder in _able(recorders):
        ending = endings[run]
        with FailingAlone(recorder):
            recorder.conclude(ending.status, numbers[run], ending.reason, sync, ending.fields)
    raise_if_none_left(recorders)


class _Spill:
    """Flushes runs while others are encoded, so that the bytes of a block do not pile up."""

    def __init__(self) -> None:
        self.waiting: list[Recorder] = []
        self.bytes = 0

    def add(self, recorder: Recorder, size: int) -> None:
        """Count what `recorder` was just given."""
        self.waiting.append(recorder)
        self.bytes += size
        if self.bytes > SPILL_BYTES:
            for one in self.waiting:
                with FailingAlone(one):
                    one.flush()
            self.waiting, self.bytes = [], 0


class FailingAlone:
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


def _grouped(
    recorders: Sequence[Recorder | None],
) -> dict[tuple[tuple[str, ...], np.dtype], dict[int, Recorder]]:
    """The recorders that can write, by tags and kind of numbers, and then by position."""
    groups: dict[tuple[tuple[str, ...], np.dtype], dict[int, Recorder]] = {}
    for run, recorder in _able(recorders):
        groups.setdefault((recorder.tags, recorder.dtype), {})[run] = recorder
    return groups


def raise_if_none_left(recorders: Sequence[Recorder | None]) -> None:
    """Raise the first error where every recorder has one."""
    errors = [recorder.error for recorder in recorders if recorder is not None]
    if errors and errors[0] is not None and None not in errors:
        raise errors[0]
