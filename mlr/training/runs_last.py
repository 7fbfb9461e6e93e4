"""Closed-form backward pass of networks of a few weights, with the lanes last in memory.

For matrices this small, calls take longer than arithmetic; here each weight is a row of L numbers
and each operation as long as the sweep. The formulas are those of `backprop`, elementwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from mlr.probes.layers import UnitStatistics
from mlr.training.memory_layout import Layout
from mlr.training.structure import Activation, Dense

BLOCK = 32
"""Lanes come in blocks of this size, with spare lanes that repeat a run. torch sums the last
columns of a matrix in another order than those that fill its registers, so none may be last."""

MOST_WEIGHTS = 32
"""A layer with more weights is multiplied faster as a matrix, measured with 1 and 512 runs."""

_FEW_INPUTS = 3


@dataclass(frozen=True)
class LaneLayer:
    """Views of one layer's parameters and gradients, lanes last."""

    name: str
    weight: Tensor
    """Wᵀ (in, out, 1, L)"""
    columns: tuple[Tensor, ...]
    """its `in` parts (out, 1, L)"""
    weight_grad: Tensor
    """(in, out, L)"""
    bias: Tensor | None
    """b (out, 1, L)"""
    bias_grad: Tensor | None
    """(out, L)"""
    both_grads: Tensor | None
    """(in + 1, out, L), the bias being the weight of a constant input 1"""
    activation: Activation | None

    def __call__(self, inputs: Tensor) -> Tensor:
        """Compute activations (out, B, L) of inputs (in, 1, B, L), with or without a constant 1."""
        if len(self.columns) <= _FEW_INPUTS:
            first, *others = inputs.unbind()
            if self.bias is None:
                outputs = first * self.columns[0]
            else:
                outputs = torch.addcmul(self.bias, first, self.columns[0])
            for part, column in zip(others, self.columns[1:], strict=False):
                outputs.addcmul_(part, column)
        else:
            inputs = inputs[: len(self.columns)]
            outputs = (inputs * self.weight).sum(0)
            if self.bias is not None:
                outputs.add_(self.bias)
        return outputs if self.activation is None else self.activation.forward(outputs)

    def gradients(self, inputs: Tensor, delta: Tensor, share: Tensor) -> None:
        """Write share · Σ over B of δ x and of δ, for inputs as in `__call__` and δ (out, B, L)."""
        # not len() of a tensor, which takes as long as an operation
        if self.both_grads is not None and inputs.shape[0] > len(self.columns):
            torch.sum(delta * inputs, 2, out=self.both_grads).mul_(share)
            return
        inputs = inputs[: len(self.columns)]
        torch.sum(delta * inputs, 2, out=self.weight_grad).mul_(share)
        if self.bias_grad is not None:
            torch.sum(delta, 1, out=self.bias_grad).mul_(share)


class LaneNetwork:
    """L tiny dense networks as one; training inputs are (D + 1, 1, B, L), the last of them 1.

    Arguments are those of `DenseNetwork`, with lanes last in memory.
    """

    flat_inputs = True
    lanes_last = True
    modules: Sequence[nn.Module] = ()

    def __init__(self, structure: list[Dense], layout: Layout, flat: Tensor, grads: Tensor) -> None:
        self.shares: dict[int, Tensor] = {}
        """B → 1/B: multiplying by a tensor is faster than by a number"""
        views, grad_views = layout.views(flat), layout.views(grads)
        self.layers: list[LaneLayer] = []
        for layer in structure:
            weight, bias = f"{layer.name}.weight", f"{layer.name}.bias"
            has_bias = bias in views
            start = layout.columns[weight].start
            both = grads[:, start : start + (layer.inputs + 1) * layer.outputs]
            turned = views[weight].permute(2, 1, 0).unsqueeze(2)
            self.layers.append(
                LaneLayer(
                    name=layer.name,
                    weight=turned,
                    columns=turned.unbind(),
                    weight_grad=grad_views[weight].permute(2, 1, 0),
                    bias=views[bias].permute(1, 0).unsqueeze(1) if has_bias else None,
                    bias_grad=grad_views[bias].permute(1, 0) if has_bias else None,
                    # the bias follows the weight, as in nn.Linear
                    both_grads=both.t().view(-1, layer.outputs, len(flat)) if has_bias else None,
                    activation=layer.activation,
                )
            )

    def logits(self, inputs: Tensor) -> Tensor:
        """Compute logits (L, B, K) of inputs (L, B, D), both lanes last in memory."""
        return self.forward(inputs.permute(2, 1, 0).unsqueeze(1), 0)[0]

    def forward(
        self, inputs: Tensor, step: int, recorded: bool = False
    ) -> tuple[Tensor, list[Tensor]]:
        """Compute logits (L, B, K) of inputs (D + 1, 1, B, L), and what `backward` needs."""
        tape = [inputs]
        for layer in self.layers[:-1]:
            tape.append(layer(tape[-1]).unsqueeze(1))
        return self.layers[-1](tape[-1]).permute(2, 1, 0), tape

    def backward(
        self, activations: list[Tensor], delta: Tensor, units: UnitStatistics | None = None
    ) -> None:
        """Write the gradients of the mean loss, given each example's δ (L, B, K) at the logits."""
        delta = delta.permute(2, 1, 0)
        batch = delta.shape[1]
        if batch not in self.shares:
            self.shares[batch] = delta.new_tensor(1 / batch)
        share = self.shares[batch]
        for index in range(len(self.layers) - 1, -1, -1):
            layer, inputs = self.layers[index], activations[index]
            layer.gradients(inputs, delta, share)
            if units is not None:
                own = inputs[: len(layer.columns), 0]
                bias = layer.bias_grad is not None
                units.dense(layer.name, own.permute(2, 1, 0), delta.permute(2, 1, 0), bias)
            if index > 0:
                delta = (delta * layer.weight).sum(1)
                before, outputs = self.layers[index - 1], inputs.squeeze(1)
                if before.activation is not None:
                    if units is not None:
                        # lanes first, but in memory as they were
                        seen = outputs.permute(2, 1, 0)
                        units.hidden(before.name, seen, partial(before.activation.slopes, seen))
                    delta = before.activation.backward(delta, outputs)
