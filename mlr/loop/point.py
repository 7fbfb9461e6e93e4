"""One scheduled step as it was heard, and stacks of them measured by the probes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from mlr.heads import Head
from mlr.loop.batch import Task
from mlr.loop.layers import TrainedLayers
from mlr.probes import NetworkValues, ProbeSettings, StepValues, Subject, make_probes

NEEDS_HEAD = frozenset({"confidence", "slopes", "prediction"})
"""Families that read predictions."""


@dataclass
class Point:
    """What a step leaves behind: a batch of B examples, n parameters."""

    step: int
    due: frozenset[str]
    """families, and histograms"""
    time: float
    """seconds since 1970"""
    rate: float | Tensor
    """the optimizer's learning rate"""
    logits: Tensor
    """z (B, K)"""
    targets: Tensor
    """class numbers (B,), or one-hot or numbers (B, K)"""
    loss: Tensor | None
    """mean L ()"""
    task: Task
    """what the logits are for"""
    batch: int
    """length of the first axis of the logits: what layers call examples"""
    logit_grads: Tensor | None = None
    """dL/dz (B, K) of each example's own loss; None until a backward pass came by"""
    sizes: dict[str, Tensor] = field(default_factory=dict)
    """gradient, nonfinite, weight, update: a number a parameter (n,)"""
    cosine: Tensor | None = None
    squares: Tensor | None = None
    """‖g_i‖² (dense layers, examples)"""
    dead: Tensor | None = None
    flat: Tensor | None = None
    """shares by hidden layer"""
    heard: bool = False
    """whether a backward pass was heard to its end"""
    stepped: bool = False
    """whether the update came"""


class Measured(NamedTuple):
    """Points of one shape in numbers, on their device."""

    points: list[Point]
    numbers: Tensor
    """(P, tags)"""
    present: Tensor
    """which of them are there (P, tags)"""


class Meter:
    """The probes of one loop, and the tags they have.

    Args:
        settings: which families.
        task: what the logits are for.
        head: None if nobody named one.
        layers: of the model.
        dense: those of them where examples have gradients of their own.
        hidden: those with units.
        has_loss: whether the loss is told.
    """

    def __init__(
        self,
        settings: ProbeSettings,
        task: Task,
        head: Head | None,
        layers: TrainedLayers,
        dense: Sequence[str],
        hidden: Sequence[str],
        has_loss: bool,
    ) -> None:
        self.task, self.head, self.layers = task, head, layers
        spread = head is not None and head.range.per_target == 2
        self.subject = Subject(task.classes, spread, layers.names, tuple(dense), tuple(hidden))
        self.dense = [layers.names.index(name) for name in dense]
        self.probes = [
            probe
            for probe in make_probes(settings, self.subject)
            if head is not None or probe.family not in NEEDS_HEAD
        ]
        every = [tag for probe in self.probes for tag in probe.tags]
        self._known = [not self._is_unknown(tag, has_loss) for tag in every]
        self.tags = tuple(tag for tag, known in zip(every, self._known, strict=True) if known)

    def _is_unknown(self, tag: str, has_loss: bool) -> bool:
        # the loss as a function of predictions is the user's own, and not told
        of_loss = tag.startswith("slope/loss") or (tag == "loss/train" and not has_loss)
        return of_loss or (tag == "saturation/fraction" and self.head is None)

    def measure(self, points: Sequence[Point]) -> list[Measured]:
        """Points of one shape and with the same due together."""
        stacks: dict[tuple[torch.Size, frozenset[str]], list[Point]] = defaultdict(list)
        for point in points:
            stacks[point.logits.shape, point.due].append(point)
        return [self._measure(stack) for stack in stacks.values()]

    def _measure(self, stack: list[Point]) -> Measured:
        values, due = self._values(stack), stack[0].due
        # NaN beside finite numbers: no such example in the batch
        broken = ~values.logits.sum((-2, -1)).isfinite() | values.losses[..., 0].isinf()
        numbers, present = [], []
        for probe in self.probes:
            if probe.family in due:
                found = probe.measure(values)[:, 0]
                present.append(~found.isnan() | broken)
            else:
                found = values.logits.new_full((len(stack), len(probe.tags)), torch.nan)
                present.append(torch.zeros_like(found, dtype=torch.bool))
            numbers.append(found)
        known = torch.tensor(self._known, device=values.logits.device)
        joined = torch.cat(numbers, -1), torch.cat(present, -1)
        return Measured(stack, *(part[:, known] for part in joined))

    def _values(self, stack: list[Point]) -> StepValues:
        """What probes read, of one run: logits (P, 1, B, K)."""
        logits = torch.stack([point.logits for point in stack])[:, None]
        gradients = [point.logit_grads for point in stack if point.logit_grads is not None]
        targets = torch.stack([point.targets for point in stack])[:, None]
        labels = right = None
        if self.task.classes is not None:
            classes = self.task.labels(targets)
            labels = classes.to(logits.dtype)
            right = (self.task.decide(logits, self.head) == classes).to(logits.dtype)
        unknown = logits.new_full((), torch.nan).expand(logits.shape)
        predictions = unknown
        if self.head is not None and (self.subject.spread or stack[0].due & NEEDS_HEAD):
            predictions = self.head(logits)
        losses = [logits.new_full((), torch.nan) if p.loss is None else p.loss for p in stack]
        return StepValues(
            logits=logits,
            logit_grads=torch.stack(gradients)[:, None],
            losses=torch.stack(losses).to(logits)[:, None, None],
            slopes=self.head.slope(logits) if self.head is not None else unknown,
            right=right,
            spreads=predictions.chunk(2, -1)[1] if self.subject.spread else None,
            labels=labels,
            predictions=predictions,
            prediction_grads=unknown,
            network=self._network(stack),
        )

    def _network(self, stack: list[Point]) -> NetworkValues:
        found: dict[str, Tensor] = {}
        kinds = {kind for point in stack for kind in point.sizes}
        for kind in kinds & {"gradient", "weight", "update"}:
            found[f"{kind}_norms"] = self.layers.norms(_stacked(stack, kind))
        if "nonfinite" in kinds:
            found["nonfinite"] = self.layers.sums(_stacked(stack, "nonfinite"))
        if "gradient_norms" in found:
            found["dense_norms"] = found["gradient_norms"][:, self.dense]
        for name, attribute in _OTHERS.items():
            of_points = [getattr(point, attribute) for point in stack]
            if all(value is not None for value in of_points):
                found[name] = torch.stack(of_points)
        return NetworkValues(**{name: value[:, None] for name, value in found.items()})


_OTHERS = {"cosine": "cosine", "sample_squares": "squares", "dead": "dead", "flat": "flat"}
"""Field of `NetworkValues` → that of `Point`."""


def _stacked(stack: Sequence[Point], kind: str) -> Tensor:
    """Sizes (P, n); NaN where a point lacks them."""
    some = next(point.sizes[kind] for point in stack if kind in point.sizes)
    missing = torch.full_like(some, torch.nan)
    return torch.stack([point.sizes.get(kind, missing) for point in stack])
