"""Scheduled steps of a loop, and the values that probes read of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mlr.heads import Head
from mlr.loop.batch import LogitsTask
from mlr.loop.parameters import TrainedParameters
from mlr.probes import ProbeSettings, StepValues, Subject, make_probes
from mlr.probes.base import stack_network
from mlr.probes.families import fields_read
from mlr.probes.measuring import ScheduledStep


@dataclass
class WatchedStep:
    """Step with B examples and n parameters, until its update is done."""

    step: int
    due: frozenset[str]
    time: float
    rate: float | Tensor
    """the optimizer's learning rate"""
    logits: Tensor
    """z (B, K)"""
    targets: Tensor
    """class indices (B,), or one-hot or numbers (B, K)"""
    loss: Tensor | None
    """mean L ()"""
    task: LogitsTask
    """properties of the logits' task"""
    batch: int
    """length of the first axis of the logits, which layers have too"""
    grads: Tensor | None = None
    """dL/dz (B, K) of each example's own loss; None before the backward pass"""
    statistics: dict[str, Tensor] = field(default_factory=dict)
    """fields of `NetworkValues`, by parameter (n,) instead of by layer"""
    differentiated: bool = False
    """whether a backward pass came to its end"""
    updated: bool = False
    """whether the optimizer's step was done"""

    def scheduled(self) -> ScheduledStep:
        """Return the tensors for the probes, with a run axis of 1."""
        assert self.grads is not None
        return ScheduledStep(
            *(self.step, self.time, self.due, self.logits[None], self.targets[None]),
            *(self.grads[None], {name: own[None] for name, own in self.statistics.items()}),
            self.loss,
        )


class StepStack:
    """Probes of one loop, and the values that they read of stacked steps.

    Args:
        settings: with the families.
        task: of the logits.
        head: None if unknown.
        parameters: of the model.
        dense: layers with sample gradients.
        hidden: layers with units.
        has_loss: whether the loss is known.

    Attributes:
        probes: by family.
        known: whether each tag of the probes can be measured.
        tags: names of those that can.
    """

    def __init__(
        self,
        settings: ProbeSettings,
        task: LogitsTask,
        head: Head | None,
        parameters: TrainedParameters,
        dense: tuple[str, ...],
        hidden: tuple[str, ...],
        has_loss: bool,
    ) -> None:
        self.task, self.head, self.parameters = task, head, parameters
        spread = head is not None and head.range.per_target == 2
        self.subject = Subject(task.classes, spread, parameters.names, dense, hidden)
        self.probes = {
            name: probe
            for name, probe in make_probes(settings, self.subject).items()
            if head is not None or "predictions" not in probe.reads
        }
        every = [tag for probe in self.probes.values() for tag in probe.tags]
        self.known = [not self._is_unknown(tag, has_loss) for tag in every]
        self.tags = tuple(tag for tag, known in zip(every, self.known, strict=True) if known)

    def _is_unknown(self, tag: str, has_loss: bool) -> bool:
        # the loss as a function of predictions is the user's own
        of_loss = tag.startswith("slope/loss") or (tag == "loss/train" and not has_loss)
        return of_loss or (tag == "saturation/fraction" and self.head is None)

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
        if self.head is not None and (self.subject.spread or reads_predictions):
            predictions = self.head(logits)
        losses = torch.stack([unknown if one.loss is None else one.loss for one in steps])
        losses = losses.to(logits)[:, None, None]
        return StepValues(
            logits=logits,
            logit_grads=torch.stack([step.logit_grads for step in steps]),
            losses=losses,
            slopes=self.head.slope(logits) if self.head is not None else everywhere,
            right=right,
            spreads=predictions.chunk(2, -1)[1] if self.subject.spread else None,
            labels=labels,
            predictions=predictions,
            prediction_grads=everywhere,
            network=self.parameters.by_layer(stack_network([step.statistics for step in steps])),
            broken=~logits.sum((-2, -1)).isfinite()[..., None] | losses.isinf(),
        )
