"""One update of L lanes: logits → dL/dz → gradients → parameters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from mlr.core.checks import InputError
from mlr.probes import NetworkValues
from mlr.training.arrange import distinct
from mlr.training.background import Background
from mlr.training.capture import OF_LAYERS, Capture, subject_of
from mlr.training.experiment import Experiment
from mlr.training.layerwatch import LayerWatch, joined
from mlr.training.network import Kind, Network, Weights, kind_of
from mlr.training.run_objectives import RunObjectives, Targets, identity
from mlr.training.steppers import column, limit_norm
from mlr.training.threads import threads

NOTHING: frozenset[str] = frozenset()


class LoggedStep(NamedTuple):
    """What a logged step leaves behind: the step's tensors, of L lanes, nothing computed yet."""

    step: int
    """updates done before it"""
    logits: Tensor
    """z (L, B, K)"""
    targets: Targets
    """t (L, B, K)"""
    logit_grads: Tensor
    """dL/dz (L, B, K) of each example's own loss"""
    due: frozenset[str]
    """families that are measured of it, and histograms"""
    network: NetworkValues
    """what layers and parameters came to, of L lanes"""


def by_objective(experiments: Sequence[Experiment]) -> list[int]:
    """Numbers of the runs, those with one objective side by side, in the order of the first."""
    _, group_of = distinct([identity(one.objective) for one in experiments])
    return sorted(range(len(experiments)), key=group_of.__getitem__)


def place(experiments: Sequence[Experiment], block: int) -> tuple[list[int], list[int]]:
    """Which run each lane computes, and the lane of each run, runs being sorted by objective.

    Runs with one objective fill whole blocks; spare lanes repeat one of them.
    """
    _, group_of = distinct([identity(one.objective) for one in experiments])
    lanes: list[int] = []
    lane_of: list[int] = []
    for group in range(max(group_of) + 1):
        members = [run for run, own in enumerate(group_of) if own == group]
        lane_of += range(len(lanes), len(lanes) + len(members))
        lanes += members + [members[0]] * (-len(members) % block)
    return lanes, lane_of


class Part(NamedTuple):
    """Some lanes of a program, and what differentiates them."""

    rows: slice
    network: Network
    objectives: RunObjectives

    def differentiate(
        self, inputs: Tensor, targets: Targets, step: int, watch: LayerWatch | None
    ) -> tuple[Tensor, Tensor]:
        """Write the lanes' gradients; their logits and dL/dz (L, B, K)."""
        logits, tape = self.network.forward(inputs, step, watch is not None)
        logit_grads = self.objectives.gradient(logits, targets)
        self.network.backward(tape, logit_grads, watch)  # type: ignore[arg-type]
        return logits, logit_grads


