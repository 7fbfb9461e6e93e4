"""Recording of watched steps: stacked, measured in blocks, and written to a sink."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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

FINAL = (
    *("loss/train", "accuracy/train", "logit_grad/wrong", "logit_grad/right"),
    *("stuck/fraction", "stuck/zero", "saturation/fraction"),
)
"""Tags whose last number is a final one."""


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
        self.task, self.head, self.parameters = first.task, head, hooks.parameters
        self.spread = head is not None and head.range.per_target == 2
        subject = Subject(
            first.task.classes, self.spread, hooks.parameters.names, hooks.dense, hooks.hidden
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
            spreads=predictions.chunk(2, -1)[1] if self.spread else None,
            labels=labels,
            predictions=predictions,
            prediction_grads=everywhere,
            network=self.parameters.by_layer(stack_network(steps)),
            broken=~logits.sum((-2, -1)).isfinite()[..., None] | losses.isinf(),
        )


class Recording:
    """Collects steps, and flushes them in blocks to a sink."""

    def __init__(
        self, sink: Sink, settings: ProbeSettings, head: Head | None, hooks: ModelHooks
    ) -> None:
        self.sink, self.settings, self.head, self.hooks = sink, settings, head, hooks
        self.stack: StepStack | None = None
        self.rates: list[float | Tensor] = []
        self.last: dict[str, float] = {}
        self.broken = False

    def keep(self, step: WatchedStep) -> bool:
        """Add a step, later than those before; returns True if it led to a flush."""
        if self.broken:
            return False
        if self.stack is None:
            self.stack = StepStack(self.settings, self.head, self.hooks, step)
            self.measurements = Measurements(self.stack.probes, self.stack.values)
            self.sink.begin((*self.stack.tags, "learning_rate"))
        self.measurements.keep(step.scheduled())
        self.rates.append(step.rate)
        due = self.measurements.due()
        if due:
            self.flush()
        return due

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
        with self._stopped_by_disk():
            self.sink.close(status, reason, {**self.last, **metrics}, program)

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
            if tag in FINAL and len(rows):
                self.last[tag] = float(values[rows[-1], column])
        values = np.concatenate((values, rates.astype(values.dtype)), axis=1)
        present = np.concatenate((present, np.ones_like(rates, dtype=bool)), axis=1)
        histograms = {
            tag: Histogram(*(column[:, 0] for column in columns))
            for tag, columns in measured.histograms.items()
        }
        self.sink.record(measured._replace(numbers=values, present=present, histograms=histograms))
