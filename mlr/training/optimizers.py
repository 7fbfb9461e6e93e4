"""Optimizers: settings of one run, with the names and meanings of torch.optim.

They are checked before torch is imported; `mlr.training.steppers` computes the updates.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar

from mlr.core.checks import InputError, flag, fraction, non_negative, positive


@dataclass(frozen=True, kw_only=True)
class Optimizer(ABC):
    """Settings of one run."""

    name: ClassVar[str]
    lr: float
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        positive("optimizer.lr", self.lr)
        non_negative("optimizer.weight_decay", self.weight_decay)

    @property
    def operations(self) -> tuple[Hashable, ...]:
        """Operations that this run needs; runs of one update need the same."""
        return (self.weight_decay > 0,)


@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """v ← μ v + g + λθ;  θ ← θ − η v,  or with Nesterov θ ← θ − η (g + λθ + μ v)."""

    name = "sgd"
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        fraction("optimizer.momentum", self.momentum)
        flag("optimizer.nesterov", self.nesterov)
        if self.nesterov and self.momentum == 0:
            raise InputError("optimizer.nesterov=true needs momentum; set optimizer.momentum=0.9.")

    @property
    def operations(self) -> tuple[Hashable, ...]:
        """Decay, momentum, Nesterov."""
        return (*super().operations, self.momentum > 0, self.nesterov)


@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²;  θ ← θ − η m̂/(√v̂ + ε); decay adds λθ to g.

    Source: Kingma & Ba 2015, algorithm 1.
    """

    name = "adam"
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        fraction("optimizer.beta1", self.beta1)
        fraction("optimizer.beta2", self.beta2)
        positive("optimizer.eps", self.eps)


@dataclass(frozen=True, kw_only=True)
class AdamW(Adam):
    """Adam with decoupled decay: θ ← (1 − ηλ)θ before the step (Loshchilov & Hutter 2019)."""

    name = "adamw"


OPTIMIZERS: tuple[type[Optimizer], ...] = (SGD, Adam, AdamW)
