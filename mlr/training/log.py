"""The logged steps of a program, handed to the recorders of its runs in blocks."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter, time
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlr.probes import edges, make_probes
from mlr.records import Recorder
from mlr.records.recorder import flush_all, record_histograms, record_scalars
from mlr.training.background import Background
from mlr.training.capture import subject_of
from mlr.training.endings import Endings
from mlr.training.experiment import Experiment
from mlr.training.measure import Measured, Measurements
from mlr.training.step import LoggedStep, Program

FLUSH_SECONDS = 2.0
FLUSH_BYTES = 64 << 20
BYTES_OF_A_STEP = 500
"""What a logged step leaves of each run until the flush: numbers, and sometimes histograms."""


class Block(NamedTuple):
    """Rows of numbers: M steps, R runs."""

    steps: NDArray[np.int64]
    """(M,)"""
    times: NDArray[np.float64]
    """seconds since 1970 (M,)"""
    values: NDArray[np.floating]
    """(M, R, tags)"""
    present: NDArray[np.bool_]
    """which of the values are there (M, R, tags)"""


def run_tags(experiment: Experiment) -> tuple[str, ...]:
    """Every tag a run of this kind can record, in the order of its table's columns."""
    classification = experiment.data.classes is not None
    probes = make_probes(experiment.probes, subject_of(experiment))
    names = ["loss", "accuracy" if classification else "rmse"]
    names += ["predicted_std"] * experiment.spread
    judged = ("val", "test") if experiment.data.validated else ("test",)
    splits = [f"{name}/{split}" for name in names for split in judged]
    return (*(tag for probe in probes for tag in probe.tags), *splits, "learning_rate")


class StepLog:
    """Keeps logged steps, and means over whole splits, until they are due."""

    def __init__(
        self,
        program: Program,
        recorders: Sequence[Recorder | None],
        endings: Endings,
        background: Background,
    ) -> None:
        first = program.runs[0]
        self.program, self.recorders, self.endings = program, recorders, endings
        self.wanted = any(recorders)
        probes = make_probes(first.probes, program.subject)
        self.measurements = Measurements(program, probes, background)
        self.tags = run_tags(first)
        self.column = {tag: index for index, tag in enumerate(self.tags)}
        self.of_splits = np.array([tag.endswith(("/val", "/test")) for tag in self.tags])
        self.steps_per_epoch = first.steps_per_epoch
        # the table prints the digits that the numbers have
        self.number_type = np.float64 if first.dtype == "float64" else np.float32
        self.rates = np.array([run.optimizer.lr for run in program.runs])
        self.flushed_at = perf_counter()
        self._forget()

    def _forget(self) -> None:
        self.steps: list[tuple[float, int]] = []
        self.means: list[tuple[float, int, dict[str, Tensor]]] = []
        self.bytes = 0
        self.measurements.forget()

    def keep(self, step: LoggedStep) -> None:
        """Remember a logged step; its numbers are there at the next flush."""
        if self.wanted:
            self.steps.append((time(), step.step))
            self.measurements.keep(step)
            self.bytes += len(self.recorders) * BYTES_OF_A_STEP

    def keep_means(self, step: int, means: dict[str, Tensor]) -> None:
        """Remember means (R,) over whole splits, by tag, after `step` updates."""
        if means:
            self.means.append((time(), step, means))

    def due(self) -> bool:
        """Tell if enough has gathered, or enough time has gone by, for a flush."""
        return self.bytes > FLUSH_BYTES or perf_counter() - self.flushed_at > FLUSH_SECONDS

    def flush(self) -> None:
        """Compute what is kept, and record it."""
        self.flushed_at = perf_counter()
        if not self.wanted or not (self.steps or self.means):
            self._forget()
            return
        measured = self.measurements.measured() if self.steps else None
        block = self._block(measured)
        drawn = [] if measured is None else self._drawn(measured)
        self._forget()  # interrupted from here on, the next flush records no step twice
        self._record_block(block)
        if measured is not None:
            self._record_histograms(drawn, measured)
        flush_all(self.recorders)

    def _ends(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Updates that each run did, and batches that it saw (R,); infinite where it goes on."""
        ended = [self.endings.ended.get(run) for run in range(len(self.recorders))]
        steps = [np.inf if one is None else one.step for one in ended]
        batches = [np.inf if one is None else one.batches for one in ended]
        return np.array(steps, dtype=np.float64), np.array(batches, dtype=np.float64)

    def _record_block(self, block: Block) -> None:
        """Hand each run its part of a block: no means after its end, no batch it did not see.

        What its siblings trained on after its last update, it saw only where that was refused.
        """
        steps, (ends, batches) = block.steps[:, None], self._ends()
        block.present[(steps > ends)[..., None] & self.of_splits] = False
        block.present[(steps >= batches)[..., None] & ~self.of_splits] = False
        epochs = block.steps / self.steps_per_epoch
        record_scalars(
            self.recorders, block.steps, epochs, block.values, block.present, block.times
        )

    def _drawn(self, measured: Measured) -> list[tuple[float, int]]:
        """Time and step of each that has histograms."""
        return [self.steps[place - measured.places[0]] for place in measured.drawn]

    def _record_histograms(self, drawn: list[tuple[float, int]], measured: Measured) -> None:
        """Hand each run the histograms of the steps that have them, before it ended."""
        steps = np.array([step for _, step in drawn], dtype=np.int64)
        times = np.array([stamp for stamp, _ in drawn])
        present = steps[:, None] < self._ends()[1]
        for tag, columns in measured.histograms.items():
            record_histograms(
                self.recorders,
                steps,
                tag,
                limits=edges(columns.minimum, columns.maximum),
                **columns._asdict(),
                present=present,
                wall_times=times,
            )

    def _block(self, measured: Measured | None) -> Block:
        """What is kept as rows of numbers, a row a step."""
        stamps = {step: stamp for stamp, step in self.steps}
        stamps |= {step: stamp for stamp, step, _ in self.means}
        order = sorted(stamps)
        row = {step: index for index, step in enumerate(order)}
        shape = (len(order), len(self.recorders), len(self.tags))
        values = np.full(shape, np.nan, dtype=self.number_type)
        present = np.zeros(values.shape, dtype=bool)
        if measured is not None:
            rows = np.array([row[step] for _, step in self.steps])
            probed = measured.numbers
            width = probed.shape[-1]
            values[rows, :, :width] = probed
            present[rows, :, :width] = measured.present
            factors = np.array([self.program.factors[step] for _, step in self.steps])
            with np.errstate(over="ignore"):  # a rate of 1e300 is infinite in float32
                values[rows, :, self.column["learning_rate"]] = factors[:, None] * self.rates
            present[rows, :, self.column["learning_rate"]] = True
        if self.means:
            rows = np.array([row[step] for _, step, _ in self.means])
            for tag in self.means[0][2]:
                means = torch.stack([means[tag] for _, _, means in self.means])
                values[rows, :, self.column[tag]] = means.cpu().numpy()
                present[rows, :, self.column[tag]] = True
        times = np.array([stamps[step] for step in order])
        return Block(np.array(order), times, values, present)
