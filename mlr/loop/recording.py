"""Recording of watched steps: stacked, measured in blocks, and written to a sink."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlr.core.checks import users_stacklevel
from mlr.core.domains import Distributions
from mlr.heads import Head
from mlr.loop.model_hooks import ModelHooks
from mlr.loop.sinks import Sink
from mlr.loop.steps import WatchedStep
from mlr.probes import ProbeSettings
from mlr.probes.base import StepValues, Subject
from mlr.probes.families import fields_read
from mlr.probes.histograms import Histogram
from mlr.probes.measuring import Measured, Measurements, ScheduledStep, stack_network
from mlr.probes.settings import make_probes
from mlr.records.settings import Value

FINAL = (
    *("loss/train", "accuracy/train", "logit_grad/wrong", "logit_grad/right"),
    *("stuck/fraction", "stuck/zero", "saturation/fraction"),
)
"""Tags whose final number is the mean over the last quarter of the updates."""
VALIDATED = ("loss/val", "accuracy/val")
"""Columns for numbers of a validation, the second for classes only."""
LATE = 0.75
"""Share of the updates after which numbers are final."""


class StepStack:
    """Probes of one loop, and the values that they read of stacked steps.

    Args:
        settings: with the families.
        head: None if unknown.
        hooks: of the model.
        first: the first step, which shows what can be measured.

    Attributes:
        probes: by family.
        known: whether each tag of the probes can be measured.
        tags: names of those that can.
    """

    def __init__(
        self, settings: ProbeSettings, head: Head | None, hooks: ModelHooks, first: WatchedStep
    ) -> None:
        self.task, self.parameters = first.task.judged(first.targets), hooks.parameters
        head = None if self.task.threshold else head  # it would be applied to its own predictions
        self.head = head
        if not self.task.fits:
            warnings.warn(
                f"targets of shape {first.shapes[1]} fit no axis of outputs of shape "
                f"{first.shapes[0]} as that of the classes, or the loss does not tell which it "
                "compares: accuracy, and gradients of right and wrong examples, are left out.",
                stacklevel=users_stacklevel(),
            )
        self.spread = (
            head is not None and isinstance(head.range, Distributions) and head.range.density
        )
        subject = Subject(
            self.task.classes, self.spread, hooks.parameters.names, hooks.dense, hooks.hidden
        )
        self.probes = {
            name: probe
            for name, probe in make_probes(settings, subject).items()
            if head is not None or "predictions" not in probe.reads
        }
        unknown = ["slope/loss"]  # the loss as a function of predictions is the user's own
        if first.loss is None:
            unknown.append("loss/train")
        if head is None:
            unknown.append("saturation/fraction")
        every = [tag for probe in self.probes.values() for tag in probe.tags]
        self.known = [not tag.startswith(tuple(unknown)) for tag in every]
        self.tags = tuple(tag for tag, known in zip(every, self.known, strict=True) if known)

    def values(self, steps: Sequence[ScheduledStep]) -> StepValues:
        """Stack steps of one shape and with the same families due, with a run axis of 1."""
        logits = torch.stack([step.logits for step in steps])
        targets = torch.stack([step.targets for step in steps])
        labels = right = None
        if self.task.classes is not None:
            classes = self.task.labels(targets)
            labels = classes.to(logits.dtype)
            right = (self.task.decide(logits, self.head) == classes).to(logits.dtype)
        unknown = logits.new_full((), torch.nan)
        everywhere = predictions = unknown.expand(logits.shape)
        reads_predictions = "predictions" in fields_read(steps[0].due)
        if self.head is not None and (self.spread or reads_predictions):
            predictions = self.head(logits)
        losses = torch.stack([unknown if one.loss is None else one.loss for one in steps])
        losses = losses.to(logits)[:, None, None]
        return StepValues(
            logits=logits,
            logit_grads=torch.stack([step.logit_grads for step in steps]),
            losses=losses,
            slopes=self.head.slope(logits) if self.head is not None else everywhere,
            right=right,
            spreads=self.head.std(predictions) if self.head is not None and self.spread else None,
            labels=labels,
            predictions=predictions,
            points=self.head.point(predictions)
            if self.head is not None and self.task.classes is None and reads_predictions
            else None,
            prediction_grads=everywhere,
            network=self.parameters.by_layer(stack_network(steps)),
            broken=~logits.sum((-2, -1)).isfinite()[..., None] | losses.isinf(),
        )


class Recording:
    """Collects steps, and flushes them in blocks to a sink."""

    def __init__(
        self,
        sink: Sink,
        settings: ProbeSettings,
        head: Head | None,
        hooks: ModelHooks,
        describe: Callable[[], Mapping[str, Value]],
    ) -> None:
        self.sink, self.settings, self.head, self.hooks = sink, settings, head, hooks
        self.describe = describe  # hyper-parameters that the first batch shows
        self.stack: StepStack | None = None
        self.rates: list[float | Tensor] = []
        self.points: dict[str, list[tuple[int, float]]] = {tag: [] for tag in FINAL}
        self.validations: list[tuple[int, dict[str, float]]] = []  # that wait for the files
        self.last: dict[str, float] = {}  # numbers of the last validation
        self.begun = self.broken = False
        self.validated_tags: tuple[str, ...] = VALIDATED

    def keep(self, step: WatchedStep) -> bool:
        """Add a step, later than those before; returns True if it led to a flush."""
        if self.broken:
            return False
        if self.stack is None:
            self.stack = StepStack(self.settings, self.head, self.hooks, step)
            self.measurements = Measurements(self.stack.probes, self.stack.values)
            with self._stopped_by_disk():
                self._begin(step)
        self.measurements.keep(step.scheduled())
        self.rates.append(step.rate)
        due = self.measurements.due()
        if due:
            self.flush()
        return due

    def _begin(self, step: WatchedStep | None) -> None:
        """Open the files, when the first batch has shown what there is to record."""
        self.begun = True
        batch = {} if step is None else {"batch_size": step.batch}
        self.sink.describe({**self.describe(), **batch})
        if step is not None and step.task.classes is None:
            self.validated_tags = ("loss/val",)
        measured = () if self.stack is None else (*self.stack.tags, "learning_rate")
        self.sink.begin((*measured, *self.validated_tags))
        for one in self.validations:
            self.sink.validated(*one)

    def validated(self, step: int, numbers: Mapping[str, float]) -> None:
        """Record numbers of a validation by tag, after an update."""
        self.last |= numbers
        self.flush()
        if not self.begun:
            self.validations.append((step, dict(numbers)))
        elif not self.broken:
            with self._stopped_by_disk():
                self.sink.validated(step, numbers)

    def flush(self) -> None:
        """Measure the collected steps in one transfer, and record them.

        A full disk stops the recording, with a warning, and not the training.
        """
        if self.stack is None:
            return
        rates, self.rates = self.rates, []
        try:
            measured = self.measurements.measured()
        finally:  # steps that cannot be measured are not tried again
            self.measurements.forget()
        if measured is not None:
            with self._stopped_by_disk():
                self._record(self.stack, measured, np.array([[float(rate)] for rate in rates]))

    def note(self, program: Mapping[str, Any]) -> None:
        """Record the evidence on the program so far."""
        if not self.broken:
            with self._stopped_by_disk():
                self.sink.note(program)

    def close(
        self,
        status: str,
        reason: str | None,
        metrics: Mapping[str, float],
        program: Mapping[str, Any] | None,
    ) -> None:
        """Record the end with the evidence; None leaves that as it is."""
        if self.broken:
            return
        finals = {tag: _late_mean(points) for tag, points in self.points.items() if points}
        if status == "done" and not isfinite(finals.get("loss/train", 0)):
            status = "diverged"
        with self._stopped_by_disk():
            if self.validations and not self.begun:
                self._begin(None)
            self.sink.close(status, reason, {**finals, **self.last, **metrics}, program)

    @contextmanager
    def _stopped_by_disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.broken = True
            warnings.warn(f"GradientProbe stops recording: {error}", stacklevel=2)

    def _record(self, stack: StepStack, measured: Measured, rates: NDArray) -> None:
        values = measured.numbers[:, 0, stack.known]
        present = measured.present[:, 0, stack.known]
        for column, tag in enumerate(stack.tags):
            rows = np.flatnonzero(present[:, column])
            if tag in FINAL:
                steps = measured.steps[rows].tolist()
                self.points[tag] += zip(steps, values[rows, column].tolist(), strict=True)
        none = np.full((len(rates), len(self.validated_tags)), np.nan, dtype=values.dtype)
        values = np.concatenate((values, rates.astype(values.dtype), none), axis=1)
        there = np.ones_like(rates, dtype=bool), np.zeros_like(none, dtype=bool)
        present = np.concatenate((present, *there), axis=1)
        histograms = {
            tag: Histogram(*(column[:, 0] for column in columns))
            for tag, columns in measured.histograms.items()
        }
        self.sink.record(measured._replace(numbers=values, present=present, histograms=histograms))


def _late_mean(points: Sequence[tuple[int, float]]) -> float:
    """Average the numbers of the last quarter of the updates."""
    last = points[-1][0]
    late = [number for step, number in points if step >= LATE * last]
    return sum(late) / len(late)
