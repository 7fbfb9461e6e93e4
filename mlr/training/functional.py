"""Any nn.Module over the run axis: torch.func carries dL/dz back through it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap

from mlr.training.parameters import Layout


class FunctionalNetwork:
    """R copies of one module as one; inputs (R, B, *feature_shape)."""

    flat_inputs = False

    def __init__(self, module: nn.Module, layout: Layout, flat: Tensor, grads: Tensor) -> None:
        # a copy: the caller's module keeps its dtype, device, mode and parameters
        self.module = copy.deepcopy(module).to(flat.device, flat.dtype)
        self.parameters = layout.views(flat)
        self.gradients = layout.views(grads)
        self.runs = len(flat)

    def _apply(self, parameters: dict[str, Tensor], inputs: Tensor) -> Tensor:
        if self.runs == 1:  # vmap turns a convolution into a slower grouped one
            first = {name: value[0] for name, value in parameters.items()}
            return functional_call(self.module, first, (inputs[0],)).unsqueeze(0)
        return vmap(lambda own, x: functional_call(self.module, own, (x,)))(parameters, inputs)

    def state_dict(self, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        """The module's state_dict with these parameters, tied names and buffers included."""
        names = {id(value): name for name, value in self.module.named_parameters()}
        return {
            key: parameters[names[id(value)]] if id(value) in names else value.cpu().clone()
            for key, value in self.module.state_dict(keep_vars=True).items()
        }

    def logits(self, inputs: Tensor) -> Tensor:
        """Inputs → logits (R, B, K), in evaluation mode."""
        self.module.eval()
        try:
            return self._apply(self.parameters, inputs)
        finally:
            self.module.train()

    def forward(self, inputs: Tensor) -> tuple[Tensor, Callable[[Tensor], Any]]:
        """Logits (R, B, K) in training mode, and the pullback that `backward` needs."""
        with torch.enable_grad():
            logits, pullback = vjp(lambda own: self._apply(own, inputs), self.parameters)[:2]
        return logits.detach(), pullback

    def backward(self, pullback: Callable[[Tensor], Any], delta: Tensor) -> None:
        """Write the gradients of the mean loss, given each example's δ (R, B, K) at the logits."""
        (gradients,) = pullback(delta / delta.shape[1])
        for name, gradient in gradients.items():
            self.gradients[name].copy_(gradient)
