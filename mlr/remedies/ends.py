"""A model without the activation at its end, whatever its forward method looks like.

Calls of torch's functions are followed while the model runs: the result of an activation is
remembered with what it was given, and views of the result with the same views of that.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mlr.core.checks import InputError

ENDS = frozenset(
    (
        *("softmax", "log_softmax", "sigmoid", "logsigmoid", "relu", "relu6", "tanh", "softplus"),
        *("leaky_relu", "elu", "gelu", "silu", "hardsigmoid", "hardtanh", "clamp", "clip"),
        *("softmin", "softsign", "exp"),
    )
)
"""Functions that may stand at the end of a model."""
VIEWS = frozenset(
    (
        *("squeeze", "unsqueeze", "view", "reshape", "flatten", "transpose", "permute"),
        *("__getitem__", "view_as", "contiguous", "movedim", "t"),
    )
)


class _Followed(TorchFunctionMode):
    """Remembers what the activations were given.

    Attributes:
        before: by identity of a tensor: the tensor itself, what it was computed from by an
            activation, and the name of the activation.
    """

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[int, tuple[Tensor, Tensor, str]] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        name = name if name.startswith("__") else name.removesuffix("_")  # relu_ is in place
        first = args[0] if args else kwargs.get("input")
        if not isinstance(first, Tensor) or name not in ENDS | VIEWS:
            return func(*args, **kwargs)
        # an activation may overwrite what it is given
        given = first.clone() if name in ENDS else first
        result = func(*args, **kwargs)
        if isinstance(result, Tensor):
            if name in ENDS:
                self.before[id(result)] = (result, given, name)
            elif id(first) in self.before:
                _, twin, end = self.before[id(first)]
                self.before[id(result)] = (result, func(twin, *args[1:], **kwargs), end)
        return result


class WithoutEnd(nn.Module):
    """A model whose last activation is left out.

    Attributes:
        end: name of the activation that was left out of the last call.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.training = model.training
        self.end = ""

    def forward(self, *inputs: Any) -> Tensor:
        """Return what the activation is given.

        Raises:
            InputError: the outputs come from none.
        """
        with _Followed() as followed:
            outputs = self.model(*inputs)
        if id(outputs) not in followed.before:
            raise InputError("The model does not end in an activation.")
        _, given, self.end = followed.before[id(outputs)]
        return given


def end_of(model: nn.Module, inputs: Any) -> str:
    """Name the activation at the end of a model; empty without one."""
    bare = WithoutEnd(model)
    with torch.no_grad():
        try:
            bare(*inputs) if isinstance(inputs, (tuple, list)) else bare(inputs)
        except InputError:
            return ""
    return bare.end
