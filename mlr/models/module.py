"""Adapter of a user's own nn.Module class, named in the configuration."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlr.core.checks import InputError, is_out_of_memory
from mlr.core.seeds import derive_seed
from mlr.models.base import Model

if TYPE_CHECKING:
    from torch import nn


class UserModule(Model):
    """Model that builds `kind(**options)`, adding `feature_shape` and `outputs` if it takes them.

    Args:
        kind: an nn.Module class whose forward maps (B, *feature_shape) to logits (B, K).
        options: its keyword arguments.
    """

    name = "user"

    def __init__(self, kind: type[nn.Module], options: Mapping[str, Any]) -> None:
        self.kind = kind
        self.options = dict(options)

    def construct(
        self, feature_shape: tuple[int, ...], outputs: int, seed: int, dtype: str
    ) -> nn.Module:
        """Construct the module under a derived seed and check its output shape (B, outputs)."""
        import torch

        asked = inspect.signature(self.kind).parameters
        offered = {"feature_shape": feature_shape, "outputs": outputs}
        shapes = {name: value for name, value in offered.items() if name in asked}
        torch.manual_seed(derive_seed(seed, "init"))
        try:
            module = self.kind(**{**shapes, **self.options})
        except TypeError as error:
            raise InputError(
                f"model._target_={self.kind.__name__} cannot be made of {self.options}: "
                f"{error}. Set its arguments as +model.<argument>=…"
            ) from error
        _check_output(module, feature_shape, outputs)
        return module.to(getattr(torch, dtype))


def _check_output(module: nn.Module, feature_shape: tuple[int, ...], outputs: int) -> None:
    import torch

    name = type(module).__name__
    module.eval()
    with torch.no_grad():
        try:
            logits = module(torch.zeros(2, *feature_shape))
        except (RuntimeError, ValueError, IndexError) as error:
            if is_out_of_memory(error):
                raise
            raise InputError(
                f"model {name} does not accept features of shape {feature_shape}: {error}"
            ) from error
    module.train()
    if not isinstance(logits, torch.Tensor):
        raise InputError(
            f"model {name} returns a {type(logits).__name__}, not a tensor of logits; "
            "return the logits alone from forward()."
        )
    found = tuple(logits.shape)
    if found != (2, outputs):
        raise InputError(
            f"model {name} gives logits of shape {found} for 2 examples, "
            f"but this head and dataset need (2, {outputs})."
        )
