"""Evidence on the mode: a model that reads it, trained in eval mode or evaluated in train mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd


def reads_mode(model: nn.Module) -> bool:
    """Tell if a model has dropout, or batch normalisation that is trained."""
    for part in model.modules():
        if isinstance(part, _DropoutNd) and part.p > 0:
            return True
        norm = isinstance(part, _BatchNorm) and part.track_running_stats
        if norm and (part.weight is None or part.weight.requires_grad):
            return True
    return False


class Modes:
    """Counts of calls by the mode of a model.

    The hook is on the model alone, and only if its mode matters. A copy or a pickle of the model
    takes no probe with it.

    Attributes:
        dropout: largest probability of a dropout; NaN without any.
        trained: batches in train mode.
        after: batches in eval mode after one in train mode.
        tested: calls in train mode without gradients, after a batch in train mode.
    """

    def __init__(self, model: nn.Module, listen: bool) -> None:
        self._model, self.reads = model, reads_mode(model)
        dropped = [part.p for part in model.modules() if isinstance(part, _DropoutNd)]
        self.dropout = float(max(dropped, default=float("nan")))
        self.trained = self.after = self.tested = 0
        self.close: Callable[[], None] = lambda: None
        if listen and self.reads:
            self.close = model.register_forward_pre_hook(_Hook(self)).remove

    def count(self, batches: int = 1) -> None:
        """Count batches, all by the mode of now."""
        if self._model.training:
            self.trained += batches
        elif self.trained:
            self.after += batches


class _Hook:
    def __init__(self, modes: Modes) -> None:
        self._modes = modes

    def __call__(self, module: nn.Module, arguments: Any) -> None:
        if module.training and self._modes.trained and not torch.is_grad_enabled():
            self._modes.tested += 1

    def __reduce__(self) -> tuple[Any, ...]:
        # {}.get(module, arguments) are the arguments: a hook that changes nothing, without mlr
        return getattr, ({}, "get")