class Program:
    """R runs that can share one tensor program: parameters (L, P), and the update of all.

    All that is computed is of L ≥ R lanes, some of which are spare; what is told, of the runs.

    Args:
        experiments: of equal `program_key`, sorted by objective.
        background: threads beside this one.

    Raises:
        InputError: the model gives another number of logits than the heads need.
    """

    def __init__(self, experiments: Sequence[Experiment], background: Background) -> None:
        first = experiments[0]
        self.kind = kind_of(first)
        self.runs, self.background = experiments, background
        self.busy = 1 + background.threads
        """Threads for what a single run keeps busy."""
        self.run_of, self.lane_of = place(experiments, self.kind.block)
        self.lanes = [experiments[run] for run in self.run_of]
        self.dtype = getattr(torch, first.dtype)
        self.device = torch.device(first.device)
        self.together = self.lane_of[-1] == len(experiments) - 1
        self.lane_index = torch.tensor(self.lane_of, device=self.device)
        weights = Weights(self.kind, self.lanes, self.busy)
        self.layout, self.network = weights.layout, weights.network
        self.parameters, self.gradients = weights.parameters, weights.gradients
        self.subject = subject_of(first)
        self.capture = Capture(self.layout.layers(), self.subject.dense)
        self.threshold = first.probes.threshold
        self.outputs = self._outputs(experiments)
        self.classification = self.subject.classes is not None
        self.spread = first.spread
        objectives = [one.objective for one in self.lanes]
        self.objectives = RunObjectives(objectives)
        self.parts = [Part(slice(None), self.network, self.objectives)]
        if weights.parts:
            self.parts = [
                Part(rows, network, RunObjectives(objectives[rows]))
                for rows, network in weights.parts
            ]
        optimizers = [one.optimizer for one in self.lanes]
        self.stepper = type(optimizers[0]).stepper(optimizers, self.parameters)
        limits = [one.max_grad_norm for one in self.lanes if one.max_grad_norm is not None]
        self.limits = column(limits, self.parameters) if limits else None  # of all or of none
        self.factors = first.schedule.factors(first.total_steps)

    @property
    def all_threads(self) -> bool:
        """Tell if single operations are computed on several threads."""
        return self.busy > 1 and self.kind in (Kind.WIDE, Kind.MODULE)

    @property
    def memory_axes(self) -> tuple[int, int, int]:
        """The axes of logits (L, B, K) in the order in which they lie in memory."""
        return (2, 1, 0) if self.network.lanes_last else (0, 2, 1)

    def of_runs(self, values: Tensor, axis: int = 0) -> Tensor:
        """Values (…, L, …) of the lanes as (…, R, …) of the runs."""
        if self.together:
            return values.narrow(axis, 0, len(self.runs))
        return values.index_select(axis, self.lane_index)

    def _outputs(self, experiments: Sequence[Experiment]) -> int:
        """K of the model's logits, the same that every head needs."""
        data = experiments[0].data
        shape = data.feature_shape
        if self.network.flat_inputs:
            shape = (prod(shape),)
        example = torch.zeros(len(self.lanes), 1, *shape, dtype=self.dtype, device=self.device)
        found = self.network.logits(example).shape[-1]
        for experiment in experiments:
            head = experiment.objective.head
            if data.classes is None:
                needed = head.range.per_target * data.train.targets.shape[1]
            else:
                needed = head.outputs(data.classes)
            if found != needed:
                raise InputError(
                    f"the model gives {found} logits, but head={head.name} needs {needed} "
                    f"outputs for data={data.name}."
                )
        return found

    def update(
        self,
        inputs: Tensor,
        targets: Targets,
        step: int,
        due: frozenset[str] = NOTHING,
        next_due: frozenset[str] = NOTHING,
    ) -> LoggedStep | None:
        """One step on a batch of `Batches`; what it leaves behind if anything is due.

        Args:
            inputs: of the batch.
            targets: of the batch.
            step: its number, from 0.
            due: what is measured of it.
            next_due: what will be measured of the next one.
        """
        watches = self._watches(due)
        done = self.differentiate(inputs, targets, step, watches)
        found: dict[str, Tensor] = {}
        if due:
            found = self.capture.of_gradients(self.gradients, due)
            seen = [
                (part.rows, watch.values(logit_grads))
                for part, watch, (_, logit_grads) in zip(self.parts, watches, done, strict=False)
            ]
            found |= joined(seen, len(self.lanes)) if seen else {}
        if "direction" in next_due:
            self.capture.remember(self.gradients)
        if "ratios" in due:
            found |= self.capture.before_update(self.parameters)
        self.advance(step)
        if not due:
            return None
        if "ratios" in due:
            found |= self.capture.after_update(self.parameters)
        # a copy of the targets: their memory is used again
        copied = Targets(targets.values.clone())
        logits, logit_grads = self.joined(done)
        return LoggedStep(step, logits, copied, logit_grads, due, NetworkValues(**found))

    def _watches(self, due: frozenset[str]) -> list[LayerWatch]:
        """One for each part, where anything that is due looks into layers."""
        if not due & OF_LAYERS:
            return []
        return [LayerWatch(due, self.subject, self.threshold) for _ in self.parts]

    def differentiate(
        self, inputs: Tensor, targets: Targets, step: int, watches: Sequence[LayerWatch] = ()
    ) -> list[tuple[Tensor, Tensor]]:
        """Write the gradients of a batch; logits and dL/dz of each part."""
        seen: Sequence[LayerWatch | None] = watches or [None] * len(self.parts)
        if len(self.parts) == 1:
            return [self.parts[0].differentiate(inputs, targets, step, seen[0])]
        return self.background.side_by_side(
            [
                partial(
                    part.differentiate,
                    inputs[part.rows],
                    targets.of_lanes(part.rows),
                    step,
                    watch,
                )
                for part, watch in zip(self.parts, seen, strict=True)
            ]
        )

    def joined(self, done: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """Logits and dL/dz (L, B, K) of all lanes."""
        logits, logit_grads = (self._joined(parts) for parts in zip(*done, strict=True))
        return logits, logit_grads

    def _joined(self, values: Sequence[Tensor]) -> Tensor:
        """Values of the parts as those of all lanes (L, B, K), which lie in memory as they did."""
        if len(values) == 1:
            return values[0]
        _, batch, outputs = values[0].shape
        joined = values[0].new_empty(len(self.lanes), outputs, batch).mT
        for part, own in zip(self.parts, values, strict=True):
            joined[part.rows] = own
        return joined

    def advance(self, step: int) -> None:
        """Update the parameters by the gradients, after `step` other updates."""
        if self.limits is not None:
            limit_norm(self.gradients, self.limits)
        arguments = (self.parameters, self.gradients, self.factors[step], step + 1)
        if self.kind is Kind.WIDE:  # elementwise: threads round nothing
            with threads(self.busy):
                self.stepper.step(*arguments)
        else:
            self.stepper.step(*arguments)
