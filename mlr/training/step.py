"""Update of L lanes: logits → dL/dz → gradients → parameters.

The network that computes them is chosen by the shape of one run. It does not depend on the number
of runs, so that a run alone equals itself in a sweep to the bit.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from enum import Enum
from functools import partial
from itertools import groupby
from math import prod
from time import time
from typing import NamedTuple

import torch
from torch import Tensor

from mlr.core.checks import InputError
from mlr.objectives import Objective
from mlr.probes.families import fields_read
from mlr.probes.layers import OF_LAYERS, ParameterStatistics, UnitStatistics
from mlr.probes.measuring import ScheduledStep
from mlr.training.background import Background, threads
from mlr.training.backprop import ALIGN, DenseNetwork
from mlr.training.experiment import Experiment
from mlr.training.functional import FunctionalNetwork, ModuleLane
from mlr.training.memory_layout import FlatParameters, Layout, distinct
from mlr.training.own_stepper import OwnStepper
from mlr.training.own_updates import OwnOptimizer
from mlr.training.run_objectives import RunObjectives, WeightedObjectives, numbers_of
from mlr.training.runs_last import BLOCK, MOST_WEIGHTS, LaneNetwork
from mlr.training.steppers import Stepper, column, limit_norm, make_stepper
from mlr.training.target_units import units_of

NOTHING: frozenset[str] = frozenset()
ClosedForm = LaneNetwork | DenseNetwork
Network = ClosedForm | FunctionalNetwork

WIDE = 1 << 21
"""Multiplications of a product above which two threads are worth their synchronisation."""

SHARE = 1 << 24
"""Multiplications of a step per thread: with fewer, threads wait for Python more than they
compute."""


class Kind(Enum):
    """Ways to compute the lanes of a program."""

    LANES = "lanes last, elementwise"
    NARROW = "all lanes in one product, on one thread"
    WIDE = "lane by lane, on all threads"
    MODULE = "lane by lane in parts of a batch, by autograd, each on one thread"


def kind_of(experiment: Experiment) -> Kind:
    """Choose the way to compute a program of such runs."""
    structure = experiment.structure
    if structure is None:
        return Kind.MODULE
    weights = [layer.inputs * layer.outputs for layer in structure]
    # an optimizer of torch is one for each lane, and its sums round by the order in memory
    if max(weights) <= MOST_WEIGHTS and not isinstance(experiment.optimizer, OwnOptimizer):
        return Kind.LANES
    return Kind.WIDE if experiment.batch_size * max(weights) >= WIDE else Kind.NARROW


def parts_of(kind: Kind, experiment: Experiment, lanes: int, busy: int) -> int:
    """Count the parts, each on a thread, that the lanes of such runs are worth."""
    structure = experiment.structure
    if structure is None or kind is not Kind.NARROW or experiment.device != "cpu":
        return 1
    weights = sum(layer.inputs * layer.outputs for layer in structure)
    return max(1, min(busy, lanes, lanes * experiment.batch_size * weights // SHARE))


def by_objective(experiments: Sequence[Experiment]) -> list[int]:
    """Sort the runs so that those with one objective are adjacent; returns their numbers."""
    _, group_of = distinct([one.function for one in experiments])
    return sorted(range(len(experiments)), key=group_of.__getitem__)


def place(experiments: Sequence[Experiment], block: int) -> tuple[list[int], list[int]]:
    """Assign runs, sorted by objective, to lanes: the run of each lane, the lane of each run.

    Runs with one objective fill whole blocks; spare lanes repeat one of them.
    """
    lanes: list[int] = []
    lane_of: list[int] = []
    for _, group in groupby(enumerate(experiments), lambda run: run[1].function):
        members = [run for run, _ in group]
        lane_of += range(len(lanes), len(lanes) + len(members))
        lanes += members + [members[0]] * (-len(members) % block)
    return lanes, lane_of


class ProgramPart(NamedTuple):
    """Some lanes of a program with their network and objectives."""

    rows: slice
    network: ClosedForm | ModuleLane
    objectives: RunObjectives

    def differentiate(
        self, inputs: Tensor, targets: Tensor, step: int, units: UnitStatistics | None
    ) -> tuple[Tensor, Tensor]:
        """Write the lanes' gradients; returns logits and dL/dz (L, B, K)."""
        if isinstance(self.network, ModuleLane):
            return self.network.differentiate(self.objectives, inputs, targets, step, units)
        logits, tape = self.network.forward(inputs, step, units is not None)
        logit_grads = self.objectives.gradient(logits, targets)
        self.network.backward(tape, logit_grads, units)
        return logits, logit_grads


