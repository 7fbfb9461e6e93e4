"""Recording of runs into their folders: scalars, histograms, pictures, and how they ended.

All runs of a sweep's program are recorded by the functions of this module, one call for all of
them; the methods of a `Recorder` do the same for one run. The files of a run are the same, byte
for byte, however many others are recorded with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from mlr.core import durable
from mlr.core.checks import DataError
from mlr.core.durable import WriteError
from mlr.records.checksums import checksum
from mlr.records.continuation import check_position, continue_events, truncate
from mlr.records.metrics_table import MetricsTable
from mlr.records.row_blocks import EncodedRows, encode_histograms, encode_scalars, final_rows
from mlr.records.run_folder import RunFolder
from mlr.records.tensorboard.event_writer import EventWriter, Serialisable
from mlr.records.tensorboard.hparams import HEADLINES, hparams_summaries, session_end
from mlr.records.tensorboard.layout import layout_summary

SPILL_BYTES = 64 << 20
"""Largest size of encoded rows in memory; above it, runs are flushed before all are encoded."""


class RunEnd(NamedTuple):
    """End of a run; the arguments of `Recorder.finish`."""

    status: str
    metrics: Mapping[str, float] = MappingProxyType({})
    reason: str | None = None
    fields: Mapping[str, Any] = MappingProxyType({})
    at: tuple[int, float] | None = None


class Recorder:
    """Writes a run's scalars to TensorBoard and metrics.csv, and its end to status.json.

    Arrays come in blocks of P logged steps and stay in memory until `flush`.

    Attributes:
        folder: of the run.
        tags: of the scalars, in the order of the table's columns.
        events: TensorBoard's file.
        table: metrics.csv.
        step: the last step that was recorded, and `epoch` its epoch.
        seen: int (T,), the last step of each tag; -1 before any.
        dtype: of the latest block, so that final numbers have the same digits.
        error: of a run that cannot be written, while the others of its program continue.
    """

    def __init__(
        self,
        folder: RunFolder,
        tags: Sequence[str],
        hparams: Mapping[str, Any],
        trial: str | None = None,
    ):
        """Begin to record a run.

        Args:
            folder: the claimed folder.
            tags: every scalar that may come, in the order of the table's columns.
            hparams: settings of the run for the HPARAMS page; bool, number, text or None.
            trial: the run's name on that page; None takes the end of the folder's path.
        """
        # a folder just claimed has no event file to search for
        self._open(folder, tags, EventWriter(folder.path, first=True), {})
        if trial is None:
            # its column is narrow: first what tells it from its siblings
            place = folder.path.absolute()
            trial = f"{place.name} ({place.parent.name})"
        # even if they are not among `tags`: TensorBoard takes one run's list for all of a logdir
        for summary in hparams_summaries(hparams, HEADLINES, trial):
            self.summary(summary, 0)
        self.summary(layout_summary(self.tags), 0)

    @classmethod
    def resume(
        cls, folder: RunFolder, tags: Sequence[str], position: Mapping[str, Any], step: int
    ) -> Recorder:
        """Continue to record where `position` was taken; later records are discarded.

        Args:
            folder: the run's, reopened.
            tags: as they were.
            position: from `Recorder.position`.
            step: updates that the run has done there.

        Raises:
            DataError: the files hold less than they should.
            WriteError: they cannot be changed.
        """
        check_position(folder.path, position)
        if len(position["seen"]) != len(tags):
            raise DataError(f"{folder.path} was recorded with other tags; its probes differ.")
        before = position["events"]
        truncate(folder.path, before)
        recorder = cls.__new__(cls)
        recorder._open(folder, tags, continue_events(folder.path, before, step), before)
        recorder.table.resume(position["table"])
        recorder.step, recorder.epoch = position["step"], position["epoch"]
        recorder.seen = np.array(position["seen"], dtype=np.int64)
        recorder.dtype = np.dtype(position["dtype"])
        folder.files |= {name: checksum((folder.path / name).read_bytes()) for name in before}
        return recorder

    def _open(
        self, folder: RunFolder, tags: Sequence[str], events: EventWriter, before: Mapping[str, int]
    ) -> None:
        self.folder, self.tags, self.events = folder, tuple(tags), events
        self.table = MetricsTable(folder.metrics, tags)
        self._before = dict(before)  # event files of earlier processes, and their bytes
        self.error: WriteError | None = None
        self.step, self.epoch = 0, 0.0
        self.seen = np.full(len(self.tags), -1)
        self.dtype = np.dtype(np.float64)
        self._flushed_at = time.time()

    def position(self, sync: bool = True) -> dict[str, Any]:
        """Flush, and return where the files end; JSON can hold it.

        Args:
            sync: wait until what is flushed is on the disk.

        Raises:
            WriteError: naming the file.
        """
        self.flush(sync)
        return {
            "step": self.step,
            "epoch": self.epoch,
            "seen": self.seen.tolist(),
            "dtype": self.dtype.name,
            "table": self.table.position(),
            "events": {**self._before, self.events.path.name: self.events.size},
        }

    def scalars(
        self,
        steps: np.ndarray,
        epochs: np.ndarray,
        values: np.ndarray,
        present: np.ndarray | None = None,
        wall_times: np.ndarray | None = None,
    ) -> None:
        """Record a block of logged steps, as `record_scalars` without the axis R.

        Args:
            steps: int (P,), increasing.
            epochs: (P,).
            values: (P, T).
            present: bool (P, T); None means all are there.
            wall_times: (P,); None spreads the steps evenly over the time since the last flush.
        """
        if wall_times is None:
            wall_times = np.linspace(self._flushed_at, time.time(), len(steps) + 1)[1:]
        there = np.ones(values.shape, dtype=bool) if present is None else np.asarray(present)
        record_scalars(
            [self],
            np.asarray(steps),
            np.asarray(epochs),
            values[:, None],
            there[:, None],
            np.asarray(wall_times),
        )

    def histograms(
        self,
        steps: np.ndarray,
        tag: str,
        limits: np.ndarray,
        counts: np.ndarray,
        minimum: np.ndarray,
        maximum: np.ndarray,
        total: np.ndarray,
        total_squares: np.ndarray,
        wall_times: np.ndarray | None = None,
    ) -> None:
        """Record one histogram a step, as `record_histograms` without the axis R.

        `limits` may be (bins,), equal for all steps; `wall_times` None is now.
        """
        edges = np.asarray(limits)
        if edges.ndim == 1:
            edges = np.broadcast_to(edges, (len(steps), len(edges)))
        record_histograms(
            [self],
            np.asarray(steps),
            tag,
            edges[:, None],
            np.asarray(counts)[:, None],
            np.asarray(minimum)[:, None],
            np.asarray(maximum)[:, None],
            np.asarray(total)[:, None],
            np.asarray(total_squares)[:, None],
            np.ones((len(steps), 1), dtype=bool),
            np.full(len(steps), time.time()) if wall_times is None else np.asarray(wall_times),
        )

    def summary(self, proto: Serialisable, step: int) -> None:
        """Record any other Summary message, a figure for example."""
        self.events.summary(proto, step)

    def flush(self, sync: bool = False) -> None:
        """Append all that was recorded to the files.

        Args:
            sync: wait until it is on the disk.

        Raises:
            WriteError: naming the file; what could not be written waits for the next flush.
        """
        self.events.flush(sync)
        self.table.flush(sync)
        self._flushed_at = time.time()

    def pending_bytes(self) -> int:
        """Return the size of what waits in memory for the next flush."""
        return self.events.pending_bytes() + self.table.pending_bytes()

    def finish(
        self,
        status: str,
        final_metrics: Mapping[str, float] | None = None,
        reason: str | None = None,
        sync: bool = True,
        at: tuple[int, float] | None = None,
        **fields: Any,
    ) -> None:
        """End the run: the final numbers at its last step, then how it ended.

        Files first, status.json last: a run that says done has all its files.

        Args:
            status: done, failed, diverged or interrupted.
            final_metrics: tag → number, for all of status.json, TensorBoard and, where the
                tag is a column, metrics.csv. A tag already recorded at the last step
                keeps the number it has there, so that no step holds two.
            reason: of that status.
            sync: wait until all of it is on the disk.
            at: step and epoch of the final numbers, no earlier than the last that is recorded;
                None takes that one.
            **fields: further fields of `RunStatus`.

        Raises:
            InputError: an unknown status.
            WriteError: naming the file; also the error that this recorder holds already, after
                which status.json says failed if it can be written.
        """
        _finish([self], [RunEnd(status, final_metrics or {}, reason, fields, at)], sync)

    def _take(self, rows: EncodedRows | None, dtype: np.dtype) -> int:
        """Add encoded rows to both files; returns their bytes."""
        if rows is None:
            return 0
        self.table.add(rows.lines, rows.first, rows.last)
        self.events.add(rows.events)
        self.step, self.epoch, self.dtype = rows.last, rows.epoch, dtype
        self.seen = np.maximum(self.seen, rows.seen)
        return len(rows.events) + len(rows.lines)

    def _close_files(self, end: RunEnd, sync: bool, now: float) -> None:
        """Add the final numbers that are no columns, and the end of the HParams session."""
        others = [tag for tag in end.metrics if tag not in self.tags]
        if others:
            values = np.array([[end.metrics[tag] for tag in others]])
            self.events.scalars(np.array([self.step]), others, values, np.array([now]))
        self.events.summary(session_end(end.status, now), self.step, now)
        self.flush(sync)

    def _write_end(self, end: RunEnd, sync: bool) -> None:
        """Write status.json, when all else is on the disk."""
        for file in (self.table, self.events):
            self.folder.files[file.path.name] = file.checksum()
        metrics = {tag: float(value) for tag, value in end.metrics.items()}
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
    waiting = 0
    for (tags, _), runs in _grouped(recorders).items():
        rows = encode_scalars(tags, steps, epochs, values, present, wall_times, list(runs))
        for recorder, own in zip(runs.values(), rows, strict=True):
            with failing_alone(recorder):
                waiting += recorder._take(own, values.dtype)
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
        ValueError: shapes disagree, there is no bucket, or a step is negative.
        WriteError: no recorder is left that can write.
    """
    runs = dict(_able(recorders))
    moments = (minimum, maximum, total, total_squares)
    records = encode_histograms(
        steps, tag, limits, counts, moments, present, wall_times, list(runs)
    )
    waiting = 0
    for recorder, own in zip(runs.values(), records, strict=True):
        recorder.events.add(own)
        waiting = _spilled(waiting + len(own), runs.values())
    raise_if_none_left(recorders)


