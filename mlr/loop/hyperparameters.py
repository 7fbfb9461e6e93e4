"""Hyper-parameters of a user's own program, read off its model, optimizers and loss.

Keys are those of mlr's own configuration, as `optimizer.lr`. An option that has the default of its
optimizer's class is left out, for the class tells it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mlr.core.checks import InputError
from mlr.loop.model_hooks import unwrapped
from mlr.records.settings import RATE, Value

HOW_IT_RUNS = ("foreach", "capturable", "differentiable", "fused")
"""Options of optimizers that change no number."""
PROMINENT = ("momentum", "weight_decay", "betas")
"""Options of the first optimizer that the HPARAMS page shows even at their default."""
LAYERS = 80
"""Most characters of the list of a model's layers."""
UNSEEDED = 67280421310721
"""Torch's seed until one is set."""
SAME = {"bce_logits": "bce"}
"""Losses that are one and the same, but for the head before them."""
AMBIGUOUS = ("smooth_l1",)
"""Losses whose value is that of others, as half the squared error while errors are below 1."""
NOT_GIVEN = ("head",)
"""Keys that the probe has an argument for."""


def of_program(model: nn.Module, optimizers: Sequence[Optimizer]) -> dict[str, Value]:
    """Describe a program before its first batch."""
    return {**of_model(model), **of_optimizers(optimizers), "seed": torch_seed()}


def of_course(forms: Iterable[str], optimizers: Sequence[Optimizer]) -> dict[str, Value]:
    """Describe what the first batch shows: the loss, and that the rate has a schedule.

    Args:
        forms: of the loss, from `mlr.loop.evidence.recomputed`.
        optimizers: of the program.
    """
    schedule: dict[str, Value] = {"schedule": "yes"} if scheduled(optimizers) else {}
    return {"loss": loss_name(forms), **schedule}


def of_model(model: nn.Module) -> dict[str, Value]:
    """Describe a model: its class and its layers."""
    own = unwrapped(model)
    return {"model": type(own).__name__, "model.layers": _layers(own)}


def parameters(model: nn.Module) -> int:
    """Count the trained parameters of a model."""
    return sum(one.numel() for one in model.parameters() if one.requires_grad)


def _layers(model: nn.Module) -> str:
    """List the parts of a model, as `Linear 16, ReLU(), Linear 3`.

    A model that is large, or of parts of the user's own, is told apart by a hash of its text and
    of the shapes of its parameters.
    """
    parts = [one for one in model.modules() if next(one.children(), None) is None]
    names = [f"Linear {one.out_features}" if type(one) is nn.Linear else repr(one) for one in parts]
    text = ", ".join(names)
    known = all(type(one).__module__.startswith("torch.nn") for one in parts)
    if known and len(text) <= LAYERS:
        return text
    shapes = [tuple(one.shape) for one in model.parameters()]
    mark = blake2b(f"{model!r}{shapes}".encode(), digest_size=3).hexdigest()
    return f"{len(parts)} layers ({mark})" if len(parts) > 1 else f"{names[0][:20]} ({mark})"


def of_optimizers(optimizers: Sequence[Optimizer]) -> dict[str, Value]:
    """Describe optimizers: class and rate of each, and the options that are not its defaults.

    Those of the second have keys as `optimizer2.lr`.
    """
    found: dict[str, Value] = {}
    for number, optimizer in enumerate(optimizers, 1):
        name = "optimizer" if number == 1 else f"optimizer{number}"
        found[name] = type(optimizer).__name__
        usual = inspect.signature(type(optimizer)).parameters
        for key in usual.keys() & optimizer.defaults.keys() - {*HOW_IT_RUNS} | {"lr"}:
            value = _option(optimizer, key)
            default = usual[key].default if key in usual else None
            if key == "lr" or (value is not None and value != _plain(default)):
                found[f"{name}.{key}"] = value
    return found


def shown(model: nn.Module, optimizer: Optimizer) -> dict[str, Value]:
    """Return what only the HPARAMS page shows; None for an option that the optimizer lacks."""
    options = {f"optimizer.{key}": _option(optimizer, key) for key in PROMINENT}
    return {"model.parameters": parameters(model), **options}


def _option(optimizer: Optimizer, key: str) -> Value:
    """Return an option before any schedule; a list as text where parameter groups differ."""
    own = "initial_lr" if key == "lr" else key
    values = [_plain(group.get(own, group.get(key))) for group in optimizer.param_groups]
    return values[0] if len(set(values)) == 1 else _plain(values)


def scheduled(optimizers: Sequence[Optimizer]) -> bool:
    """Tell if a scheduler of torch's changes any learning rate."""
    return any("initial_lr" in group for one in optimizers for group in one.param_groups)


def _plain(value: Any) -> Value:
    """Return a number, bool, text or None; a tensor as its number, lists as `[0.9,0.999]`."""
    if isinstance(value, Tensor) or hasattr(value, "item"):
        value = value.item() if value.numel() == 1 else value.tolist()
    if isinstance(value, (list, tuple)):
        return f"[{','.join(str(_plain(one)) for one in value)}]"
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def loss_name(forms: Iterable[str]) -> str | None:
    """Name a loss by the forms that have its value, the simplest first, as `ce`; None for none."""
    names = (form.rpartition("+")[2].removeprefix("-") for form in forms)
    name = next((one for one in names if one not in AMBIGUOUS), None)
    return SAME.get(name, name) if name else None


def torch_seed() -> int | None:
    """Return the seed that the program gave torch; None without one."""
    seed = torch.initial_seed()
    return seed if seed != UNSEEDED and seed < 1 << 63 else None


def checked(given: Mapping[str, Any] | None) -> dict[str, Value]:
    """Return hyper-parameters that a user gave as plain values.

    Raises:
        InputError: a value is no number, text or list of them, or has an argument of its own.
    """
    found: dict[str, Value] = {}
    for key, value in (given or {}).items():
        plain = _plain(value)
        nested = isinstance(value, (Mapping, set))
        if not isinstance(key, str) or not key or key in NOT_GIVEN or nested:
            raise InputError(
                f"hyperparameters={{{key!r}: {value!r}}} must hold numbers, text, or lists of "
                "them by name; the head is given by head=."
            )
        found["optimizer.lr" if key == "lr" else key] = plain
    seed = found.get("seed")
    if seed is not None and (type(seed) is not int or abs(seed) >= 1 << 63):
        raise InputError(f"hyperparameters={{'seed': {seed!r}}} must be a whole number.")
    return found


def as_columns(settings: Mapping[str, Value]) -> dict[str, Value]:
    """Name settings as the HPARAMS page does: the rate as `lr`."""
    return {"lr" if key == RATE else key: value for key, value in settings.items()}
