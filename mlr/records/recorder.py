"""Everything that one run records, into its folder."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any

import numpy as np

from mlr.core.checks import DataError
from mlr.core.durable import WriteError
from mlr.records.blocks import Rows, encode_scalars, final_rows, plain_numbers
from mlr.records.continuing import check_position
from mlr.records.events import Serialisable
from mlr.records.folder import RunFolder
from mlr.records.growing import GrowingFiles
from mlr.records.hparams import HEADLINES, PROMINENT, hparams_summaries, session_end
from mlr.records.layout import layout_summary


class Recorder:
    """Writes a run's scalars to TensorBoard and metrics.csv, and how it ended.

    Arrays come in blocks of P logged steps and stay in memory until `flush`. Used as a
    context manager it ends the run in any case: an exception makes it failed, an
    interruption interrupted, and what was recorded before is on the disk either way.
    """

    def __init__(
        self,
        folder: RunFolder,
        tags: Sequence[str],
        hparams: Mapping[str, Any],
        metrics: Sequence[str] | None = None,
        trial: str | None = None,
        prominent: Sequence[str] = PROMINENT,
    ):
        """Begin to record a run.

        Args:
            folder: the claimed folder.
            tags: every scalar that may come, in the order of the table's columns.
            hparams: what the run is, for the HPARAMS page; bool, number, text or None.
            metrics: tags shown on that page; None takes the usual ones, whether or not they
                are among `tags`: TensorBoard takes one run's list for all runs of a logdir.
            trial: the run's name on that page; None takes the end of the folder's path.
            prominent: names of hparams to show first on that page, five at most.
        """
        self._open(folder, tags, GrowingFiles(folder, tags))
        if metrics is None:
            metrics = HEADLINES
        if trial is None:
            # its column is narrow: first what tells it from its siblings
            place = folder.path.absolute()
            trial = f"{place.name} ({place.parent.name})"
        for summary in (
            *hparams_summaries(hparams, metrics, trial, None, prominent),
            layout_summary(self.tags),
        ):
            self.files.events.summary(summary, 0)

    @classmethod
    def go_on(
        cls, folder: RunFolder, tags: Sequence[str], position: Mapping[str, Any], step: int
    ) -> Recorder:
        """Go on recording where `position` was taken; what was recorded since is taken back.

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
        recorder = cls.__new__(cls)
        recorder._open(folder, tags, GrowingFiles.go_on(folder, tags, position, step))
        recorder.step, recorder.epoch = position["step"], position["epoch"]
        recorder.seen = np.array(position["seen"], dtype=np.int64)
        recorder.dtype = np.dtype(position["dtype"])
        return recorder

    def _open(self, folder: RunFolder, tags: Sequence[str], files: GrowingFiles) -> None:
        """Nothing is recorded yet."""
        self.folder, self.tags, self.files = folder, tuple(tags), files
        self.finished = False
        self.error: WriteError | None = None  # set by a sweep that goes on without this run
        self.step, self.epoch = 0, 0.0
        self.seen = np.full(len(self.tags), -1)  # step at which each tag was last written
        self._flushed_at = time.time()
        self.dtype = np.dtype(np.float64)  # of the last block, so that final numbers match it

    def position(self, sync: bool = True) -> dict[str, Any]:
        """Flush, and say where the files end; JSON can hold it.

        Args:
            sync: wait until what is flushed is on the disk.

        Raises:
            WriteError: naming the file.
        """
        self.files.flush(sync)
        return {
            "step": self.step,
            "epoch": self.epoch,
            "seen": self.seen.tolist(),
            "dtype": self.dtype.name,
            **self.files.position(),
        }

    def scalars(
        self,
        steps: np.ndarray,
        epochs: np.ndarray,
        values: np.ndarray,
        present: np.ndarray | None = None,
        wall_times: np.ndarray | None = None,
    ) -> None:
        """Record a block of logged steps.

        Args:
            steps: int (P,), increasing.
            epochs: (P,) passes over the training data so far.
            values: (P, T) in the order of the tags. float32 stands in metrics.csv with
                float32's digits, float64 with float64's.
            present: bool (P, T); False leaves a value out, and a row without any value is
                no row; None means all are there.
            wall_times: (P,) seconds since 1970, UTC; None spreads the steps evenly over
                the time since the last flush.

        Raises:
            ValueError: shapes disagree or a step is negative.
        """
        if not len(steps):
            return
        if wall_times is None:
            now = time.time()
            wall_times = np.linspace(self._flushed_at, now, len(steps) + 1)[1:]
        there = np.ones(values.shape, dtype=bool) if present is None else np.asarray(present)
        columns = (np.asarray(steps), np.asarray(epochs), values[:, None], there[:, None])
        (rows,) = encode_scalars(self.tags, *columns, np.asarray(wall_times), runs=(0,))
        self.take(rows, values.dtype)

    def take(self, rows: Rows | None, dtype: np.dtype | None = None) -> None:
        """Record rows that are encoded already.

        Args:
            rows: of a block with this recorder's tags; None is nothing.
            dtype: of their numbers; None is that of the block before.
        """
        if rows is None:
            return
        self.files.add(rows)
        self.step, self.epoch = rows.last, rows.epoch
        self.dtype = self.dtype if dtype is None else dtype
        self.seen = np.maximum(self.seen, rows.seen)

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
        """Record one histogram a step; the arguments are those of `EventWriter.histograms`."""
        if wall_times is None:
            wall_times = np.full(len(steps), time.time())
        self.files.events.histograms(
            steps, tag, limits, counts, minimum, maximum, total, total_squares, wall_times
        )

    def take_events(self, records: bytes) -> None:
        """Record what is encoded already, for TensorBoard only."""
        self.files.events.add(records)

    def summary(self, proto: Serialisable, step: int) -> None:
        """Record any other Summary message, a figure for example."""
        self.files.events.summary(proto, step)

    def flush(self) -> None:
        """Append all of it to the files.

        Raises:
            WriteError: naming the file; what it could not write is kept for the next try.
        """
        self.files.flush()
        self._flushed_at = time.time()

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
            reason: why it ended so.
            sync: wait until all of it is on the disk; a sweep of many runs may leave that to
                one `os.sync` at its end.
            at: step and epoch of the final numbers, no earlier than the last that is recorded;
                None takes that one.
            **fields: more entries for status.json.

        Raises:
            InputError: an unknown status.
            WriteError: naming the file; also the error that this recorder holds, after
                which status.json says failed if it can be written.
        """
        self.raise_error(sync)
        numbers = plain_numbers(final_metrics)
        self.step, self.epoch = at or (self.step, self.epoch)
        now = time.time()
        state = ((self.step,), (self.epoch,), self.seen[None], (numbers,), self.dtype)
        (rows,) = final_rows(self.tags, *state, now)
        self.take(rows)
        self.close(status, numbers, sync, now)
        self.conclude(status, numbers, reason, sync, fields)

    def raise_error(self, sync: bool = False) -> None:
        """Raise the error that this recorder holds, if any; status.json then says failed."""
        if self.error is None:
            return
        self.finished = True
        with suppress(OSError):
            self.folder.write_status("failed", sync, reason=str(self.error))
        raise self.error

    def close(self, status: str, metrics: Mapping[str, float], sync: bool, now: float) -> None:
        """The part of `finish` that ends the files, when the last step's row is complete."""
        others = [tag for tag in metrics if tag not in self.tags]
        if others:
            values = np.array([[metrics[tag] for tag in others]])
            self.files.events.scalars(np.array([self.step]), others, values, np.array([now]))
        self.files.events.summary(session_end(status, now), self.step, now)
        self.files.flush(sync)

    def conclude(
        self,
        status: str,
        metrics: Mapping[str, float],
        reason: str | None,
        sync: bool,
        fields: Mapping[str, Any],
    ) -> None:
        """The last part of `finish`: status.json, when all else is on the disk."""
        self.folder.files |= self.files.entries()
        self.folder.write_status(status, sync, reason=reason, metrics=metrics, **fields)
        self.finished = True

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.finished:
            return
        if error is None:
            self.finish("done")
            return
        status = "failed" if isinstance(error, Exception) else "interrupted"
        reason = f"{type(error).__name__}: {error}".removesuffix(": ")
        try:
            self.finish(status, reason=reason)
        except OSError as second:
            # the first error is the one to tell; the full disk often is that one
            error.add_note(f"The run's status could not be recorded: {second}")
            with suppress(OSError):
                self.folder.write_status(status, reason=reason)