def flush_all(recorders: Sequence[Recorder | None]) -> None:
    """Append to every run's files what was recorded.

    Raises:
        WriteError: no recorder is left that can write.
    """
    for _, recorder in _able(recorders):
        with failing_alone(recorder):
            recorder.flush()
    raise_if_none_left(recorders)


def finish_all(
    recorders: Sequence[Recorder | None], ends: Sequence[RunEnd], sync: bool = False
) -> None:
    """End the runs; one whose files cannot be written has the error in `error`.

    All files are on the disk before the first status.json says how its run ended.

    Args:
        recorders: one a run; None records nothing, and one that holds an error has failed.
        ends: one a run.
        sync: wait for each file of a run, status.json included; False waits once for all files.

    Raises:
        InputError: an unknown status.
        WriteError: no recorder is left that can write.
    """
    if sync:
        _finish(recorders, ends, sync)
    else:
        _finish(recorders, ends, sync, before_status=durable.sync_all)


def _finish(
    recorders: Sequence[Recorder | None],
    ends: Sequence[RunEnd],
    sync: bool,
    before_status: Callable[[], None] = lambda: None,
) -> None:
    for recorder in recorders:
        if recorder is not None and recorder.error is not None:
            with suppress(OSError):
                recorder.folder.write_status("failed", sync, reason=str(recorder.error))
    now = time.time()
    for (tags, dtype), runs in _grouped(recorders).items():
        for run, recorder in runs.items():
            recorder.step, recorder.epoch = ends[run].at or (recorder.step, recorder.epoch)
        rows = final_rows(
            tags,
            [recorder.step for recorder in runs.values()],
            [recorder.epoch for recorder in runs.values()],
            np.stack([recorder.seen for recorder in runs.values()]),
            [ends[run].metrics for run in runs],
            dtype,
            now,
        )
        for (run, recorder), row in zip(runs.items(), rows, strict=True):
            with failing_alone(recorder):
                recorder._take(row, dtype)
                recorder._close_files(ends[run], sync, now)
    before_status()
    for run, recorder in _able(recorders):
        with failing_alone(recorder):
            recorder._write_end(ends[run], sync)
    raise_if_none_left(recorders)


