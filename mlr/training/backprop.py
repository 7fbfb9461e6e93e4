"""Closed-form backward pass of dense networks over the run axis, without autograd.

    forward   a₀ = x,  z_l = a_{l−1} W_lᵀ + b_l,  a_l = φ(z_l)
    backward  δ_L = dL/dz,  ∂L̄/∂W_l = δ_lᵀ a_{l−1}/B,  ∂L̄/∂b_l = Σ_B δ_l/B,
              δ_{l−1} = (δ_l W_l) ⊙ φ'(z_{l−1}),  φ' written in a = φ(z)

L̄ is the mean of the B losses. Products are computed so that rounding does not depend on the
number of lanes or their place in memory: rows by columns, so that Wᵀ is stored (rows by rows,
a·bᵀ, round by the addresses of both), and into results that begin at equal addresses modulo 64
bytes, by which MKL chooses its kernels.

Source: Rumelhart, Hinton & Williams 1986; Nielsen ch. 2, BP1–BP4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from mlr.probes.layers import UnitStatistics
from mlr.training.memory_layout import Layout, classes_first
from mlr.training.structure import Activation, Dense

ALIGN = 16
"""Results begin at multiples of this many numbers: 64 bytes of float32. Products with that many
columns take a third of the time of those with ten, so the last layer's outputs are padded."""


@dataclass(frozen=True)
class DenseLayer:
    """Views of one layer's parameters and gradients; making one takes as long as a product."""

    name: str
    weight_t: Tensor
    """Wᵀ (L, in, out), as stored"""
    weight_t_grad: Tensor
    bias: Tensor | None
    """b (L, 1, out)"""
    bias_grad: Tensor | None
    """(L, out)"""
    activation: Activation | None


class DenseNetwork:
    """L dense networks as one; inputs are flat (L, B, D).

    Args:
        structure: the layers.
        layout: with every weight turned.
        flat: parameters (L, P).
        grads: their gradients, written by `backward`.
        busy: threads for a product of one lane; None multiplies all lanes in one call, on one.
    """

    flat_inputs = True
    lanes_last = False
    modules: Sequence[nn.Module] = ()

    def __init__(
        self,
        structure: list[Dense],
        layout: Layout,
        flat: Tensor,
        grads: Tensor,
        busy: int | None = None,
    ) -> None:
        self.product: Callable[..., Tensor] = (
            product_together if busy is None else partial(product_alone, busy=busy)
        )
        self.outputs = structure[-1].outputs
        self.filled: dict[int, Tensor] = {}
        """B → δ (L, B, padded outputs), whose last columns stay 0"""
        stored, stored_grads = layout.stored(flat), layout.stored(grads)
        self.layers: list[DenseLayer] = []
        for layer in structure:
            weight, bias = f"{layer.name}.weight", f"{layer.name}.bias"
            has_bias = bias in stored
            width = slice(None if layer is structure[-1] else layer.outputs)
            self.layers.append(
                DenseLayer(
                    name=layer.name,
                    weight_t=stored[weight][..., width],
                    weight_t_grad=stored_grads[weight][..., width],
                    bias=stored[bias][:, width].unsqueeze(1) if has_bias else None,
                    bias_grad=stored_grads[bias][:, width] if has_bias else None,
                    activation=layer.activation,
                )
            )

    def logits(self, inputs: Tensor) -> Tensor:
        """Compute logits (L, B, K) of inputs (L, B, D)."""
        for layer in self.layers:
            inputs = self._apply(layer, inputs)
        return classes_first(inputs[..., : self.outputs])

    def forward(
        self, inputs: Tensor, step: int, recorded: bool = False
    ) -> tuple[Tensor, list[Tensor]]:
        """Compute logits (L, B, K), and the activations that `backward` needs."""
        activations = [inputs]
        for layer in self.layers:
            activations.append(self._apply(layer, activations[-1]))
        return classes_first(activations[-1][..., : self.outputs]), activations

    def _apply(self, layer: DenseLayer, inputs: Tensor) -> Tensor:
        outputs = self.product(inputs, layer.weight_t, add=layer.bias)
        return outputs if layer.activation is None else layer.activation.forward(outputs)

    def backward(
        self, activations: list[Tensor], delta: Tensor, units: UnitStatistics | None = None
    ) -> None:
        """Write the gradients of the mean loss, given each example's δ (L, B, K) at the logits."""
        lanes, batch, outputs = delta.shape
        share = 1 / batch
        if batch not in self.filled:
            self.filled[batch] = delta.new_zeros(lanes, batch, outputs + -outputs % ALIGN)
        self.filled[batch][..., :outputs].copy_(delta)
        delta = self.filled[batch]
        for index in range(len(self.layers) - 1, -1, -1):
            layer, inputs = self.layers[index], activations[index]
            self.product(inputs.mT, delta, scale=share, out=layer.weight_t_grad)
            if layer.bias_grad is not None:
                torch.sum(delta, 1, out=layer.bias_grad).mul_(share)
            if units is not None:
                units.dense(layer.name, inputs, delta, layer.bias_grad is not None)
            if index > 0:
                # a copy in any case: of one lane of one output, a view passes for contiguous, and
                # its strides would choose another routine, which rounds otherwise on some CPUs
                weight = layer.weight_t.mT.clone(memory_format=torch.contiguous_format)
                delta = self.product(delta, weight)
                before = self.layers[index - 1]
                if before.activation is not None:
                    if units is not None:
                        units.hidden(before.name, inputs, partial(before.activation.slopes, inputs))
                    delta = before.activation.backward(delta, inputs)


