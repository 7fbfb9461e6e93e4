"""Closed-form backward of dense networks over the run axis: no autograd, every δ for free.

    forward   a₀ = x,  z_l = a_{l−1} W_lᵀ + b_l,  a_l = φ(z_l)
    backward  δ_L = dL/dz,  ∂L̄/∂W_l = δ_lᵀ a_{l−1}/B,  ∂L̄/∂b_l = Σ_B δ_l/B,
              δ_{l−1} = (δ_l W_l) ⊙ φ'(z_{l−1}),  φ' written in a = φ(z)

L̄ is the mean of the B losses; its 1/B rides along in the two products.

Source: Rumelhart, Hinton & Williams 1986; Nielsen ch. 2, BP1–BP4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mlr.training.parameters import Layout

_aten = torch.ops.aten


@dataclass(frozen=True)
class Activation:
    """An elementwise function φ and its backward (δ, a) → δ ⊙ φ'(z), with a = φ(z)."""

    forward: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]


ACTIVATIONS: dict[type[nn.Module], Activation] = {
    nn.ReLU: Activation(torch.relu, lambda delta, a: _aten.threshold_backward(delta, a, 0)),
    nn.Tanh: Activation(torch.tanh, _aten.tanh_backward.default),
    nn.Sigmoid: Activation(torch.sigmoid, _aten.sigmoid_backward.default),
}


@dataclass(frozen=True)
class DenseLayer:
    """Views of one layer's parameters and gradients.

    Made once a program: making a view takes as long as multiplying a small matrix.
    """

    weight: Tensor
    """W (R, out, in)"""
    weight_t: Tensor
    """Wᵀ (R, in, out)"""
    weight_grad: Tensor
    """(R, out, in)"""
    bias: Tensor | None
    """b (R, 1, out)"""
    bias_grad: Tensor | None
    """(R, 1, out)"""
    activation: Activation | None

    def __call__(self, inputs: Tensor) -> Tensor:
        """Inputs (R, B, in) → activations (R, B, out)."""
        if self.bias is None:
            outputs = torch.bmm(inputs, self.weight_t)
        else:
            outputs = torch.baddbmm(self.bias, inputs, self.weight_t)
        return outputs if self.activation is None else self.activation.forward(outputs)


class DenseNetwork:
    """R dense networks as one; inputs are flat (R, B, D)."""

    flat_inputs = True

    def __init__(
        self,
        structure: list[tuple[str, Activation | None]],
        layout: Layout,
        flat: Tensor,
        grads: Tensor,
    ) -> None:
        views, grad_views = layout.views(flat), layout.views(grads)
        self.layers: list[DenseLayer] = []
        self.mean_rows: dict[int, Tensor] = {}
        """B → (R, 1, B) filled with 1/B: multiplied by δ it gives the mean over the batch"""
        for name, activation in structure:
            weight, bias = views[f"{name}.weight"], views.get(f"{name}.bias")
            self.layers.append(
                DenseLayer(
                    weight=weight,
                    weight_t=weight.mT,
                    weight_grad=grad_views[f"{name}.weight"],
                    bias=None if bias is None else bias.unsqueeze(1),
                    bias_grad=None if bias is None else grad_views[f"{name}.bias"].unsqueeze(1),
                    activation=activation,
                )
            )

    def state_dict(self, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        """The module's state_dict with these parameters: dense layers hold nothing else."""
        return parameters

    def logits(self, inputs: Tensor) -> Tensor:
        """Inputs (R, B, D) → logits (R, B, K)."""
        for layer in self.layers:
            inputs = layer(inputs)
        return inputs

    def forward(self, inputs: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits (R, B, K), and the activations that `backward` needs."""
        activations = [inputs]
        for layer in self.layers:
            activations.append(layer(activations[-1]))
        return activations[-1], activations

    def backward(self, activations: list[Tensor], delta: Tensor) -> None:
        """Write the gradients of the mean loss, given each example's δ (R, B, K) at the logits."""
        mean_row = self._mean_row(delta)
        share = 1 / delta.shape[1]
        for index in range(len(self.layers) - 1, -1, -1):
            layer, inputs = self.layers[index], activations[index]
            grad = layer.weight_grad
            torch.baddbmm(grad, delta.mT, inputs, beta=0, alpha=share, out=grad)
            if layer.bias_grad is not None:
                torch.bmm(mean_row, delta, out=layer.bias_grad)
            if index > 0:
                delta = torch.bmm(delta, layer.weight)
                activation = self.layers[index - 1].activation
                if activation is not None:
                    delta = activation.backward(delta, inputs)

    def _mean_row(self, delta: Tensor) -> Tensor:
        runs, batch, _ = delta.shape
        if batch not in self.mean_rows:
            self.mean_rows[batch] = delta.new_full((runs, 1, batch), 1 / batch)
        return self.mean_rows[batch]


def dense_structure(
    module: nn.Module, feature_shape: tuple[int, ...]
) -> list[tuple[str, Activation | None]] | None:
    """Layer names and activations of an nn.Sequential of dense layers; None for anything else.

    Anything that the closed form would compute otherwise than the module itself counts as
    something else: a part or parameter used twice, a hook, images that are not flattened first.
    """
    # named_children() would leave out repeated parts
    parts = [(name, part) for name, part in module._modules.items() if part is not None]
    flattened = len(feature_shape) == 1
    repeated = len({id(part) for _, part in parts}) < len(parts)
    if type(module) is not nn.Sequential or repeated or _shares(module) or _has_hooks(module):
        return None
    structure: list[tuple[str, Activation | None]] = []
    for name, part in parts:
        if type(part) is nn.Linear and flattened:
            structure.append((name, None))
        elif type(part) in ACTIVATIONS and structure and structure[-1][1] is None:
            structure[-1] = (structure[-1][0], ACTIVATIONS[type(part)])
        elif type(part) is nn.Flatten and (part.start_dim, part.end_dim) == (1, -1):
            flattened = True
        else:
            return None
    # logits must come from a linear layer for δ_L = dL/dz to hold
    return structure if structure and structure[-1][1] is None else None


def _shares(module: nn.Module) -> bool:
    names = list(module.named_parameters(remove_duplicate=False))
    return len(names) > len(list(module.parameters()))


def _has_hooks(module: nn.Module) -> bool:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(part, kind) for part in module.modules() for kind in kinds)