def _spilled(waiting: int, recorders: Iterable[Recorder]) -> int:
    """Flush the runs if more than `SPILL_BYTES` wait in memory; returns the bytes that wait."""
    if waiting <= SPILL_BYTES:
        return waiting
    for recorder in recorders:
        with failing_alone(recorder):
            recorder.flush()
    return 0


@contextmanager
def failing_alone(recorder: Recorder) -> Iterator[None]:
    """Move a WriteError of the block into the recorder's `error`, so that siblings continue."""
    try:
        yield
    except WriteError as error:
        recorder.error = error


def _able(recorders: Sequence[Recorder | None]) -> Iterator[tuple[int, Recorder]]:
    """Yield the recorders that can write, and their positions."""
    for run, recorder in enumerate(recorders):
        if recorder is not None and recorder.error is None:
            yield run, recorder


def _grouped(
    recorders: Sequence[Recorder | None],
) -> dict[tuple[tuple[str, ...], np.dtype], dict[int, Recorder]]:
    """Group the recorders that can write by tags and dtype, and then by position."""
    groups: dict[tuple[tuple[str, ...], np.dtype], dict[int, Recorder]] = {}
    for run, recorder in _able(recorders):
        groups.setdefault((recorder.tags, recorder.dtype), {})[run] = recorder
    return groups


def raise_if_none_left(recorders: Sequence[Recorder | None]) -> None:
    """Raise the first error where every recorder has one."""
    errors = [recorder.error for recorder in recorders if recorder is not None]
    if errors and errors[0] is not None and None not in errors:
        raise errors[0]
