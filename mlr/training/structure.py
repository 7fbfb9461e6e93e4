"""Layers of a module: dense networks, which have a closed backward pass, and what is measured."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mlr.data.base import Dataset
from mlr.heads.functions import sigmoid_
from mlr.probes.base import Subject
from mlr.probes.layer_hooks import LayerHooks
from mlr.training.memory_layout import Layout

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


def dense_structure(module: nn.Module, feature_shape: tuple[int, ...]) -> list[Dense] | None:
    """Find the layers of an nn.Sequential of dense layers; None for any other module.

    A module that the closed form would compute differently is another module: one with a part or
    parameter used twice, a frozen parameter, a hook, or images that are not flattened first.
    """
    if type(module) is not nn.Sequential:
        return None
    # named_children() would leave out repeated parts
    parts = [(name, part) for name, part in module._modules.items() if part is not None]
    flattened = len(feature_shape) == 1
    every = [module, *(part for _, part in parts)]
    used = [own for part in every for own in part._parameters.values() if own is not None]
    shared = len(set(map(id, used))) < len(used)
    frozen = not all(own.requires_grad for own in used)
    repeated = len({id(part) for part in every}) < len(every)
    nested = any(part._modules for _, part in parts)
    if repeated or shared or frozen or nested or any(map(_is_hooked, every)):
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


def _is_hooked(part: nn.Module) -> bool:
    """Tell if a module has hooks of its own."""
    return bool(
        part._forward_hooks
        or part._forward_pre_hooks
        or part._backward_hooks
        or part._backward_pre_hooks
    )


def parameters_of(module: nn.Module, structure: list[Dense] | None) -> dict[str, nn.Parameter]:
    """Return the trained parameters by name; of a dense network, without deeper parts, faster."""
    if structure is None:
        return {name: own for name, own in module.named_parameters() if own.requires_grad}
    found = dict(module._parameters)
    for prefix, part in module._modules.items():
        if part is not None:
            found |= {f"{prefix}.{name}": own for name, own in part._parameters.items()}
    return {name: own for name, own in found.items() if own is not None}


def subject_of(
    module: nn.Module, data: Dataset, spread: bool, structure: list[Dense] | None
) -> Subject:
    """Describe what can be measured in a run; layers of other modules are found by one example."""
    if structure is None:
        hooks, training = LayerHooks(module), module.training
        example = data.train.features[:1].to(next(module.parameters()))
        try:
            module.eval()
            # a module that cannot do this fails with its own message when it is trained
            with torch.inference_mode(False), torch.enable_grad(), hooks, suppress(Exception):
                module(example.clone())
        finally:
            module.train(training)
        dense = list(dict.fromkeys(call.layer for call in hooks.calls))
        hidden = list(dict.fromkeys(one.layer for one in hooks.activated))
    else:
        dense = [layer.name for layer in structure]
        hidden = [layer.name for layer in structure if layer.activation is not None]
    return Subject(
        classes=data.classes,
        spread=spread,
        layers=tuple(Layout.of(module).layers()),
        dense=tuple(dense),
        hidden=tuple(hidden),
        multilabel=data.multilabel,
    )
