"""Log of a program: measured steps and means over splits, recorded in blocks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from time import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlr.probes.base import StepValues
from mlr.probes.families import fields_read
from mlr.probes.histograms import edges
from mlr.probes.measuring import Measured, Measurements, ScheduledStep, stack_network, stacked
from mlr.probes.settings import make_probes
from mlr.records import Recorder
from mlr.records.recorder import flush_all, record_histograms, record_scalars
from mlr.training.evaluation import judged_by
from mlr.training.experiment import Experiment
from mlr.training.step import Program
from mlr.training.stopping import Stopping


def run_tags(experiment: Experiment) -> tuple[str, ...]:
    """List every tag that a run can record, in the order of its table's columns."""
    probes = make_probes(experiment.probes, experiment.subject)
    names = ["loss", *judged_by(experiment.subject)]
    names += ["predicted_std"] * experiment.spread
    judged = ("val", "test") if experiment.data.validated else ("test",)
    splits = [f"{name}/{split}" for name in names for split in judged]
    measured = (tag for probe in probes.values() for tag in probe.tags)
    return (*measured, *splits, "learning_rate")


class StepLog:
    """Collects measured steps, and means over whole splits, until a flush."""

    def __init__(
        self, program: Program, recorders: Sequence[Recorder | None], stopping: Stopping
    ) -> None:
        first = program.runs[0]
        self.program, self.recorders, self.stopping = program, recorders, stopping
        self.wanted = any(recorders)
        self.measurements = Measurements(
            make_probes(first.probes, program.subject),
            partial(stack_values, program),
            program.memory_axes,
            partial(program.of_runs, axis=1),
            len(recorders),
        )
        self.tags = run_tags(first)
        self.column = {tag: index for index, tag in enumerate(self.tags)}
        self.of_splits = np.array([tag.endswith(("/val", "/test")) for tag in self.tags])
        self.steps_per_epoch = first.steps_per_epoch
        # the table prints the digits of this dtype
        self.number_type = np.float64 if first.dtype == "float64" else np.float32
        self.rates = np.array([run.optimizer.lr for run in program.runs])
        self._forget()

    def _forget(self) -> None:
        self.means: list[tuple[float, int, dict[str, Tensor]]] = []
        self.measurements.forget()

    def keep(self, step: ScheduledStep) -> None:
        """Add a measured step; it is recorded at the next flush."""
        if self.wanted:
            self.measurements.keep(step)

    def keep_means(self, step: int, means: dict[str, Tensor]) -> None:
        """Add means (R,) over whole splits, by tag, after `step` updates."""
        if means:
            self.means.append((time(), step, means))

    def flush(self) -> None:
        """Measure the collected steps and record them."""
        measured = self.measurements.measured() if self.wanted else None
        if not self.wanted or (measured is None and not self.means):
            self._forget()
            return
        rows = self._rows(measured)
        self._forget()  # if interrupted from here on, the next flush records no step twice
        self._record_scalars(*rows)
        if measured is not None:
            self._record_histograms(measured)
        flush_all(self.recorders)

    def _ends(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Updates and batches at which each run stopped (R,); infinite if it has not."""
        steps, batches = np.full((2, len(self.recorders)), np.inf)
        for run, ending in self.stopping.ended.items():
            steps[run], batches[run] = ending.step, ending.batches
        return steps, batches

    def _record_scalars(
        self, steps: NDArray, times: NDArray, values: NDArray, present: NDArray
    ) -> None:
        """Record rows, for each run without means after its end and batches it did not see.

        The batch after its last update belongs to a run only if that update was refused.
        """
        ends, batches = self._ends()
        present[(steps[:, None] > ends)[..., None] & self.of_splits] = False
        present[(steps[:, None] >= batches)[..., None] & ~self.of_splits] = False
        epochs = steps / self.steps_per_epoch
        record_scalars(self.recorders, steps, epochs, values, present, times)

    def _record_histograms(self, measured: Measured) -> None:
        """Record the histograms of each run before its end."""
        steps, times = measured.steps[measured.drawn], measured.times[measured.drawn]
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

    def _rows(self, measured: Measured | None) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Join steps and means: steps and times (M,), values and presence (M, R, tags)."""
        steps = [] if measured is None else measured.steps.tolist()
        ends = [step for _, step, _ in self.means]
        order = np.array(sorted({*steps, *ends}))
        times = np.empty(len(order))
        shape = (len(order), len(self.recorders), len(self.tags))
        values = np.full(shape, np.nan, dtype=self.number_type)
        present = np.zeros(values.shape, dtype=bool)
        if measured is not None:
            rows = np.searchsorted(order, steps)
            times[rows] = measured.times
            width = measured.numbers.shape[-1]
            values[rows, :, :width] = measured.numbers
            present[rows, :, :width] = measured.present
            factors = np.array([self.program.factors[step] for step in steps])
            with np.errstate(over="ignore"):  # a rate of 1e300 is infinite in float32
                values[rows, :, self.column["learning_rate"]] = factors[:, None] * self.rates
            present[rows, :, self.column["learning_rate"]] = True
        if self.means:
            rows = np.searchsorted(order, ends)
            times[rows] = [stamp for stamp, _, _ in self.means]
            for tag in self.means[0][2]:
                means = torch.stack([means[tag] for _, _, means in self.means])
                values[rows, :, self.column[tag]] = means.cpu().numpy()
                present[rows, :, self.column[tag]] = True
        return order, times, values, present


def stack_values(program: Program, steps: Sequence[ScheduledStep]) -> StepValues:
    """Stack steps of one batch size and with the same families due for the probes."""
    objectives, axes = program.objectives, program.memory_axes
    fields = fields_read(steps[0].due)
    logits = stacked([kept.logits for kept in steps], axes)
    given = stacked([kept.targets for kept in steps], axes)
    targets = given[..., :-1] if program.weighted else given
    labels = objectives.labels(targets) if program.classification else None
    right = None if labels is None else objectives.right(logits, labels, axis=1)
    label_targets = right_labels = None
    if program.multilabel:
        label_targets, right_labels = targets, objectives.right_labels(logits, targets, axis=1)
        right = right_labels.amin(-1)
    losses = program.trained.losses(logits, given, axis=1)
    predictions = spreads = None
    if program.spread or "predictions" in fields:
        predictions = objectives.predictions(logits, axis=1)
        spreads = objectives.stds(predictions, targets, axis=1) if program.spread else None
    points = None
    if predictions is not None and not program.classification:
        points = objectives.points(predictions, targets, axis=1)
    if program.units is not None:
        points = None if points is None else program.units.values(points)
        spreads = None if spreads is None else program.units.differences(spreads)
    prediction_grads = None
    if predictions is not None and "prediction_grads" in fields:
        prediction_grads = objectives.prediction_grads(predictions, targets, axis=1)
        if program.weighted:
            prediction_grads = prediction_grads * given[..., -1:]
    return StepValues(
        logits=logits,
        logit_grads=stacked([kept.logit_grads for kept in steps], axes),
        losses=losses,
        slopes=objectives.slopes(logits, axis=1),
        right=right,
        label_targets=label_targets,
        right_labels=right_labels,
        spreads=spreads,
        labels=labels if "labels" in fields else None,
        predictions=predictions,
        points=points,
        prediction_grads=prediction_grads,
        network=stack_network(steps),
        broken=losses.sum(-1, keepdim=True).isfinite().logical_not_(),
    )
