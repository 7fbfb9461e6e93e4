"""Recording of runs into their folders: scalars, histograms, pictures, and how they ended.

All runs of a sweep's program are recorded by the functions of this module, one call for all of
them, because numpy's cost is by the call and not by the row. The files of a run are the same, byte
for byte, however many others are recorded with it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from tensorboard.compat.proto.summary_pb2 import Summary

from mlr.core import durable
from mlr.core.checks import DataError
from mlr.core.durable import WriteError
from mlr.records.checksums import checksum
from mlr.records.continuation import check_position, repeated_records, truncate
from mlr.records.encoding import histogram_records, scalar_records
from mlr.records.growing_file import GrowingFile, new_events, summary_record
from mlr.records.run_folder import RunFolder
from mlr.records.series import Series, as_read, fill_last, joined
from mlr.records.table import table_head, table_rows
from mlr.records.tensorboard.hparams import hparams_summaries, session_end
from mlr.records.tensorboard.layout import layout_summary

SPILL_BYTES = 64 << 20
"""Largest size of encoded rows in memory; above it, runs are flushed before all are encoded."""
MOST_KNOWN = 1 << 14
"""Most numbers of a run in memory until its end; the table of one that has more is read back."""
_NUMBERS = 1 << 15  # encoded at a time, so that intermediate results stay in the cache


class RunEnd(NamedTuple):
    """End of a run.

    Attributes:
        status: done, failed, diverged or interrupted.
        metrics: final numbers by tag, for all of status.json, TensorBoard and, where the tag is a
            column, metrics.csv. A tag already recorded at the last step keeps the number it has
            there, so that no step holds two.
        reason: of that status.
        fields: further fields of `RunStatus`.
        at: step and epoch of the final numbers, no earlier than the last that is recorded; None
            takes that one.
        means: final numbers of status.json alone, which are of several steps.
    """

    status: str
    metrics: Mapping[str, float] = MappingProxyType({})
    reason: str | None = None
    fields: Mapping[str, Any] = MappingProxyType({})
    at: tuple[int, float] | None = None
    means: Mapping[str, float] = MappingProxyType({})


class Recorder:
    """Writes a run's scalars to TensorBoard and metrics.csv, and its end to status.json.

    Attributes:
        folder: of the run.
        tags: of the scalars, in the order of the table's columns.
        events: TensorBoard's file.
        table: metrics.csv.
        step: the last step that was recorded, and `epoch` its epoch.
        seen: int (T,), the last step of each tag; -1 before any.
        dtype: of the latest block, so that final numbers have the same digits.
        error: of a run that cannot be written, while the others of its program continue.
        rows: blocks of the table as `series` joins them; None if it has too many, or is older.
    """

    def __init__(self, folder: RunFolder, tags: Sequence[str], hparams: Mapping[str, Any]) -> None:
        """Begin to record a run.

        Args:
            folder: the claimed folder.
            tags: every scalar that may come, in the order of the table's columns.
            hparams: settings of the run for the HPARAMS page; bool, number, text or None.
        """
        self._open(folder, tags, new_events(folder.path), {})
        # the column of names is narrow: first what tells the run from its siblings
        place = folder.path.absolute()
        trial = f"{place.name} ({place.parent.name})"
        # even if they are not among `tags`: TensorBoard takes one run's list for all of a logdir
        for summary in hparams_summaries(hparams, trial):
            self.summary(summary, 0)
        self.summary(layout_summary(self.tags), 0)

    @classmethod
    def resume(
        cls, folder: RunFolder, tags: Sequence[str], position: Mapping[str, Any], step: int
    ) -> Recorder:
        """Continue to record where `position` was taken; later records are discarded.

        The events continue in a new file: it makes readers forget the steps that were cut off, and
        repeats what lies before the checkpoint at the same steps.

        Args:
            folder: the run's, reopened.
            tags: as they were.
            position: from `Recorder.position`.
            step: updates that the run has done there.

        Raises:
            DataError: the files are not what they were up to there.
            WriteError: they cannot be changed.
        """
        check_position(folder.path, position)
        if len(position["seen"]) != len(tags):
            raise DataError(f"{folder.path} was recorded with other tags; its probes differ.")
        before = position["events"]
        truncate(folder.path, before)
        recorder = cls.__new__(cls)
        recorder._open(folder, tags, new_events(folder.path, purge_step=step), before)
        recorder.events.add(repeated_records(folder.path, before, step))
        recorder.table.cut(position["table"])
        recorder.step, recorder.epoch = position["step"], position["epoch"]
        recorder.seen = np.array(position["seen"], dtype=np.int64)
        recorder.dtype, recorder.rows = np.dtype(position["dtype"]), None
        folder.files |= {name: checksum((folder.path / name).read_bytes()) for name in before}
        return recorder

    def _open(
        self, folder: RunFolder, tags: Sequence[str], events: GrowingFile, before: Mapping[str, int]
    ) -> None:
        self.folder, self.tags, self.events = folder, tuple(tags), events
        if len({"step", "epoch", *self.tags}) < len(self.tags) + 2:
            raise ValueError(f"columns must differ, but one occurs twice: {', '.join(tags)}.")
        self.table = GrowingFile(folder.metrics, table_head(self.tags))
        self._before = dict(before)  # event files of earlier processes, and their bytes
        self.error: WriteError | None = None
        self.step, self.epoch = 0, 0.0
        self.seen = np.full(len(self.tags), -1)
        self.dtype = np.dtype(np.float64)
        self.rows: list[Series] | None = []

    @property
    def _row(self) -> int:
        """Step of the last row of the table; -1 before any."""
        return int(self.seen.max(initial=-1))

    def series(self) -> Series | None:
        """Return what reading the table would, if that is known and not empty; else None."""
        return joined(self.rows) if self.rows else None

    def position(self, sync: bool = True) -> dict[str, Any]:
        """Flush, and return where the files end; JSON can hold it."""
        self.flush(sync)
        table = {
            "bytes": self.table.size,
            "step": self._row,
            "last": self.table.last.decode(),
            "sha256": self.table.digest.hexdigest(),
        }
        return {
            "step": self.step,
            "epoch": self.epoch,
            "seen": self.seen.tolist(),
            "dtype": self.dtype.name,
            "table": table,
            "events": {**self._before, self.events.path.name: self.events.size},
        }

    def summary(self, summary: Summary, step: int) -> None:
        """Record any other Summary message, a figure for example."""
        self.events.add(summary_record(summary, step))

    def flush(self, sync: bool = False) -> None:
        """Append all that was recorded to the files, as `GrowingFile.flush`."""
        self.events.flush(sync)
        self.table.flush(sync)

    def finish(
        self,
        status: str,
        metrics: Mapping[str, float] = MappingProxyType({}),
        reason: str | None = None,
        sync: bool = True,
        means: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """End the run, as `finish_all` does for several; the arguments are those of `RunEnd`."""
        finish_all([self], [RunEnd(status, metrics, reason, means=means)], sync)

    def _add(self, block: Series, events: bytes, lines: bytes, seen: np.ndarray) -> None:
        """Add rows to both files, where a first step equal to the last row's fills that row.

        `seen` is the step where a tag is there, else -1, int (N, T).
        """
        before, steps = self._row, block.steps
        if steps[0] < before:
            raise ValueError(f"steps must increase, from {before} on.")
        if steps[0] == before:
            line, end, lines = lines.partition(b"\n")
            self.table.replace_last(_filled(self.table.last, line + end))
        if lines:
            self.table.add(lines, lines[lines.rfind(b"\n", 0, -1) + 1 :])
        self.events.add(events)
        self.seen = np.maximum(self.seen, seen.max(axis=0))
        if self.rows is not None:
            if self.rows and steps[0] == self.rows[-1].steps[-1]:
                block = fill_last(self.rows[-1], block)
            self.rows += [block] if len(block.steps) else []
            if sum(one.values.size for one in self.rows) > MOST_KNOWN:
                self.rows = None

    def _close_files(self, end: RunEnd, sync: bool, now: float) -> None:
        """Add the final numbers that are no columns, and the end of the HParams session."""
        others = tuple(tag for tag in end.metrics if tag not in self.tags)
        values = np.array([[end.metrics[tag] for tag in others]])
        there = np.ones(values.shape, dtype=bool)
        last, when = np.array([self.step]), np.array([now])
        self.events.add(b"".join(scalar_records(last, others, values, when, there)))
        self.events.add(summary_record(session_end(end.status, now), self.step, now))
        self.flush(sync)

    def _write_end(self, end: RunEnd, sync: bool) -> None:
        """Write status.json, when all else is on the disk."""
        for file in (self.table, self.events):
            self.folder.files[file.path.name] = file.checksum()
        metrics = {tag: float(value) for tag, value in (*end.metrics.items(), *end.means.items())}
        self.folder.write_status(end.status, sync, reason=end.reason, metrics=metrics, **end.fields)


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
        recorders: one a run, all of the same tags; None records nothing.
        steps: int (P,), increasing.
        epochs: (P,) passes over the training data so far.
        values: (P, R, T) in the order of the tags; their dtype decides the digits of
            metrics.csv.
        present: bool (P, R, T); False leaves a value out, and a row of a run without any
            value is left out of both files.
        wall_times: (P,) seconds since 1970, UTC.

    Raises:
        ValueError: the steps are negative or do not increase.
        WriteError: no recorder is left that can write.
    """
    if (np.diff(steps, prepend=-1) <= 0).any():
        raise ValueError(f"steps must be 0 or above and increase, not {steps}.")
    runs, waiting = _able(recorders), 0
    for some in _parts(runs, steps.size * values.shape[2]):
        own = [runs[run] for run in some]
        there = present[:, some].swapaxes(0, 1)
        filled = there.any(axis=2)
        at, counts = np.nonzero(filled)[1], filled.sum(axis=1)
        rows = values[:, some].swapaxes(0, 1)[filled]
        waiting += _add_rows(
            own, counts, steps[at], epochs[at], rows, there[filled], wall_times[at]
        )
        waiting = _spilled(waiting, runs.values())
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
        WriteError: no recorder is left that can write.
    """
    runs, waiting = _able(recorders), 0
    moments = np.stack([minimum, maximum, counts.sum(axis=2), total, total_squares], axis=2)
    for some in _parts(runs, 2 * counts[:, 0].size):
        filled = present[:, some].T
        at = np.nonzero(filled)[1]
        edges, bars, rows = (
            one[:, some].swapaxes(0, 1)[filled] for one in (limits, counts, moments)
        )
        records = histogram_records(steps[at], tag, edges, bars, rows, wall_times[at])
        ends = np.cumsum(filled.sum(axis=1)).tolist()
        for run, start, end in zip(some, [0, *ends], ends, strict=False):
            runs[run].events.add(b"".join(records[start:end]))
        waiting = _spilled(waiting + sum(map(len, records)), runs.values())
    raise_if_none_left(recorders)


def flush_all(recorders: Sequence[Recorder | None]) -> None:
    """Append to every run's files what was recorded.

    Raises:
        WriteError: no recorder is left that can write.
    """
    _flush(_able(recorders).values())
    raise_if_none_left(recorders)


def finish_all(
    recorders: Sequence[Recorder | None], ends: Sequence[RunEnd], sync: bool | None = False
) -> None:
    """End the runs: the final numbers at their last steps, then how they ended.

    All files are on the disk before the first status.json says how its run ended. One whose files
    cannot be written has the error in `error`; its status.json says failed if it can be written.

    Args:
        recorders: one a run; None records nothing, and one that holds an error has failed.
        ends: one a run.
        sync: wait for each file of a run, status.json included; False waits once for all files,
            None for nothing: after a power loss, some may be missing.

    Raises:
        InputError: an unknown status.
        WriteError: no recorder is left that can write.
    """
    wait_for_all, sync = sync is False, bool(sync)
    for recorder in recorders:
        if recorder is not None and recorder.error is not None:
            with suppress(OSError):
                recorder.folder.write_status("failed", sync, reason=str(recorder.error))
    now, runs = time.time(), _able(recorders)
    for run, recorder in runs.items():
        recorder.step, recorder.epoch = ends[run].at or (recorder.step, recorder.epoch)
    for dtype in {recorder.dtype for recorder in runs.values()}:
        same = [run for run, recorder in runs.items() if recorder.dtype == dtype]
        _add_final([runs[run] for run in same], [ends[run].metrics for run in same], now)
    for run, recorder in _able(recorders).items():
        with failing_alone(recorder):
            recorder._close_files(ends[run], sync, now)
    if wait_for_all:
        durable.sync_all()
    for run, recorder in _able(recorders).items():
        with failing_alone(recorder):
            recorder._write_end(ends[run], sync)
    raise_if_none_left(recorders)


def _add_final(
    recorders: Sequence[Recorder], metrics: Sequence[Mapping[str, float]], now: float
) -> None:
    """Add the final numbers of runs of one dtype that their last steps do not hold yet."""
    tags = recorders[0].tags
    numbers = np.array([[own.get(tag, np.nan) for tag in tags] for own in metrics], dtype=float)
    last = np.array([recorder.step for recorder in recorders])
    seen = np.stack([recorder.seen for recorder in recorders])
    present = np.array([[tag in own for tag in tags] for own in metrics], dtype=bool)
    present &= seen < last[:, None]
    rows = np.any(present, axis=1)
    epochs = np.array([recorder.epoch for recorder in recorders], dtype=np.float64)
    with np.errstate(over="ignore"):
        values = numbers.astype(recorders[0].dtype)
    times = np.full(len(rows), now)
    _add_rows(recorders, rows, *(one[rows] for one in (last, epochs, values, present, times)))


def _add_rows(
    recorders: Sequence[Recorder],
    counts: np.ndarray,
    steps: np.ndarray,
    epochs: np.ndarray,
    values: np.ndarray,
    present: np.ndarray,
    wall_times: np.ndarray,
) -> int:
    """Encode rows of several runs, those of one run after those of another; returns the bytes.

    `counts` (R,) are the rows of each run; then one entry a row (N,), else as in `record_scalars`.
    """
    records = scalar_records(steps, recorders[0].tags, values, wall_times, present)
    lines = table_rows(steps, epochs, values, present)
    seen, read = np.where(present, steps[:, None], -1), as_read(values, present)
    ends, size = np.cumsum(counts).tolist(), 0
    for recorder, start, end in zip(recorders, [0, *ends], ends, strict=False):
        if start == end:
            continue
        events, rows = b"".join(records[start:end]), b"".join(lines[start:end])
        size += len(events) + len(rows)
        recorder.step, recorder.epoch = int(steps[end - 1]), float(epochs[end - 1])
        recorder.dtype = values.dtype
        with failing_alone(recorder):
            columns = (one[start:end] for one in (steps, read, epochs))
            recorder._add(Series(recorder.tags, *columns), events, rows, seen[start:end])
    return size


def _filled(row: bytes, line: bytes) -> bytes:
    """Fill the cells of a row of the table where `line` has any, so that a step has one row."""
    pairs = zip(line[:-1].split(b","), row[:-1].split(b","), strict=True)
    return b",".join([new or former for new, former in pairs]) + b"\n"


def _parts(runs: Mapping[int, Recorder], numbers: int) -> Iterator[list[int]]:
    """Split runs, of so many numbers each, into groups that are encoded together."""
    size, left = max(1, _NUMBERS // max(1, numbers)), list(runs)
    for start in range(0, len(left), size):
        yield left[start : start + size]


def _spilled(waiting: int, recorders: Iterable[Recorder]) -> int:
    """Flush the runs if more than `SPILL_BYTES` wait in memory; returns the bytes that wait."""
    if waiting <= SPILL_BYTES:
        return waiting
    _flush(recorders)
    return 0


def _flush(recorders: Iterable[Recorder]) -> None:
    for recorder in recorders:
        with failing_alone(recorder):
            recorder.flush()


@contextmanager
def failing_alone(recorder: Recorder) -> Iterator[None]:
    """Move a WriteError of the block into the recorder's `error`, so that siblings continue."""
    try:
        yield
    except WriteError as error:
        recorder.error = error


def _able(recorders: Sequence[Recorder | None]) -> dict[int, Recorder]:
    """Return the recorders that can write, by position."""
    pairs = enumerate(recorders)
    return {run: one for run, one in pairs if one is not None and one.error is None}


def raise_if_none_left(recorders: Sequence[Recorder | None]) -> None:
    """Raise the first error where every recorder has one."""
    errors = [recorder.error for recorder in recorders if recorder is not None]
    if errors and errors[0] is not None and None not in errors:
        raise errors[0]
