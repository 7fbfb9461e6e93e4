"""Outputs of a `GradientProbe`: a run folder as mlr's training writes it, or a SummaryWriter."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto.summary_pb2 import Summary

from mlr.probes.histograms import Histogram, edges
from mlr.probes.measuring import Measured
from mlr.records import Recorder, RunFolder, record_histograms, record_scalars
from mlr.records.recorder import RunEnd, finish_all


class FolderSink:
    """A claimed run folder, new or without a run: events, metrics.csv and status.json."""

    def __init__(self, folder: Path | str, hparams: Mapping[str, Any]) -> None:
        self.folder, self.hparams = RunFolder.claim(folder, pair=hparams["head"]), hparams
        self.recorder: Recorder | None = None

    def begin(self, tags: Sequence[str]) -> None:
        """Open the files for all tags that may come."""
        self.recorder = Recorder(self.folder, tags, self.hparams)

    def record(self, block: Measured) -> None:
        """Append numbers (P, tags) and histograms (H, …); epochs are NaN, for a loop has none."""
        assert self.recorder is not None
        epochs = np.full(len(block.steps), np.nan)
        numbers, present = block.numbers[:, None], block.present[:, None]  # one run
        record_scalars([self.recorder], block.steps, epochs, numbers, present, block.times)
        for tag, bars in block.histograms.items():
            record_histograms(
                *([self.recorder], block.steps[block.drawn], tag),
                limits=edges(bars.minimum, bars.maximum)[:, None],
                **{name: column[:, None] for name, column in bars._asdict().items()},
                present=np.ones((len(block.drawn), 1), dtype=bool),
                wall_times=block.times[block.drawn],
            )
        self.recorder.flush()

    def note(self, program: Mapping[str, Any]) -> None:
        """Write the evidence on the program into status.json."""
        self.folder.write_status(sync=False, program=program)

    def close(
        self,
        status: str,
        reason: str | None,
        metrics: Mapping[str, float],
        program: Mapping[str, Any] | None,
    ) -> None:
        """Record the end of the run with its final numbers, without waiting for the disk."""
        last = {} if program is None else {"program": program}
        if self.recorder is None:
            own = {"reason": reason, "metrics": dict(metrics), **last}
            self.folder.write_status(status, sync=False, **own)
        else:
            finish_all([self.recorder], [RunEnd(status, metrics, reason, last)], sync=None)


class WriterSink:
    """A user's SummaryWriter, or any object with its `add_scalar`; it stays open."""

    def __init__(self, writer: Any) -> None:
        self.writer = writer
        # one event for all tags of a step: fifty calls of add_scalar take as long as a step
        self.files: Any = getattr(writer, "file_writer", None)
        self.tags: tuple[str, ...] = ()
        self.step = 0

    def begin(self, tags: Sequence[str]) -> None:
        """Set the names of all tags that may come."""
        self.tags = tuple(tags)

    def record(self, block: Measured) -> None:
        """Write one event per step, or one call per number, and histograms if possible."""
        self.step = int(block.steps[-1])
        for step, time, row, there in zip(*block[:4], strict=True):
            pairs = [(self.tags[i], float(row[i])) for i in np.flatnonzero(there)]
            if hasattr(self.files, "add_summary"):
                entries = [Summary.Value(tag=tag, simple_value=number) for tag, number in pairs]
                self.files.add_summary(Summary(value=entries), int(step), float(time))
            else:
                for tag, number in pairs:
                    self.writer.add_scalar(tag, number, int(step))
        if hasattr(self.writer, "add_histogram_raw"):
            for tag, bars in block.histograms.items():
                self._histograms(block, tag, bars)

    def _histograms(self, block: Measured, tag: str, bars: Histogram[NDArray]) -> None:
        limits = edges(bars.minimum, bars.maximum)
        for row, place in enumerate(block.drawn):
            self.writer.add_histogram_raw(
                tag,
                min=float(bars.minimum[row]),
                max=float(bars.maximum[row]),
                num=int(bars.counts[row].sum()),
                sum=float(bars.total[row]),
                sum_squares=float(bars.total_squares[row]),
                bucket_limits=limits[row].tolist(),
                bucket_counts=bars.counts[row].tolist(),
                global_step=int(block.steps[place]),
                walltime=float(block.times[place]),
            )

    def note(self, program: Mapping[str, Any]) -> None:
        """Do nothing: a board has no place for the evidence."""

    def close(
        self,
        status: str,
        reason: str | None,
        metrics: Mapping[str, float],
        program: Mapping[str, Any] | None,
    ) -> None:
        """Write the final numbers that are new, and flush the writer."""
        for tag, number in metrics.items():
            if tag not in self.tags:
                self.writer.add_scalar(tag, number, self.step)
        with suppress(AttributeError):
            self.writer.flush()


Sink = FolderSink | WriterSink
