"""Any nn.Module over the run axis, lane by lane: torch.func carries dL/dz back through it.

Not vmapped: a vmapped convolution is a grouped one, slower than one after the other and
rounded otherwise than a run alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp

from mlr.seeds import derive_seed
from mlr.training.parameters import Layout
from mlr.training.threads import threads

Pullback = Callable[[Tensor], Any]


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

    def forward(self, inputs: Tensor, step: int) -> tuple[Tensor, list[Pullback]]:
        """Logits (L, B, K) in training mode, and the pullbacks that `backward` needs."""
        rows, pullbacks = [], []
        for lane, parameters in enumerate(self.parameters):
            torch.manual_seed(derive_seed(self.seeds[lane], "dropout", step))
            with threads(self.busy), torch.enable_grad():
                logits, pullback = vjp(
                    lambda own, lane=lane: self._apply(lane, own, inputs), parameters
                )[:2]
            rows.append(logits.detach())
            pullbacks.append(pullback)
        return torch.stack(rows), pullbacks

    def backward(self, pullbacks: list[Pullback], delta: Tensor) -> None:
        """Write the gradients of the mean loss, given each example's δ (L, B, K) at the logits."""
        delta = delta / delta.shape[1]
        for lane, pullback in enumerate(pullbacks):
            with threads(self.busy):
                (gradients,) = pullback(delta[lane])
            for name, gradient in gradients.items():
                self.gradients[name][lane].copy_(gradient[0])
