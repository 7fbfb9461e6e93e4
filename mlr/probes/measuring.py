"""Measured steps in blocks: many steps in one computation, one transfer from the device a flush."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlr.probes.base import Probe, StepValues
from mlr.probes.histograms import BINS, Histogram, histogram
from mlr.probes.settings import HISTOGRAMS

FLUSH_SECONDS = 2.0
FLUSH_BYTES = 64 << 20
BYTES_OF_A_STEP = 500
"""Memory of a measured step of one run until the flush: numbers, and sometimes histograms."""
STACK_VALUES = 1 << 18
"""Logits measured at a time: intermediate values of the probes then stay in cache."""
SHOWN = {"histogram/logits": "logits", "histogram/logit_grad": "logit_grads"}
"""Tag of each histogram, and the field of a step that it shows."""


class ScheduledStep(NamedTuple):
    """Tensors that a measured step of R runs, or L lanes of a program, leaves behind."""

    step: int
    """number of updates before it"""
    time: float
    """seconds since 1970"""
    due: frozenset[str]
    """names of the due families, and of the histograms"""
    logits: Tensor
    """z (R, B, K)"""
    targets: Any
    """in the form that the caller's `values_of` reads"""
    logit_grads: Tensor
    """dL/dz (R, B, K) of each example's own loss"""
    statistics: Mapping[str, Tensor]
    """`StepValues.network`, with a leading axis R"""
    loss: Tensor | None = None
    """mean L (), if losses cannot be computed from logits and targets"""


class StackNumbers(NamedTuple):
    """Measurements of one stack, still on the device."""

    steps: list[int]
    """updates before each step (P,)"""
    numbers: Tensor
    """numbers of all probes, NaN where there is none, and 1 for a broken run (P, R, tags + 1)"""
    due: list[bool]
    """whether the family of each number was due (tags)"""
    drawn: list[int]
    """updates before each of the H steps with histograms"""
    histograms: dict[str, Tensor]
    """by tag, the columns of a `Histogram` side by side (H, R, BINS + 4); empty if H is 0"""


class Measured(NamedTuple):
    """Measurements of P steps, H of them with histograms."""

    steps: NDArray[np.int64]
    """updates before each step (P,)"""
    times: NDArray[np.float64]
    """seconds since 1970 (P,)"""
    numbers: NDArray[np.floating]
    """numbers of all probes (P, R, tags)"""
    present: NDArray[np.bool_]
    """whether each number was due and exists (P, R, tags)"""
    drawn: NDArray[np.int64]
    """rows of the steps with histograms (H,)"""
    histograms: dict[str, Histogram[NDArray]]
    """by tag, over batch and outputs (H, R, …); empty if H is 0"""


