"""Any nn.Module over the run axis, lane by lane: autograd carries dL/dz back through it.

Not vmapped: a vmapped convolution is a grouped one, slower than one after the other and
rounded otherwise than a run alone.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mlr.core.seeds import derive_seed
from mlr.probes.taps import SLOPES, Taps, square_norms
from mlr.training.layerwatch import LayerWatch
from mlr.training.parameters import Layout
from mlr.training.threads import threads


class Tape(NamedTuple):
    """What a forward pass of one lane leaves behind."""

    logits: Tensor
    """z (B, K), in the graph"""
    parameters: dict[str, Tensor]
    """θ by name, leaves of the graph"""
    taps: Taps | None
    """what its layers saw, if that is watched"""


class FunctionalNetwork:
    """L modules of one kind; inputs (L, B, *feature_shape).

    What a module draws in training, as dropout does, is a function of its run's seed and of
    the step; what it draws in evaluation, of the seed.
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

    def state_dict(self, lane: int, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        """The module's state_dict with these parameters, tied names and buffers included."""
        module = self.modules[lane]
        names = {id(value): name for name, value in module.named_parameters()}
        return {
            key: parameters[names[id(value)]] if id(value) in names else value.cpu().clone()
            for key, value in module.state_dict(keep_vars=True).items()
        }

    def buffers(self, lane: int) -> dict[str, Tensor]:
        """Copies of what a module holds beside its parameters."""
        return {name: own.clone() for name, own in self.modules[lane].named_buffers()}

    def load_buffers(self, lane: int, buffers: Mapping[str, Tensor]) -> None:
        """Put back what `buffers` gave, or `state_dict`."""
        for name, own in self.modules[lane].named_buffers():
            if name in buffers:
                own.copy_(buffers[name])

    def logits(self, inputs: Tensor) -> Tensor:
        """Inputs → logits (L, B, K), in evaluation mode."""
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
        self, inputs: Tensor, step: int, watched: bool = False
    ) -> tuple[Tensor, list[Tape]]:
        """Logits (L, B, K) in training mode, and the tapes that `backward` needs."""
        tapes = []
        for lane, parameters in enumerate(self.parameters):
            torch.manual_seed(derive_seed(self.seeds[lane], "dropout", step))
            own = {name: value.detach().requires_grad_() for name, value in parameters.items()}
            taps = Taps(self.modules[lane]) if watched else None
            with threads(self.busy), torch.enable_grad(), taps or nullcontext():
                tapes.append(Tape(self._apply(lane, own, inputs), own, taps))
        return torch.stack([tape.logits.detach() for tape in tapes]), tapes

    def backward(self, tapes: list[Tape], delta: Tensor, watch: LayerWatch | None = None) -> None:
        """Write the gradients of the mean loss, given each example's δ (L, B, K) at the logits."""
        share = 1 / delta.shape[1]
        for lane, tape in enumerate(tapes):
            uses = tape.taps.uses if tape.taps is not None else []
            wanted: list[Any] = [*tape.parameters.values(), *(use.edge for use in uses)]
            with threads(self.busy):
                # of a number: given another gradient than 1, torch first imports sympy, for 0.3 s
                with torch.enable_grad():
                    total = (tape.logits * (delta[lane] * share)).sum()
                found = torch.autograd.grad(total, wanted, allow_unused=True)
            for name, gradient in zip(tape.parameters, found, strict=False):
                if gradient is None:  # the logits do not hang on it
                    self.gradients[name][lane].zero_()
                else:
                    self.gradients[name][lane].copy_(gradient[0])
            for use, own in zip(uses, found[len(tape.parameters) :], strict=True):
                use.delta = None if own is None else own / share
        if watch is not None:
            _look(watch, [tape.taps for tape in tapes if tape.taps is not None])


def _look(watch: LayerWatch, lanes: Sequence[Taps]) -> None:
    """Let `watch` have what the layers of the lanes saw, as far as all of them saw it."""
    if watch.sees_samples:
        squares = [square_norms(taps.uses) for taps in lanes]
        for name in squares[0]:
            if all(name in own for own in squares):
                watch.squares[name] = torch.stack([own[name] for own in squares])
    if watch.sees_units:
        for calls in zip(*(taps.activated for taps in lanes), strict=False):
            outputs = torch.stack([call.outputs for call in calls])
            slope = SLOPES[calls[0].kind]
            watch.hidden(calls[0].layer, outputs, partial(slope, outputs))
