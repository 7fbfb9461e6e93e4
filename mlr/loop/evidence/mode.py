"""Evidence on the mode: a model that reads it, trained in eval mode or evaluated in train mode."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd


def reads_mode(model: nn.Module) -> bool:
    """Tell if a model has dropout, or batch normalisation that is trained."""
    return any(_reads(part) for part in model.modules())


def _reads(part: nn.Module) -> bool:
    if isinstance(part, _DropoutNd) and part.p > 0:
        return True
    norm = isinstance(part, _BatchNorm) and part.track_running_stats
    return bool(norm and (part.weight is None or part.weight.requires_grad))


@torch.no_grad()
def unlearned_norms(model: nn.Module) -> list[_BatchNorm]:
    """Return the trained batch normalisations whose running statistics are 0 and 1 still."""
    return [
        part
        for part in model.modules()
        if isinstance(part, _BatchNorm)
        and part.running_mean is not None
        and part.running_var is not None
        and not bool(part.running_mean.any())
        and bool((part.running_var == 1).all())
    ]


def untracked(model: nn.Module) -> int:
    """Count the batch normalisations with a momentum of 0 that keep the statistics 0 and 1."""
    return sum(part.momentum == 0 for part in unlearned_norms(model))


def share_of_the_start(norms: Iterable[_BatchNorm]) -> float:
    """Return the largest share that statistics of the start have of running ones; NaN without any.

    Running statistics forget by (1 − momentum) a batch; with momentum=None they are plain means.
    """
    shares = [
        (1 - part.momentum) ** int(part.num_batches_tracked)
        for part in norms
        if _reads(part) and part.momentum is not None and part.num_batches_tracked is not None
    ]
    return max(shares, default=float("nan"))


def _live(part: nn.Module) -> bool:
    return part.training and _reads(part)


def _place(arguments: Any) -> tuple[int, ...]:
    """Return the place and shape of the first argument, if it is a tensor."""
    first = arguments[0] if arguments else None
    if not isinstance(first, torch.Tensor):
        return ()
    try:
        return (first.data_ptr(), *first.shape)
    except RuntimeError:  # without a place of its own, as within torch.func
        return ()


class Modes:
    """Counts of calls by the mode of a model.

    The hook is on the model alone, and only if its mode matters. A copy or a pickle of the model
    takes no probe with it.

    Attributes:
        dropout: largest probability of a dropout; NaN without any.
        norm: True if there is batch normalisation that is trained.
        trained: batches in train mode.
        after: batches in eval mode after one in train mode.
        tested: calls in train mode without gradients, after a batch in train mode, but for those
            with the inputs of that batch, and those that are repeated, as to average over dropout.
    """

    def __init__(self, model: nn.Module, listen: bool) -> None:
        self._model, self.reads = model, reads_mode(model)
        dropped = [part.p for part in model.modules() if isinstance(part, _DropoutNd)]
        self.dropout = float(max(dropped, default=float("nan")))
        self.norm = any(_reads(part) for part in model.modules() if isinstance(part, _BatchNorm))
        self.trained = self.after = self.tested = 0
        self.last: tuple[int, ...] = ()  # place and shape of the last inputs
        self.counted = False  # whether their call was counted
        self.close: Callable[[], None] = lambda: None
        if listen and self.reads:
            self.close = model.register_forward_pre_hook(_Hook(self)).remove

    @property
    def training(self) -> bool:
        """True if the model, or any part that reads its mode, is in train mode."""
        return self._model.training or any(_live(part) for part in self._model.modules())

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
        if not module.training:
            return
        modes, inputs = self._modes, _place(arguments)
        if not modes.trained or torch.is_grad_enabled():
            modes.last, modes.counted = inputs, False
        elif inputs != modes.last or not inputs:
            modes.tested += 1
            modes.last, modes.counted = inputs, True
        elif modes.counted:
            modes.tested -= 1
            modes.counted = False

    def __reduce__(self) -> tuple[Any, ...]:
        # {}.get(module, arguments) are the arguments: a hook that changes nothing, without mlr
        return getattr, ({}, "get")
