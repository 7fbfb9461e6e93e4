"""Learning-rate schedules: factors on each run's rate, known in advance for every step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import cos, pi
from typing import ClassVar

from mlr.core.checks import InputError, fraction, positive, whole


@dataclass(frozen=True, kw_only=True)
class LearningRate(ABC):
    """Factor on the learning rate by step; a warm-up raises it linearly from 1/warmup_steps."""

    name: ClassVar[str]
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        whole("schedule.warmup_steps", self.warmup_steps, at_least=0)

    @abstractmethod
    def after_warmup(self, step: int, total: int) -> float:
        """Compute the factor at `step` of `total` steps, counted from the end of the warm-up."""

    def factors(self, total_steps: int, lr: float) -> list[float]:
        """Compute the factors of all steps on the learning rate `lr`, of which few depend on it."""
        warm = min(self.warmup_steps, total_steps)
        rising = [(step + 1) / self.warmup_steps for step in range(warm)]
        rest = total_steps - warm
        return rising + [self.after_warmup(step, rest) for step in range(rest)]


@dataclass(frozen=True, kw_only=True)
class Constant(LearningRate):
    """Constant factor 1."""

    name = "constant"

    def after_warmup(self, step: int, total: int) -> float:
        """Return 1."""
        return 1.0


@dataclass(frozen=True, kw_only=True)
class Cosine(LearningRate):
    """Cosine decay f + (1 − f)·½(1 + cos(π·step/total)), f the final factor.

    Source: Loshchilov & Hutter 2017.
    """

    name = "cosine"
    final_factor: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        fraction("schedule.final_factor", self.final_factor)

    def after_warmup(self, step: int, total: int) -> float:
        """Decrease from 1 at step 0 towards `final_factor` at step `total`."""
        return self.final_factor + (1 - self.final_factor) * 0.5 * (1 + cos(pi * step / total))


@dataclass(frozen=True, kw_only=True)
class Step(LearningRate):
    """Plateaus of equal length, each `factor` times the previous: factor^⌊(drops+1)·step/total⌋."""

    name = "step"
    drops: int = 3
    factor: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("schedule.drops", self.drops)
        positive("schedule.factor", self.factor)
        fraction("schedule.factor", self.factor)

    def after_warmup(self, step: int, total: int) -> float:
        """Return the factor of one of drops + 1 plateaus."""
        return self.factor ** ((self.drops + 1) * step // total)


@dataclass(frozen=True, kw_only=True)
class Exponential(LearningRate):
    """Exponential decay: the rate times γ after each `every` updates.

    Args:
        gamma: γ in (0, 1].
        every: updates between two decays; 1 after each.

    Source: torch.optim.lr_scheduler.ExponentialLR, stepped after each `every` updates.
    """

    name = "exponential"
    gamma: float = 0.999
    every: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        positive("schedule.gamma", self.gamma)
        if self.gamma > 1:
            raise InputError(
                f"schedule.gamma={self.gamma} must lie in (0, 1]: it multiplies the rate."
            )
        whole("schedule.every", self.every)

    def after_warmup(self, step: int, total: int) -> float:
        """Return γ to the number of decays by `step`."""
        return float(self.gamma ** (step // self.every))


SCHEDULES: tuple[type[LearningRate], ...] = (Constant, Cosine, Step, Exponential)
