"""Structure of dense networks, for which the backward pass has a closed form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mlr.heads.functions import sigmoid_

_aten = torch.ops.aten


@dataclass(frozen=True)
class Activation:
    """Elementwise function φ, in place, and its backward (δ, a) → δ ⊙ φ'(z), with a = φ(z)."""

    forward: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]

    def slopes(self, outputs: Tensor) -> Tensor:
        """φ'(z) of a = φ(z), of any shape."""
        return self.backward(torch.ones_like(outputs), outputs)


ACTIVATIONS: dict[type[nn.Module], Activation] = {
    nn.ReLU: Activation(torch.relu_, lambda delta, a: _aten.threshold_backward(delta, a, 0)),
    nn.Tanh: Activation(torch.tanh_, _aten.tanh_backward.default),
    nn.Sigmoid: Activation(sigmoid_, _aten.sigmoid_backward.default),
}


@dataclass(frozen=True)
class Dense:
    """Dense layer of a module: its name there, its widths, and its activation."""

    name: str
    inputs: int
    outputs: int
    activation: Activation | None


class DenseOnly:
    """Networks of dense layers, which have no buffers."""

    def state_dict(self, lane: int, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the module's state_dict with these parameters."""
        return parameters

    def buffers(self, lane: int) -> dict[str, Tensor]:
        """Return no buffers."""
        return {}

    def load_buffers(self, lane: int, buffers: Mapping[str, Tensor]) -> None:
        """Restore no buffers."""


def dense_structure(module: nn.Module, feature_shape: tuple[int, ...]) -> list[Dense] | None:
    """Find the layers of an nn.Sequential of dense layers; None for any other module.

    A module that the closed form would compute differently is another module: one with a part or
    parameter used twice, a hook, or images that are not flattened first.
    """
    # named_children() would leave out repeated parts
    parts = [(name, part) for name, part in module._modules.items() if part is not None]
    flattened = len(feature_shape) == 1
    repeated = len({id(part) for _, part in parts}) < len(parts)
    if type(module) is not nn.Sequential or repeated or _shares(module) or _has_hooks(module):
        return None
    layers: list[Dense] = []
    for name, part in parts:
        if type(part) is nn.Linear and flattened:
            layers.append(Dense(name, part.in_features, part.out_features, None))
        elif type(part) in ACTIVATIONS and layers and layers[-1].activation is None:
            last = layers[-1]
            activation = ACTIVATIONS[type(part)]
            layers[-1] = Dense(last.name, last.inputs, last.outputs, activation)
        elif type(part) is nn.Flatten and (part.start_dim, part.end_dim) == (1, -1):
            flattened = True
        else:
            return None
    # logits must come from a linear layer for δ_L = dL/dz to hold
    return layers if layers and layers[-1].activation is None else None


def _shares(module: nn.Module) -> bool:
    names = list(module.named_parameters(remove_duplicate=False))
    return len(names) > len(list(module.parameters()))


def _has_hooks(module: nn.Module) -> bool:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(part, kind) for part in module.modules() for kind in kinds)
