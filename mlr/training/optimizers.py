"""Optimizers: settings of one run, with the names and meanings of torch.optim.

They are checked before torch is imported; `mlr.training.steppers` computes the updates.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar

from mlr.core.checks import InputError, flag, fraction, non_negative, positive

if TYPE_CHECKING:
    from torch import Tensor

    from mlr.training.steppers import Stepper


@dataclass(frozen=True, kw_only=True)
class Optimizer(ABC):
    """Settings of one run; `stepper` joins R runs with one optimizer into one update."""

    name: ClassVar[str]
    lr: float
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        positive("optimizer.lr", self.lr)
        non_negative("optimizer.weight_decay", self.weight_decay)

    @property
    def operations(self) -> tuple[bool, ...]:
        """Operations that this run needs; runs of one update need the same."""
        return (self.weight_decay > 0,)

    @classmethod
    @abstractmethod
    def stepper(cls, runs: Sequence[Optimizer], parameters: Tensor) -> Stepper:
        """Make the update of all `runs` (R of this class) on `parameters` (R, P)."""


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
    def operations(self) -> tuple[bool, ...]:
        """Decay, momentum, Nesterov."""
        return (*super().operations, self.momentum > 0, self.nesterov)

    @classmethod
    def stepper(cls, runs: Sequence[SGD], parameters: Tensor) -> Stepper:  # type: ignore[override]
        """Make one update for all runs; without momentum and decay it is a single operation."""
        from mlr.training.steppers import SGDStepper

        return SGDStepper(_columns(runs), parameters)


@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²;  θ ← θ − η m̂/(√v̂ + ε); decay adds λθ to g.

    Source: Kingma & Ba 2015, algorithm 1.
    """

    name = "adam"
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    decoupled: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        fraction("optimizer.beta1", self.beta1)
        fraction("optimizer.beta2", self.beta2)
        positive("optimizer.eps", self.eps)

    @classmethod
    def stepper(cls, runs: Sequence[Adam], parameters: Tensor) -> Stepper:  # type: ignore[override]
        """Make one update for all runs."""
        from mlr.training.steppers import AdamStepper

        return AdamStepper(_columns(runs), parameters, cls.decoupled)


@dataclass(frozen=True, kw_only=True)
class AdamW(Adam):
    """Adam with decoupled decay: θ ← (1 − ηλ)θ before the step (Loshchilov & Hutter 2019)."""

    name = "adamw"
    decoupled = True


def _columns(runs: Sequence[Optimizer]) -> dict[str, list[float]]:
    """Collect each setting of all runs by name."""
    names = [field.name for field in fields(runs[0])]
    return {name: [getattr(run, name) for run in runs] for name in names}


OPTIMIZERS: tuple[type[Optimizer], ...] = (SGD, Adam, AdamW)
