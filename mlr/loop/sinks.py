"""Outputs of a `GradientProbe`: a run folder as mlr's training writes it, or a SummaryWriter."""

import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto.summary_pb2 import Summary

from mlr.core.checks import users_stacklevel
from mlr.loop.hyperparameters import as_columns
from mlr.probes.histograms import Histogram, edges
from mlr.probes.measuring import Measured
from mlr.records import Recorder, RunFolder, record_histograms, record_scalars
from mlr.records.encoding import scalar_records
from mlr.records.recorder import RunEnd, finish_all
from mlr.records.run_folder import TakenError
from mlr.records.settings import Value

CHOOSE = 'GradientProbe(model, optimizer, "…")'


class FolderSink:
    """A claimed run folder: events, metrics.csv and status.json.

    Args:
        folder: to claim; if it holds a run, the first free one of `mine-2`, `mine-3`, … is.
        head: name of the head, or unknown.
        settings: hyper-parameters by key.
        shown: further ones for the HPARAMS page.
    """

    def __init__(
        self,
        folder: Path | str,
        head: str,
        settings: Mapping[str, Value],
        shown: Mapping[str, Value] = MappingProxyType({}),
    ) -> None:
        self.head, self.settings, self.shown = head, dict(settings), shown
        seed: Any = self.settings.pop("seed", None)
        self.seed: int | None = seed
        self.folder = _claimed(Path(folder), self.seed, **self._entries())
        self.recorder: Recorder | None = None
        self.further: dict[str, float] = {}  # last numbers of validations that are no columns

    def describe(self, found: Mapping[str, Value]) -> None:
        """Add hyper-parameters that the first batch has shown, where the user gave no others."""
        self.settings = {**found, **self.settings}
        self.folder.write_status(sync=False, **self._entries())

    def _entries(self) -> dict[str, Any]:
        loss = self.settings.get("loss")
        known = {
            key: one for key, one in self.settings.items() if key != "loss" and one is not None
        }
        return {"pair": f"{self.head}+{loss}" if loss else self.head, "hyperparameters": known}

    def begin(self, tags: Sequence[str]) -> None:
        """Open the files for all tags that may come."""
        first = {"head": self.head, "loss": None, "seed": self.seed}
        self.recorder = Recorder(
            self.folder, tags, as_columns({**first, **self.shown, **self.settings})
        )

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

    def validated(self, step: int, numbers: Mapping[str, float]) -> None:
        """Record numbers of a validation; those that are no columns, in the events alone."""
        assert self.recorder is not None
        tags, now = self.recorder.tags, np.array([time.time()])
        row = np.array([[[numbers.get(tag, np.nan) for tag in tags]]])
        there = np.array([[[tag in numbers for tag in tags]]])
        if there.any():
            record_scalars([self.recorder], np.array([step]), np.array([np.nan]), row, there, now)
        others = {tag: number for tag, number in numbers.items() if tag not in tags}
        self.further |= others
        values = np.array([[*others.values()]])
        self.recorder.events.add(
            b"".join(scalar_records(np.array([step]), tuple(others), values, now, values == values))
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
            return
        # a column holds the numbers of its step, and a final number is a mean of several
        there = {*self.recorder.tags, *self.further}
        others = {tag: number for tag, number in metrics.items() if tag not in there}
        means = {tag: number for tag, number in metrics.items() if tag in there}
        end = RunEnd(status, others, reason, last, means=means)
        finish_all([self.recorder], [end], sync=None)


def _claimed(folder: Path, seed: int | None, **entries: Any) -> RunFolder:
    """Claim a folder, or if it holds a run the next free one next to it, with a warning."""
    for number in count(1):
        place = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        try:
            claimed = RunFolder.claim(place, seed, choose=CHOOSE, **entries)
        except TakenError:
            continue
        if number > 1:
            warnings.warn(
                f"{folder} holds a run already; this one is recorded in {place}.",
                stacklevel=users_stacklevel(),
            )
        return claimed
    raise AssertionError


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

    def describe(self, found: Mapping[str, Value]) -> None:
        """Do nothing: hyper-parameters are those of a folder."""

    def validated(self, step: int, numbers: Mapping[str, float]) -> None:
        """Write numbers of a validation."""
        self.step = step
        for tag, number in numbers.items():
            self.writer.add_scalar(tag, number, step)

    def record(self, block: Measured) -> None:
        """Write one event per step, or one call per number, and histograms if possible."""
        self.step = int(block.steps[-1])
        for step, when, row, there in zip(*block[:4], strict=True):
            pairs = [(self.tags[i], float(row[i])) for i in np.flatnonzero(there)]
            if hasattr(self.files, "add_summary"):
                entries = [Summary.Value(tag=tag, simple_value=number) for tag, number in pairs]
                self.files.add_summary(Summary(value=entries), int(step), float(when))
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
