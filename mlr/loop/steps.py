"""Steps of a loop that are measured: which, and their values until the update is done."""

from dataclasses import dataclass, field
from math import inf

from torch import Tensor

from mlr.loop.batch import LogitsTask
from mlr.probes import ProbeSettings
from mlr.probes.measuring import ScheduledStep

NOTHING: frozenset[str] = frozenset()


@dataclass
class WatchedStep:
    """Step with B examples and n parameters, until its update is done."""

    step: int
    due: frozenset[str]
    time: float
    rate: float | Tensor
    """the optimizer's learning rate"""
    logits: Tensor
    """z (B, K)"""
    targets: Tensor
    """class indices (B,), or one-hot or numbers (B, K)"""
    loss: Tensor | None
    """mean L ()"""
    task: LogitsTask
    batch: int
    """length of the first axis of the logits, which layers have too"""
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    """of the outputs and targets as they were given"""
    grads: Tensor | None = None
    """dL/dz (B, K) of each example's own loss; None before the end of a backward pass"""
    factor: Tensor | None = None
    """by which the gradients of the backward pass are too small; None if the probe's options say"""
    statistics: dict[str, Tensor] = field(default_factory=dict)
    """`StepValues.network`, by parameter (n,) instead of by layer"""
    updated: bool = False
    """whether the optimizer's step was done"""

    def scheduled(self) -> ScheduledStep:
        """Return the tensors for the probes, with a run axis of 1."""
        assert self.grads is not None
        return ScheduledStep(
            *(self.step, self.time, self.due, self.logits.unsqueeze(0), self.targets.unsqueeze(0)),
            self.grads.unsqueeze(0),
            {name: own.unsqueeze(0) for name, own in self.statistics.items()},
            self.loss,
        )


class DueSteps:
    """Families due on the steps of a loop, of a known length or not.

    Args:
        settings: with the schedules.
        total: number of updates; None if it is unknown.
        first: number of the first step, on which all families are due: it shows what can be
            measured.
    """

    def __init__(self, settings: ProbeSettings, total: int | None, first: int) -> None:
        self._settings, self._first = settings, first
        self._table = None if total is None else settings.due(total)

    def at(self, step: int) -> frozenset[str]:
        """Return the families due on a step."""
        table = self._table
        due = self._settings.due_at(step) if table is None else table.get(step, NOTHING)
        return due.union(self._settings.families) if step == self._first else due

    def after(self, step: int) -> float:
        """Return the first step after one on which something may be due; ∞ if there is none."""
        if self._table is None:
            return self._settings.following(step)
        return min((later for later in self._table if later > step), default=inf)
