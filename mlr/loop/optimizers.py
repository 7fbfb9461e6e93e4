"""Optimizers as programs call them: with a closure, or wrapped by an accelerator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer


def after_closure(
    arguments: tuple[Any, ...], named: dict[str, Any], look: Callable[[], None]
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """Call a function before an update; returns other arguments if a closure is to come first."""
    closure = arguments[1] if len(arguments) > 1 else named.get("closure")
    if closure is None:
        look()
        return None

    def evaluated() -> Any:
        loss = closure()
        look()
        return loss

    if len(arguments) > 1:
        return (arguments[0], evaluated, *arguments[2:]), named
    return arguments, named | {"closure": evaluated}


def unwrapped_optimizer(optimizer: Optimizer) -> Optimizer:
    """Return the optimizer in that of an accelerator, which runs no hooks."""
    inner: Any = getattr(optimizer, "optimizer", None)
    wraps = isinstance(inner, Optimizer) and not hasattr(optimizer, "_optimizer_step_pre_hooks")
    return unwrapped_optimizer(inner) if wraps else optimizer
