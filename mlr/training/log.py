"""The logged steps of a program, handed to the recorders of its runs in blocks."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter, time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlr.probes import make_probes
from mlr.records import Recorder
from mlr.training.experiment import Experiment
from mlr.training.measure import measure_histograms, measure_steps
from mlr.training.parameters import Layout
from mlr.training.step import LoggedStep, Program

FLUSH_SECONDS = 2.0
FLUSH_BYTES = 64 << 20


def run_tags(experiment: Experiment) -> tuple[str, ...]:
    """Every tag a run of this kind can record, in the order of its table's columns."""
    classification = experiment.data.classes is not None
    layers = tuple(Layout.of(experiment.module).layers())
    probes = make_probes(experiment.probes, classification, layers)
    splits = [f"loss/{split}" for split in ("val", "test")]
    if classification:
        splits += [f"accuracy/{split}" for split in ("val", "test")]
    return (*(tag for probe in probes for tag in probe.tags), *splits, "learning_rate")


class StepLog:
    """Keeps logged steps and validations until they are due, and watches for divergence."""

    def __init__(
        self,
        program: Program,
        experiments: Sequence[Experiment],
        recorders: Sequence[Recorder | None],
    ) -> None:
        first = experiments[0]
        self.program, self.recorders = program, recorders
        self.classification = first.data.classes is not None
        self.probes = make_probes(first.probes, self.classification, tuple(program.layers))
        self.tags = run_tags(first)
        self.column = {tag: index for index, tag in enumerate(self.tags)}
        self.steps_per_epoch = first.steps_per_epoch
        # the table prints the digits that the numbers have
        self.number_type = np.float64 if first.dtype == "float64" else np.float32
        self.rates = np.array([experiment.optimizer.lr for experiment in experiments])
        self.histogram_every = first.probes.histogram_every
        self.flushed_steps = 0
        self.flushed_at = perf_counter()
        self.diverged: dict[int, int] = {}
        """run → first logged step at which its loss is not finite"""
        self.ends: dict[int, int] = {}
        """run → last step to record, of runs that are over while their siblings go on"""
        self.closed: set[int] = set()
        self._forget()

    def _forget(self) -> None:
        self.steps: list[tuple[float, LoggedStep]] = []
        self.validations: list[tuple[float, int, dict[str, Tensor]]] = []
        self.bytes = 0

    def keep(self, step: LoggedStep) -> None:
        """Remember a logged step; its numbers are computed at the next flush."""
        self.steps.append((time(), step))
        self.bytes += 2 * step.logits.numel() * step.logits.element_size()

    def keep_validation(self, step: int, means: dict[str, Tensor]) -> None:
        """Remember the means (R,) over the validation split after `step` updates."""
        self.validations.append((time(), step, means))

    def due(self) -> bool:
        """Whether enough has gathered, or enough time has gone by, for a flush."""
        return self.bytes > FLUSH_BYTES or perf_counter() - self.flushed_at > FLUSH_SECONDS

    def flush(self) -> None:
        """Compute what is kept, look for divergence, and record it."""
        self.flushed_at = perf_counter()
        if not self.steps and not self.validations:
            return
        steps, times, values, present = self._block()
        every = self.histogram_every
        drawn = [
            kept
            for number, kept in enumerate(self.steps, start=self.flushed_steps)
            if every and number % every == 0
        ]
        self.flushed_steps += len(self.steps)
        self._forget()
        counted = sum(recorder is not None for recorder in self.recorders)
        histograms = measure_histograms([kept for _, kept in drawn]) if drawn and counted else {}
        drawn_at = np.array([kept.step for _, kept in drawn], dtype=np.int64)
        drawn_times = np.array([stamp for stamp, _ in drawn])
        for run, recorder in enumerate(self.recorders):
            self._watch(run, steps, values[:, run], present[:, run])
            if recorder is None or run in self.closed:
                continue
            end = self.ends.get(run, np.inf)
            if run in self.ends:
                self.closed.add(run)
            rows = int(np.searchsorted(steps, end, side="right"))
            recorder.scalars(
                steps[:rows],
                steps[:rows] / self.steps_per_epoch,
                values[:rows, run].astype(self.number_type),
                present[:rows, run],
                times[:rows],
            )
            for tag in histograms:
                bars = int(np.searchsorted(drawn_at, end, side="right"))
                columns = [column[:bars].numpy() for column in histograms[tag][run]]
                recorder.histograms(drawn_at[:bars], tag, *columns, drawn_times[:bars])
            recorder.flush()

    def _watch(self, run: int, steps: NDArray, values: NDArray, present: NDArray) -> None:
        """Note the first step at which a loss of `run` is not finite: there the run is over."""
        if run in self.ends:
            return
        losses = [self.column["loss/train"], self.column["loss/val"]]
        bad = present[:, losses] & ~np.isfinite(values[:, losses])
        if bad.any():
            self.diverged[run] = self.ends[run] = int(steps[bad.any(1)][0])

    def _block(self) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Steps (M,), wall times (M,), values (M, R, tags) and which of them are there."""
        stamps = {kept.step: stamp for stamp, kept in self.steps}
        stamps |= {step: stamp for stamp, step, _ in self.validations}
        order = sorted(stamps)
        row = {step: index for index, step in enumerate(order)}
        values = np.full((len(order), len(self.recorders), len(self.tags)), np.nan)
        present = np.zeros(values.shape, dtype=bool)
        if self.steps:
            kept = [step for _, step in self.steps]
            rows = np.array([row[step.step] for step in kept])
            probed = measure_steps(self.program, self.probes, kept, self.classification)
            width = probed.shape[-1]
            values[rows, :, :width] = probed
            # NaN beside a finite loss: no such example in the batch, so nothing to record
            present[rows, :, :width] = ~np.isnan(probed) | ~np.isfinite(probed[..., :1])
            factors = np.array([self.program.factors[step.step] for step in kept])
            values[rows, :, self.column["learning_rate"]] = factors[:, None] * self.rates
            present[rows, :, self.column["learning_rate"]] = True
        if self.validations:
            rows = np.array([row[step] for _, step, _ in self.validations])
            for name in self.validations[0][2]:
                means = torch.stack([means[name] for _, _, means in self.validations])
                values[rows, :, self.column[f"{name}/val"]] = means.cpu().double().numpy()
                present[rows, :, self.column[f"{name}/val"]] = True
        return np.array(order), np.array([stamps[step] for step in order]), values, present