class Program:
    """R runs of equal `program_key`, sorted by objective: parameters (L, P), and the update of all.

    Tensors have L ≥ R lanes, some of which are spare; results are those of the runs.

    Raises:
        InputError: the model gives another number of logits than the heads need.
    """

    def __init__(self, experiments: Sequence[Experiment], background: Background) -> None:
        first = experiments[0]
        self.kind = kind_of(first)
        self.runs, self.background = experiments, background
        self.busy = 1 + background.threads
        """Threads for operations of a single run."""
        self.run_of, self.lane_of = place(experiments, BLOCK if self.kind is Kind.LANES else 1)
        self.lanes = [experiments[run] for run in self.run_of]
        self.dtype = getattr(torch, first.dtype)
        self.device = torch.device(first.device)
        self.together = self.lane_of[-1] == len(experiments) - 1
        self.lane_index = torch.tensor(self.lane_of, device=self.device)
        firsts: dict[Hashable, Objective] = {}
        objectives = [
            firsts.setdefault((one.function, numbers_of(one.objective)), one.objective)
            for one in self.lanes
        ]
        self.subject = first.subject
        self.classification = self.subject.classes is not None
        self.multilabel = self.subject.multilabel
        self.weighted = first.data.train.weights is not None
        weights = [lane.class_weights for lane in self.lanes]
        self.objectives = RunObjectives(
            objectives, self.classification, weights, self.dtype, self.device
        )
        """of examples that count once each, as held-out ones do"""
        self.trained = self._trained(objectives, slice(None))
        """of training batches, in which examples may have weights"""
        self.network, self.parts = self._networks(objectives)
        own = self.network
        self.side_by_side = not isinstance(own, FunctionalNetwork) or own.apart
        """whether parts may be computed on several threads at once"""
        self.statistics = ParameterStatistics(FlatParameters(self.layout.layers()))
        self.threshold = first.probes.threshold
        self.outputs = self._outputs(experiments)
        self.spread = first.spread
        self.units = units_of(self.lanes, self.dtype, self.device)
        self.stepper = self._stepper()
        limits = [one.max_grad_norm for one in self.lanes if one.max_grad_norm is not None]
        self.limits = column(limits, self.parameters) if limits else None  # of all or of none
        self.factors = first.schedule.factors(first.total_steps, first.optimizer.lr)

    def _trained(self, objectives: Sequence[Objective], rows: slice) -> RunObjectives:
        """Make the objectives of training batches of some lanes."""
        kind = WeightedObjectives if self.weighted else RunObjectives
        weights = [lane.class_weights for lane in self.lanes[rows]]
        return kind(objectives, self.classification, weights, self.dtype, self.device)

    def _networks(self, objectives: Sequence[Objective]) -> tuple[Network, list[ProgramPart]]:
        """Lay out parameters and gradients; returns the network over them, and its parts."""
        first = self.lanes[0]
        structure = first.structure
        turned = [f"{layer.name}.weight" for layer in structure or ()]
        # what an optimizer of torch multiplies may round by addresses
        self.by_torch = isinstance(first.optimizer, OwnOptimizer)
        align = ALIGN if self.kind in (Kind.NARROW, Kind.WIDE) or self.by_torch else 1
        self.layout = layout = Layout.of(first.module, turned, align)
        parameters = layout.stack([experiment.parameters for experiment in self.lanes])
        self.parameters = parameters.to(self.device, self.dtype)
        if self.kind is Kind.LANES:
            self.parameters = self.parameters.t().contiguous().t()
        self.gradients = torch.zeros_like(self.parameters)
        flat = (layout, self.parameters, self.gradients)
        if structure is None:
            by_autograd = FunctionalNetwork(self.lanes, *flat, self.background)
            return by_autograd, [
                ProgramPart(
                    slice(lane, lane + 1),
                    own,
                    self._trained([objectives[lane]], slice(lane, lane + 1)),
                )
                for lane, own in enumerate(by_autograd.lanes)
            ]
        network: ClosedForm
        if self.kind is Kind.LANES:
            network = LaneNetwork(structure, *flat)
        else:
            network = DenseNetwork(structure, *flat, self.busy if self.kind is Kind.WIDE else None)
        count = parts_of(self.kind, first, len(self.lanes), self.busy)
        if count == 1:
            return network, [ProgramPart(slice(None), network, self.trained)]
        # interleaved, so that each part has its share of every objective
        parts = []
        for rows in (slice(part, None, count) for part in range(count)):
            own = DenseNetwork(structure, layout, self.parameters[rows], self.gradients[rows])
            parts.append(ProgramPart(rows, own, self._trained(objectives[rows], rows)))
        return network, parts

    def _stepper(self) -> Stepper | OwnStepper:
        """Make the update of all lanes, whose optimizers are of one class."""
        optimizers = [lane.optimizer for lane in self.lanes]
        own = [one for one in optimizers if isinstance(one, OwnOptimizer)]
        if not own:
            return make_stepper(optimizers, self.parameters)
        seeds = [lane.seed for lane in self.lanes]
        return OwnStepper(own, seeds, self.layout, self.parameters, self.gradients)

    @property
    def all_threads(self) -> bool:
        """Tell if single operations are computed on several threads."""
        return self.busy > 1 and self.kind is Kind.WIDE

    @property
    def memory_axes(self) -> tuple[int, int, int]:
        """The axes of logits (L, B, K) in the order in which they lie in memory."""
        return (2, 1, 0) if self.network.lanes_last else (0, 2, 1)

    def of_runs(self, values: Tensor, axis: int = 0) -> Tensor:
        """Select the runs: values (…, L, …) of the lanes → (…, R, …)."""
        if self.together:
            return values.narrow(axis, 0, len(self.runs))
        return values.index_select(axis, self.lane_index)

    def _outputs(self, experiments: Sequence[Experiment]) -> int:
        """Check that the model gives as many logits K as every head needs, and return K."""
        data = experiments[0].data
        shape = data.feature_shape
        if self.network.flat_inputs:
            shape = (prod(shape),)
        example = torch.zeros(len(self.lanes), 1, *shape, dtype=self.dtype, device=self.device)
        found = self.network.logits(example).shape[-1]
        for experiment in experiments:
            head = experiment.objective.head
            needed = head.outputs_of(data.classes, data.targets)
            if found != needed or experiment.objective.outputs not in (None, needed):
                raise InputError(
                    f"the model gives {found} logits and the objective is made for "
                    f"{experiment.objective.outputs or 'any'}, but head={head.name} needs "
                    f"{needed} outputs for data={data.name}."
                )
        return found

    def update(
        self,
        inputs: Tensor,
        targets: Tensor,
        step: int,
        due: frozenset[str] = NOTHING,
        next_due: frozenset[str] = NOTHING,
    ) -> ScheduledStep | None:
        """Do one step on a batch of `Batches`; returns its tensors if anything is due.

        Args:
            inputs: of the batch.
            targets: of the batch.
            step: its number, from 0.
            due: names of the families measured of it.
            next_due: the same of the next step.
        """
        units = self._units(due) if due else ()
        done = self.differentiate(inputs, targets, step, units)
        found: dict[str, Tensor] = {}
        if due:
            found = self.statistics.of_gradients(self.gradients, due)
            values = [own.values(grads) for own, (_, grads) in zip(units, done, strict=False)]
            for name in values[0] if values else ():
                found[name] = self._joined([own[name] for own in values])
            self.statistics.before_update(self.parameters, due)
        if due or next_due:
            self.statistics.remember(self.gradients, next_due)
        self.advance(step)
        if not due:
            return None
        found |= self.statistics.after_update(self.parameters)
        # a copy of the targets: their memory is used again
        copied = targets.clone()
        logits, logit_grads = self.joined(done)
        return ScheduledStep(step, time(), due, logits, copied, logit_grads, found)

    def _units(self, due: frozenset[str]) -> list[UnitStatistics]:
        """Make statistics for each part, if any due family reads layers."""
        if not fields_read(due) & OF_LAYERS:
            return []
        return [UnitStatistics(due, self.subject, self.threshold) for _ in self.parts]

    def differentiate(
        self, inputs: Tensor, targets: Tensor, step: int, units: Sequence[UnitStatistics] = ()
    ) -> list[tuple[Tensor, Tensor]]:
        """Write the gradients of a batch; returns logits and dL/dz of each part."""
        if len(self.parts) == 1:
            seen_by = units[0] if units else None
            return [self.parts[0].differentiate(inputs, targets, step, seen_by)]
        seen: Sequence[UnitStatistics | None] = units or [None] * len(self.parts)
        calls = [
            partial(part.differentiate, inputs[part.rows], targets[part.rows], step, own)
            for part, own in zip(self.parts, seen, strict=True)
        ]
        if self.side_by_side:
            return self.background.side_by_side(calls)
        return [call() for call in calls]

    def joined(self, done: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """Join logits and dL/dz of the parts to those of all lanes (L, B, K)."""
        if len(done) == 1:
            return done[0]
        logits, logit_grads = (
            self._joined([own.mT for own in parts]).mT for parts in zip(*done, strict=True)
        )
        return logits, logit_grads

    def _joined(self, values: Sequence[Tensor]) -> Tensor:
        """Join values of the parts to those of all lanes (L, …)."""
        if len(values) == 1:
            return values[0]
        joined = values[0].new_empty(len(self.lanes), *values[0].shape[1:])
        for part, own in zip(self.parts, values, strict=True):
            joined[part.rows] = own
        return joined

    def advance(self, step: int) -> None:
        """Update the parameters with the gradients, after `step` other updates."""
        if self.limits is not None:
            limit_norm(self.gradients, self.limits)
        arguments = (self.parameters, self.gradients, self.factors[step], step + 1)
        if self.kind is Kind.WIDE and not self.by_torch:  # elementwise: threads round nothing
            with threads(self.busy):
                self.stepper.step(*arguments)
        else:
            self.stepper.step(*arguments)
