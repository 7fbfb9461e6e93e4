"""Closed-form backward of networks of a few weights, with the lanes last in memory.

Multiplying matrices this small costs more in calls than in arithmetic; here each weight is
a row of L numbers and each operation as long as the sweep. The formulas are those of
`backprop`, spelled out elementwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mlr.training.parameters import Layout
from mlr.training.structure import Activation, Dense

BLOCK = 64
"""Lanes come in blocks of this size, spare ones repeating a run. torch sums the last columns
of a matrix in another order than those that fill its registers, so none may be a last one."""

MOST_WEIGHTS = 32
"""A layer of more weights is multiplied faster as a matrix: measured with 1 and 512 runs."""

_FEW_INPUTS = 3


@dataclass(frozen=True)
class LaneLayer:
    """Views of one layer's parameters and gradients, lanes last."""

    weight: Tensor
    """W (out, in, L)"""
    weight_grad: Tensor
    bias: Tensor | None
    """b (out, L)"""
    bias_grad: Tensor | None
    activation: Activation | None

    def __call__(self, inputs: Tensor) -> Tensor:
        """Inputs (B, in, L) → activations (B, out, L)."""
        count = self.weight.shape[1]
        if count <= _FEW_INPUTS:
            outputs = inputs[:, 0:1] * self.weight[:, 0]
            for column in range(1, count):
                outputs = outputs.addcmul_(inputs[:, column : column + 1], self.weight[:, column])
        else:
            outputs = (inputs.unsqueeze(1) * self.weight).sum(2)
        if self.bias is not None:
            outputs.add_(self.bias)
        return outputs if self.activation is None else self.activation.forward(outputs)


class LaneNetwork:
    """L tiny dense networks as one; logical inputs (L, B, D), lanes last in memory."""

    flat_inputs = True
    lanes_last = True

    def __init__(
        self, structure: list[Dense], layout: Layout, flat: Tensor, grads: Tensor
    ) -> None:
        self.gradients = grads
        views, grad_views = layout.views(flat), layout.views(grads)
        self.layers: list[LaneLayer] = []
        for layer in structure:
            weight, bias = f"{layer.name}.weight", f"{layer.name}.bias"
            has_bias = bias in views
            self.layers.append(
                LaneLayer(
                    weight=views[weight].permute(1, 2, 0),
                    weight_grad=grad_views[weight].permute(1, 2, 0),
                    bias=views[bias].permute(1, 0) if has_bias else None,
                    bias_grad=grad_views[bias].permute(1, 0) if has_bias else None,
                    activation=layer.activation,
                )
            )

    def state_dict(self, lane: int, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        """The module's state_dict with these parameters: dense layers hold nothing else."""
        return parameters

    def logits(self, inputs: Tensor) -> Tensor:
        """Inputs (L, B, D) → logits (L, B, K)."""
        return self.forward(inputs, 0)[0]

    def forward(self, inputs: Tensor, step: int) -> tuple[Tensor, list[Tensor]]:
        """Logits (L, B, K), and the activations that `backward` needs."""
        activations = [inputs.permute(1, 2, 0)]
        for layer in self.layers:
            activations.append(layer(activations[-1]))
        return activations[-1].permute(2, 0, 1), activations

    def backward(self, activations: list[Tensor], delta: Tensor) -> None:
        """Write the gradients of the mean loss, given each example's δ (L, B, K) at the logits."""
        delta = delta.permute(1, 2, 0)
        for index in range(len(self.layers) - 1, -1, -1):
            layer, inputs = self.layers[index], activations[index]
            torch.sum(delta.unsqueeze(2) * inputs.unsqueeze(1), 0, out=layer.weight_grad)
            if layer.bias_grad is not None:
                torch.sum(delta, 0, out=layer.bias_grad)
            if index > 0:
                delta = (delta.unsqueeze(2) * layer.weight).sum(1)
                activation = self.layers[index - 1].activation
                if activation is not None:
                    delta = activation.backward(delta, inputs)
        self.gradients.mul_(1 / len(delta))
