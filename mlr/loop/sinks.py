"""Where the numbers go: a run's folder as mlr's trainings write it, or a SummaryWriter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto.summary_pb2 import Summary

from mlr.probes.histograms import Histogram, edges
from mlr.records import Recorder, RunFolder


class Sink(Protocol):
    """Takes blocks of P points."""

    def begin(self, tags: Sequence[str]) -> None:
        """Every tag that may come, once, before the first block."""
        ...

    def scalars(self, steps: NDArray, times: NDArray, values: NDArray, present: NDArray) -> None:
        """Numbers (P, tags) at steps (P,), those that are present."""
        ...

    def histograms(
        self, steps: NDArray, times: NDArray, tag: str, bars: Histogram[NDArray]
    ) -> None:
        """A histogram a step."""
        ...

    def flush(self) -> None:
        """Write what came."""
        ...

    def close(self, status: str, reason: str | None, metrics: Mapping[str, float]) -> None:
        """The loop has ended so, with these final numbers."""
        ...


class FolderSink:
    """A claimed run folder: events, metrics.csv and status.json.

    Args:
        folder: new, or without a run.
        hparams: what the run is, for TensorBoard's HParams page.

    Raises:
        InputError: the folder holds a run, or cannot be written.
    """

    def __init__(self, folder: Path | str, hparams: Mapping[str, Any]) -> None:
        self.folder, self.hparams = RunFolder.claim(folder, pair=hparams["head"]), hparams
        self.recorder: Recorder | None = None

    def begin(self, tags: Sequence[str]) -> None:
        """Open the files."""
        self.recorder = Recorder(self.folder, tags, self.hparams)

    def scalars(self, steps: NDArray, times: NDArray, values: NDArray, present: NDArray) -> None:
        """Rows of metrics.csv and events; nobody told of epochs."""
        assert self.recorder is not None
        epochs = np.full(len(steps), np.nan)
        self.recorder.scalars(steps, epochs, values, present, times)

    def histograms(
        self, steps: NDArray, times: NDArray, tag: str, bars: Histogram[NDArray]
    ) -> None:
        """Events."""
        assert self.recorder is not None
        limits = edges(bars.minimum, bars.maximum)
        self.recorder.histograms(steps, tag, limits, **bars._asdict(), wall_times=times)

    def flush(self) -> None:
        """Append to the files."""
        if self.recorder is not None:
            self.recorder.flush()

    def close(self, status: str, reason: str | None, metrics: Mapping[str, float]) -> None:
        """End of the run."""
        if self.recorder is None:
            self.folder.write_status(status, reason=reason, metrics=dict(metrics))
        else:
            self.recorder.finish(status, metrics, reason)


class WriterSink:
    """Somebody's SummaryWriter, or anything with its `add_scalar`; it stays open.

    Args:
        writer: torch's, tensorboardX's or the like.
    """

    def __init__(self, writer: Any) -> None:
        self.writer = writer
        # one event for all tags of a step: fifty calls of add_scalar take as long as a step
        self.files: Any = getattr(writer, "file_writer", None)
        self.tags: tuple[str, ...] = ()
        self.step = 0

    def begin(self, tags: Sequence[str]) -> None:
        """Remember the names."""
        self.tags = tuple(tags)

    def scalars(self, steps: NDArray, times: NDArray, values: NDArray, present: NDArray) -> None:
        """One event a step, or one call a number."""
        self.step = int(steps[-1])
        for step, time, row, there in zip(steps, times, values, present, strict=True):
            pairs = [(self.tags[i], float(row[i])) for i in np.flatnonzero(there)]
            if hasattr(self.files, "add_summary"):
                entries = [Summary.Value(tag=tag, simple_value=number) for tag, number in pairs]
                self.files.add_summary(Summary(value=entries), int(step), float(time))
            else:
                for tag, number in pairs:
                    self.writer.add_scalar(tag, number, int(step))

    def histograms(
        self, steps: NDArray, times: NDArray, tag: str, bars: Histogram[NDArray]
    ) -> None:
        """One call a step, where the writer takes histograms."""
        if not hasattr(self.writer, "add_histogram_raw"):
            return
        limits = edges(bars.minimum, bars.maximum)
        for row, step in enumerate(steps):
            self.writer.add_histogram_raw(
                tag,
                min=float(bars.minimum[row]),
                max=float(bars.maximum[row]),
                num=int(bars.counts[row].sum()),
                sum=float(bars.total[row]),
                sum_squares=float(bars.total_squares[row]),
                bucket_limits=limits[row].tolist(),
                bucket_counts=bars.counts[row].tolist(),
                global_step=int(step),
                walltime=float(times[row]),
            )

    def flush(self) -> None:
        """The writer has its own time."""

    def close(self, status: str, reason: str | None, metrics: Mapping[str, float]) -> None:
        """Hand over the final numbers that are new, and have all of it written."""
        for tag, number in metrics.items():
            if tag not in self.tags:
                self.writer.add_scalar(tag, number, self.step)
        with suppress(AttributeError):
            self.writer.flush()
