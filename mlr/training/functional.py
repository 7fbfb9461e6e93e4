"""Any nn.Module over the run axis, lane by lane, differentiated by autograd.

A batch is computed in parts, each on one thread; their gradients are added in order. How many
parts there are depends on the run alone, so results do not depend on the number of threads. One
operation on several threads would wait at its end for all of them, and round by their number.

It is not vmapped: a vmapped convolution is a grouped one, which is slower than one after the
other, and rounds differently from a run alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from mlr.core.checks import InputError
from mlr.core.seeds import derive_seed
from mlr.probes.layer_hooks import SLOPES, LayerHooks, square_norms
from mlr.probes.layers import UnitStatistics
from mlr.training.background import Background
from mlr.training.drawing import OwnDraws
from mlr.training.experiment import Experiment
from mlr.training.memory_layout import Layout
from mlr.training.module_plan import plan_of
from mlr.training.run_objectives import RunObjectives

Item = TypeVar("Item")


class Differentiated(NamedTuple):
    """Logits and dL/dz (1, b, K) of a part of a batch, and its share of the gradients."""

    logits: Tensor
    logit_grads: Tensor
    gradients: list[Tensor]
    hooks: LayerHooks | None


class FunctionalNetwork:
    """L modules of one kind; inputs (L, B, *feature_shape).

    Random numbers that a module draws in training, as dropout does, depend on the run's seed, the
    step and the part of the batch; in evaluation, on the seed and the part.
    """

    flat_inputs = False
    lanes_last = False

    def __init__(
        self,
        runs: Sequence[Experiment],
        layout: Layout,
        flat: Tensor,
        grads: Tensor,
        background: Background,
    ) -> None:
        rows = [slice(lane, lane + 1) for lane in range(len(runs))]
        self.lanes = [
            ModuleLane(run, layout, flat[row], grads[row], background)
            for run, row in zip(runs, rows, strict=True)
        ]
        self.modules = [lane.modules[0] for lane in self.lanes]
        self.background = background
        self.apart = all(lane.plan.apart for lane in self.lanes)
        """whether lanes can be computed side by side"""
        for lane in self.lanes:
            lane.beside |= self.apart and background.threads > 0 and len(self.lanes) > 1

    def logits(self, inputs: Tensor) -> Tensor:
        """Compute logits (L, B, K) in evaluation mode."""
        lanes = zip(self.lanes, inputs, strict=True)
        found = [partial(lane.logits, own) for lane, own in lanes]
        rows = self.background.side_by_side(found) if self.apart else [one() for one in found]
        return torch.stack(rows)


class ModuleLane:
    """The module of one run, once for each part of a batch; its parameters are views of a row.

    Buffers, as the running statistics of batch normalization, and frozen parameters are the run's
    own, and shared by the parts. A module that changes its buffers is computed whole: statistics
    are of the run's whole batch. Only an update changes them, no evaluation does.

    Args:
        run: with its module, of which copies are trained.
        layout: of the row.
        flat: parameters (1, P).
        grads: their gradients, written by `differentiate`.
        background: threads for the parts.
    """

    def __init__(
        self, run: Experiment, layout: Layout, flat: Tensor, grads: Tensor, background: Background
    ) -> None:
        self.seed, self.background = run.seed, background
        self.plan, self.on_cpu = plan_of(run), flat.is_cpu
        self.beside = background.threads > 0 and self.plan.parts > 1
        """whether anything else may draw at the same time: then the same numbers, but slower"""
        views = layout.views(flat)
        self.modules: list[nn.Module] = []
        for _ in range(self.plan.parts):
            # copies: the callers' module keeps its dtype, device, mode and parameters
            module = copy.deepcopy(run.module).to(flat.device, flat.dtype).train()
            for name, parameter in module.named_parameters():
                if name in views:
                    parameter.data = views[name][0]
            self.modules.append(module)
        for module in self.modules[1:]:
            share_state(module, self.modules[0])
        self.parameters = [
            [own for own in module.parameters() if own.requires_grad] for module in self.modules
        ]
        self.gradients = [view[0] for view in layout.views(grads).values()]

    def logits(self, inputs: Tensor) -> Tensor:
        """Compute logits (B, K) in evaluation mode."""
        rows = self._each(self._evaluate, inputs.split(self._rows(len(inputs))))
        return rows[0] if len(rows) == 1 else torch.cat(rows)

    def _evaluate(self, part: int, inputs: Tensor) -> Tensor:
        module = self.modules[part].eval()
        try:
            with torch.no_grad(), self._draws("evaluation", *(part,) * (part > 0)):
                logits = module(self._laid_out(inputs))
        finally:
            module.train()
        if not isinstance(logits, Tensor):
            raise InputError(
                f"the model returns a {type(logits).__name__}, not a tensor of logits; return the "
                "logits alone from forward()."
            )
        return logits

    def differentiate(
        self,
        objectives: RunObjectives,
        inputs: Tensor,
        targets: Tensor,
        step: int,
        units: UnitStatistics | None,
    ) -> tuple[Tensor, Tensor]:
        """Write the gradients of the mean loss; returns logits and dL/dz (1, B, K) of the batch.

        Args:
            objectives: of the run.
            inputs: (1, B, *feature_shape).
            targets: (1, B, K).
            step: its number, from 0.
            units: statistics that are due.
        """
        batch = inputs.shape[1]
        rows = self._rows(batch)
        differentiate = partial(self._differentiate, objectives, step, 1 / batch, units is not None)
        done = self._each(differentiate, inputs[0].split(rows), targets.split(rows, dim=1))
        torch._foreach_copy_(self.gradients, done[0].gradients)
        for part in done[1:]:
            torch._foreach_add_(self.gradients, part.gradients)
        if units is not None:
            _record(units, [part.hooks for part in done if part.hooks is not None])
        if len(done) == 1:
            return done[0].logits, done[0].logit_grads
        return (
            torch.cat([part.logits for part in done], dim=1),
            torch.cat([part.logit_grads for part in done], dim=1),
        )

    def _differentiate(
        self,
        objectives: RunObjectives,
        step: int,
        share: float,
        recorded: bool,
        part: int,
        inputs: Tensor,
        targets: Tensor,
    ) -> Differentiated:
        module = self.modules[part]
        hooks = LayerHooks(module) if recorded else None
        draws = self._draws("dropout", step, *(part,) * (part > 0))
        with torch.enable_grad(), draws, hooks or nullcontext():
            logits = module(self._laid_out(inputs))
        found = logits.detach().unsqueeze(0)
        delta = objectives.gradient(found, targets)
        calls = hooks.calls if hooks is not None else []
        parameters = self.parameters[part]
        wanted: list[Any] = [*parameters, *(call.edge for call in calls)]
        # a scalar: for a gradient other than 1 torch first imports sympy, which takes 0.3 s
        with torch.enable_grad():
            total = (logits * (delta[0] * share)).sum()
        gradients = torch.autograd.grad(total, wanted, allow_unused=True)
        for call, own in zip(calls, gradients[len(parameters) :], strict=True):
            call.delta = None if own is None else own / share
        # None: the logits do not depend on it
        whole = [
            torch.zeros_like(parameter) if own is None else own
            for parameter, own in zip(parameters, gradients, strict=False)
        ]
        return Differentiated(found, delta, whole, hooks)

    def _each(self, function: Callable[..., Item], *values: Sequence[Tensor]) -> list[Item]:
        """Call a function of a part's number and values for each part, side by side."""
        parts = list(enumerate(zip(*values, strict=True)))
        return self.background.side_by_side([partial(function, part, *own) for part, own in parts])

    def _rows(self, batch: int) -> int:
        """Count the examples of a part; the last may have fewer."""
        return -(-batch // self.plan.parts)

    def _laid_out(self, inputs: Tensor) -> Tensor:
        if not self.plan.channels_last:
            return inputs
        return inputs.to(memory_format=torch.channels_last)

    def _draws(self, *what: object) -> AbstractContextManager[object]:
        """Seed what the module draws."""
        if self.plan.draws:
            seed = derive_seed(self.seed, *what)
            if self.beside:
                return OwnDraws(seed)
            # torch.manual_seed seeds absent devices too, which takes longer than a small update
            seeded = torch.default_generator if self.on_cpu else torch
            seeded.manual_seed(seed)
        return nullcontext()


def share_state(module: nn.Module, other: nn.Module) -> None:
    """Have a copy of a module read the buffers and frozen parameters of the other."""
    for part, first in zip(module.modules(), other.modules(), strict=True):
        part._buffers.update(first._buffers)
    for own, shared in zip(module.parameters(), other.parameters(), strict=True):
        if not own.requires_grad:
            own.data = shared.data


def _record(units: UnitStatistics, parts: Sequence[LayerHooks]) -> None:
    """Record the layers that were called in all parts of the batch of one run."""
    if units.reads_samples:
        squares = [square_norms(hooks.calls) for hooks in parts]
        for name in squares[0]:
            if all(name in own for own in squares):
                units.squares[name] = torch.cat([own[name] for own in squares]).unsqueeze(0)
    if units.reads_units:
        for calls in zip(*(hooks.activated for hooks in parts), strict=False):
            outputs = torch.cat([call.outputs for call in calls]).unsqueeze(0)
            slope = SLOPES[calls[0].kind]
            units.hidden(calls[0].layer, outputs, partial(slope, outputs))
