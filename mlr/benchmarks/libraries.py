"""What computes losses and dL/dz of the classic pairs: mlr, and other libraries as people use them.

Each is given logits z (N, K) and one-hot targets t (N, K), N × 1 for one sigmoid, and returns
losses (N,) and their gradients (N, K) in float64. Keras and optax are loaded when they are asked.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from types import ModuleType
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional

from mlr.objectives import Objective

Answer = tuple[Tensor, Tensor]
Library = Callable[[str, Tensor, Tensor], Answer]
"""The name of a pair, logits and targets → losses and dL/dz."""
TorchFunction = Callable[[Tensor, Tensor], Tensor]

MISSING = "not installed: pip install '.[benchmark]'"


def of_mlr(pair: str, z: Tensor, t: Tensor) -> Answer:
    """The objective."""
    return _by_autograd(Objective(*pair.split("+")), z, t)


def torch_fused(pair: str, z: Tensor, t: Tensor) -> Answer:
    """The function of logits that torch has."""
    functions: dict[str, TorchFunction] = {
        "sigmoid+bce": partial(functional.binary_cross_entropy_with_logits, reduction="none"),
        "softmax+ce": partial(functional.cross_entropy, reduction="none"),
    }
    return _by_autograd(functions[pair], z, t)


def torch_unfused(pair: str, z: Tensor, t: Tensor) -> Answer:
    """A head of torch, then its loss or its logarithm."""
    functions: dict[str, TorchFunction] = {
        "sigmoid+bce": lambda z, t: functional.binary_cross_entropy(
            z.sigmoid(), t, reduction="none"
        ),
        "softmax+ce": lambda z, t: functional.nll_loss(
            z.softmax(-1).log(), t.argmax(-1), reduction="none"
        ),
    }
    return _by_autograd(functions[pair], z, t)


def of_keras(pair: str, z: Tensor, t: Tensor, from_logits: bool = False) -> Answer:
    """Keras on torch: an activation and a loss of probabilities, its default, or of logits."""
    ops = _keras().ops
    head, loss = {
        "sigmoid+bce": (ops.sigmoid, ops.binary_crossentropy),
        "softmax+ce": (ops.softmax, ops.categorical_crossentropy),
    }[pair]
    return _by_autograd(
        lambda z, t: loss(t, z if from_logits else head(z), from_logits=from_logits), z, t
    )


def of_optax(pair: str, z: Tensor, t: Tensor) -> Answer:
    """Optax on the CPU, its losses of logits."""
    import jax
    import optax

    jax.config.update("jax_platforms", "cpu")
    loss = {
        "sigmoid+bce": optax.sigmoid_binary_cross_entropy,
        "softmax+ce": optax.softmax_cross_entropy,
    }[pair]
    with jax.enable_x64(True):
        logits, targets = jax.numpy.asarray(z.numpy()), jax.numpy.asarray(t.numpy())
        values = loss(logits, targets).reshape(len(z))
        slopes = jax.grad(lambda z: loss(z, targets).sum())(logits)
        found = jax.device_get((values, slopes))
    return torch.tensor(found[0]).double(), torch.tensor(found[1]).double()


LIBRARIES: dict[str, tuple[Library, str]] = {
    "mlr": (of_mlr, "torch"),
    "torch, fused": (torch_fused, "torch"),
    "torch, unfused": (torch_unfused, "torch"),
    "Keras 3, from_logits=True": (partial(of_keras, from_logits=True), "keras"),
    "Keras 3, its default": (of_keras, "keras"),
    "optax": (of_optax, "optax"),
}
"""By name: the library, and the module that must be installed."""


def installed() -> dict[str, Library]:
    """Those that can be asked here."""
    return {name: ask for name, (ask, module) in LIBRARIES.items() if find_spec(module)}


def _by_autograd(function: TorchFunction, z: Tensor, t: Tensor) -> Answer:
    logits = z.clone().requires_grad_()
    values = function(logits, t).reshape(len(z))
    (slopes,) = torch.autograd.grad(values.sum(), logits)
    return values.detach().double(), slopes.double()


@cache
def _keras() -> ModuleType:
    """Keras on torch, whose settings are written to a folder that is deleted."""
    with (
        TemporaryDirectory() as home,
        patch.dict(os.environ, KERAS_BACKEND="torch", KERAS_HOME=home),
    ):
        import keras
    return keras
