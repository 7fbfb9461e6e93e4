"""Any nn.Module over the run axis, lane by lane, differentiated by autograd.

It is not vmapped: a vmapped convolution is a grouped one, which is slower than one after the
other, and rounds differently from a run alone.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mlr.core.seeds import derive_seed
from mlr.probes.layer_hooks import SLOPES, LayerHooks, square_norms
from mlr.probes.layers import UnitStatistics
from mlr.training.background import threads
from mlr.training.memory_layout import Layout


class Tape(NamedTuple):
    """Logits z (B, K) and parameters of one lane in the graph, and hooks that are due."""

    logits: Tensor
    parameters: dict[str, Tensor]
    hooks: LayerHooks | None


class FunctionalNetwork:
    """L modules of one kind; inputs (L, B, *feature_shape).

    Random numbers that a module draws in training, as dropout does, depend on the run's seed and
    the step; in evaluation, on the seed.
    """

    flat_inputs = False
    lanes_last = False

    def __init__(
        self,
        modules: Sequence[nn.Module],
        seeds: Sequence[int],
        layout: Layout,
        flat: Tensor,
        grads: Tensor,
        busy: int,
    ) -> None:
        self.busy = busy
        # copies: the callers' modules keep their dtype, device, mode and parameters
        self.modules = [copy.deepcopy(one).to(flat.device, flat.dtype) for one in modules]
        self.seeds = seeds
        self.parameters = [layout.views(row[None]) for row in flat]
        self.gradients = layout.views(grads)

    def _apply(self, lane: int, parameters: dict[str, Tensor], inputs: Tensor) -> Tensor:
        own = {name: value[0] for name, value in parameters.items()}
        return functional_call(self.modules[lane], own, (inputs[lane],))

    def logits(self, inputs: Tensor) -> Tensor:
        """Compute logits (L, B, K) in evaluation mode."""
        rows = []
        with threads(self.busy):
            for lane, module in enumerate(self.modules):
                module.eval()
                torch.manual_seed(derive_seed(self.seeds[lane], "evaluation"))
                try:
                    rows.append(self._apply(lane, self.parameters[lane], inputs))
                finally:
                    module.train()
        return torch.stack(rows)

    def forward(
        self, inputs: Tensor, step: int, recorded: bool = False
    ) -> tuple[Tensor, list[Tape]]:
        """Compute logits (L, B, K) in training mode, and the tapes that `backward` needs."""
        tapes = []
        for lane, parameters in enumerate(self.parameters):
            torch.manual_seed(derive_seed(self.seeds[lane], "dropout", step))
            own = {name: value.detach().requires_grad_() for name, value in parameters.items()}
            hooks = LayerHooks(self.modules[lane]) if recorded else None
            with threads(self.busy), torch.enable_grad(), hooks or nullcontext():
                tapes.append(Tape(self._apply(lane, own, inputs), own, hooks))
        return torch.stack([tape.logits.detach() for tape in tapes]), tapes

    def backward(
        self, tapes: list[Tape], delta: Tensor, units: UnitStatistics | None = None
    ) -> None:
        """Write the gradients of the mean loss, given each example's δ (L, B, K) at the logits."""
        share = 1 / delta.shape[1]
        for lane, tape in enumerate(tapes):
            calls = tape.hooks.calls if tape.hooks is not None else []
            wanted: list[Any] = [*tape.parameters.values(), *(call.edge for call in calls)]
            with threads(self.busy):
                # a scalar: for a gradient other than 1 torch first imports sympy, which takes 0.3 s
                with torch.enable_grad():
                    total = (tape.logits * (delta[lane] * share)).sum()
                found = torch.autograd.grad(total, wanted, allow_unused=True)
            for name, gradient in zip(tape.parameters, found, strict=False):
                # None: the logits do not depend on it
                self.gradients[name][lane] = 0 if gradient is None else gradient[0]
            for call, own in zip(calls, found[len(tape.parameters) :], strict=True):
                call.delta = None if own is None else own / share
        if units is not None:
            _record(units, [tape.hooks for tape in tapes if tape.hooks is not None])


def _record(units: UnitStatistics, lanes: Sequence[LayerHooks]) -> None:
    """Record the layers that were called in all lanes."""
    if units.reads_samples:
        squares = [square_norms(hooks.calls) for hooks in lanes]
        for name in squares[0]:
            if all(name in own for own in squares):
                units.squares[name] = torch.stack([own[name] for own in squares])
    if units.reads_units:
        for calls in zip(*(hooks.activated for hooks in lanes), strict=False):
            outputs = torch.stack([call.outputs for call in calls])
            slope = SLOPES[calls[0].kind]
            units.hidden(calls[0].layer, outputs, partial(slope, outputs))