class Measurements:
    """Steps that are measured in stacks of one batch size and with the same families due.

    A stack is measured as soon as it is full, so that few of the steps' tensors stay in memory.

    Args:
        probes: by family, from `make_probes`.
        values_of: makes the `StepValues` of a stack.
        axes: order in which the axes of logits (R, B, K) lie in memory.
        runs_of: selects the R runs on axis 1 of values (P, L, …) of the lanes.
        runs: number of runs, for the size of a flush.
    """

    def __init__(
        self,
        probes: Mapping[str, Probe],
        values_of: Callable[[Sequence[ScheduledStep]], StepValues],
        axes: tuple[int, int, int] = (0, 1, 2),
        runs_of: Callable[[Tensor], Tensor] = lambda values: values,
        runs: int = 1,
    ) -> None:
        self.probes, self.values_of = probes, values_of
        self.axes, self.runs_of, self.runs = axes, runs_of, runs
        self.forget()

    def forget(self) -> None:
        """Drop all steps, which are recorded."""
        self.flushed_at = perf_counter()
        self.moments: list[tuple[int, float]] = []
        self.stacks: dict[Any, list[ScheduledStep]] = defaultdict(list)
        self.parts: list[StackNumbers] = []

    def keep(self, step: ScheduledStep) -> None:
        """Add a step, later than those before."""
        alike = (step.logits.shape, step.due - {HISTOGRAMS})
        stack = self.stacks[alike]
        stack.append(step)
        self.moments.append((step.step, step.time))
        if len(stack) * step.logits.numel() >= STACK_VALUES:
            part = self._measured(stack)
            del self.stacks[alike]
            self.parts.append(part)

    def due(self) -> bool:
        """Tell if there are enough steps, or enough time has passed, for a flush."""
        full = len(self.moments) * self.runs * BYTES_OF_A_STEP > FLUSH_BYTES
        return full or perf_counter() - self.flushed_at > FLUSH_SECONDS

    def measured(self) -> Measured | None:
        """Measure all steps, in their order; None if there are none.

        Numbers come from the device in one transfer, and each kind of histogram.
        """
        if not self.moments:
            return None
        parts = [*self.parts, *(self._measured(stack) for stack in self.stacks.values())]
        fetched = _fetched([(part.steps, part.numbers) for part in parts])
        numbers, broken = fetched[..., :-1], fetched[..., -1:] != 0
        present = ~np.isnan(numbers)
        if broken.any():  # its NaN are values, and elsewhere the batch has no such example
            due = [(part.steps, torch.tensor([part.due] * len(part.steps))) for part in parts]
            present |= broken & _fetched(due)[:, None]
        having = [part for part in parts if part.drawn]
        histograms = {}
        for tag in SHOWN if having else ():
            columns = _fetched([(part.drawn, part.histograms[tag]) for part in having])
            histograms[tag] = Histogram(columns[..., :BINS], *np.moveaxis(columns, -1, 0)[BINS:])
        steps, times = map(np.array, zip(*self.moments, strict=True))
        drawn = np.flatnonzero(np.isin(steps, [step for part in having for step in part.drawn]))
        return Measured(steps, times, numbers, present, drawn, histograms)

    def _measured(self, stack: list[ScheduledStep]) -> StackNumbers:
        due, histograms = stack[0].due, {}
        drawn = [step for step in stack if HISTOGRAMS in step.due]
        for tag, field in SHOWN.items() if drawn else ():
            chosen = stacked([getattr(step, field) for step in drawn], self.axes)
            if self.axes.index(1) > self.axes.index(2):  # flattened without a copy
                chosen = chosen.mT
            counts, *columns = histogram(chosen.flatten(-2))
            histograms[tag] = self.runs_of(
                torch.cat((counts.double(), torch.stack(columns, dim=-1)), dim=-1)
            )
        numbers = self.runs_of(numbers_of(self.probes, self.values_of(stack), due))
        asked = [family in due for family, probe in self.probes.items() for _ in probe.tags]
        steps, shown = ([step.step for step in some] for some in (stack, drawn))
        return StackNumbers(steps, numbers, asked, shown, histograms)


def numbers_of(probes: Mapping[str, Probe], values: StepValues, due: frozenset[str]) -> Tensor:
    """Numbers of all probes, NaN where there is none; 1.0 for a broken run (P, R, tags + 1)."""
    numbers, losses, broken = [], values.losses, values.broken
    assert broken is not None
    for family, probe in probes.items():
        if family in due:
            numbers.append(probe.measure(values))
        else:
            numbers.append(losses.new_full((*losses.shape[:2], len(probe.tags)), torch.nan))
    return torch.cat((*numbers, broken.to(losses.dtype)), dim=-1)


def stacked(tensors: Sequence[Tensor], axes: Sequence[int]) -> Tensor:
    """Stack P tensors (L, B, K) to (P, L, B, K), the axes of each in this order in memory."""
    back = [1 + axes.index(axis) for axis in range(3)]
    return torch.stack([tensor.permute(*axes) for tensor in tensors]).permute(0, *back)


def stack_network(steps: Sequence[ScheduledStep]) -> dict[str, Tensor]:
    """Stack the statistics of P steps along a new leading axis P."""
    first = steps[0].statistics
    return {name: torch.stack([step.statistics[name] for step in steps]) for name in first}


def _fetched(parts: Sequence[tuple[list[int], Tensor]]) -> NDArray[Any]:
    """Rows of all parts on the host, in the order of their steps."""
    rows = torch.cat([rows for _, rows in parts]).cpu().numpy()
    steps = [step for steps_of_part, _ in parts for step in steps_of_part]
    return rows if steps == sorted(steps) else rows[np.argsort(steps)]