def results(lanes: int, rows: int, columns: int, like: Tensor) -> Tensor:
    """Allocate (L, rows, columns) with all lanes at multiples of `ALIGN`."""
    size = rows * columns
    flat = like.new_empty(lanes, size + -size % ALIGN)
    return flat[:, :size].view(lanes, rows, columns)


def product_together(
    a: Tensor, b: Tensor, add: Tensor | None = None, scale: float = 1.0, out: Tensor | None = None
) -> Tensor:
    """Compute scale · a b + add for a (L, n, k), b (L, k, m), add (L, 1, m) in one call."""
    if b.shape[2] == 1 and out is not None:
        # a column between others is written by another routine, which rounds differently
        return out.copy_(product_together(a, b, add, scale))
    if len(a) == 1 and 1 in b.shape[1:]:
        # as is the product of one matrix and one column, or of a column and a row: make it two
        twice = (2, -1, -1)
        both = product_together(
            a.expand(twice), b.expand(twice), None if add is None else add.expand(twice), scale
        )
        return both[:1] if out is None else out.copy_(both[:1])
    if out is None:
        out = results(len(a), a.shape[1], b.shape[2], a)
    if add is None:
        return torch.baddbmm(out, a, b, beta=0, alpha=scale, out=out)
    return torch.baddbmm(add, a, b, out=out)


def product_alone(
    a: Tensor,
    b: Tensor,
    add: Tensor | None = None,
    scale: float = 1.0,
    out: Tensor | None = None,
    *,
    busy: int,
) -> Tensor:
    """Compute the same, one lane after the other, each on `busy` threads."""
    if out is None:
        out = results(len(a), a.shape[1], b.shape[2], a)
    if b.shape[2] == 1:  # the product with a single column rounds by its address
        for lane in range(len(a)):
            torch.sum(a[lane] * b[lane].mT, 1, keepdim=True, out=out[lane])
        out.mul_(scale)
        return out if add is None else out.add_(add)
    one = torch.get_num_threads()
    torch.set_num_threads(busy)  # a context manager would take longer than a small product
    try:
        for own, left, right, lane in zip(out, a, b, range(len(a)), strict=True):
            if add is None:
                torch.addmm(own, left, right, beta=0, alpha=scale, out=own)
            else:
                torch.addmm(add[lane], left, right, out=own)
    finally:
        torch.set_num_threads(one)
    return out
