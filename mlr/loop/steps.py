"""Scheduled steps of a loop, and the values that probes read of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mlr.heads import Head
from mlr.loop.batch import LogitsTask
from mlr.loop.parameters import TrainedParameters
from mlr.probes import ProbeSettings
from mlr.probes.base import StepValues, Subject
from mlr.probes.families import fields_read
from mlr.probes.measuring import ScheduledStep, stack_network
from mlr.probes.settings import make_probes


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
    batch: int
    """length of the first axis of the logits, which layers have too"""
    grads: Tensor | None = None
    """dL/dz (B, K) of each example's own loss; None before the backward pass"""
    statistics: dict[str, Tensor] = field(default_factory=dict)
    """`StepValues.network`, by parameter (n,) instead of by layer"""
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
        first: the first step.
        head: None if unknown.
        parameters: of the model.
        dense: layers with sample gradients.
        hidden: layers with units.

    Attributes:
        probes: by family.
        known: whether each tag of the probes can be measured.
        tags: names of those that can.
    """

    def __init__(
        self,
        settings: ProbeSettings,
        first: WatchedStep,
        head: Head | None,
        parameters: TrainedParameters,
        dense: tuple[str, ...],
        hidden: tuple[str, ...],
    ) -> None:
        self.task, self.head, self.parameters = first.task, head, parameters
        self.spread = head is not None and head.range.per_target == 2
        subject = Subject(first.task.classes, self.spread, parameters.names, dense, hidden)
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
