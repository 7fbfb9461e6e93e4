"""From the kept tensors of logged steps to numbers: many steps in one computation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlr.probes import Histogram, Probe, StepValues, histogram
from mlr.training.arrange import stacked
from mlr.training.background import Background, Work
from mlr.training.run_objectives import Targets
from mlr.training.step import LoggedStep, Program

HISTOGRAMS = {"histogram/logits": "logits", "histogram/logit_grad": "logit_grads"}
"""Tag of each histogram → the field of `LoggedStep` that it shows."""

STACK_VALUES = 1 << 18
"""Logits measured at a time: a probe's intermediate values then stay in cache."""

Stack = list[tuple[int, LoggedStep]]
"""Steps of one batch size, each with its number among all that were kept."""


class Measured(NamedTuple):
    """What was measured of P steps, H of them with histograms."""

    places: list[int]
    """the number of each step among those kept (P,)"""
    numbers: NDArray[np.floating]
    """every number of every probe (P, R, tags)"""
    drawn: list[int]
    """the number of each step that has histograms (H,)"""
    histograms: dict[str, Histogram[NDArray]]
    """by tag, over batch and outputs, in numpy (H, R, …); none where H is 0"""


class Measurements:
    """Logged steps on their way to numbers: a stack is measured as soon as it is full.

    So few of a program's tensors are kept, and their memory is used again.

    Args:
        program: whose steps are kept.
        probes: what is measured of each.
        histogram_every: every how many steps have histograms; 0 for none.
        background: who measures.
    """

    def __init__(
        self,
        program: Program,
        probes: Sequence[Probe],
        histogram_every: int,
        background: Background,
    ) -> None:
        self.program, self.probes, self.background = program, probes, background
        self.histogram_every = histogram_every
        self.kept = 0
        self.forget()

    def forget(self) -> None:
        """What was kept is recorded, and over."""
        self.first = self.kept
        self.stacks: dict[int, Stack] = defaultdict(list)
        self.started: list[Work[Measured]] = []

    def keep(self, step: LoggedStep) -> None:
        """One more step."""
        batch_size = step.logits.shape[1]
        stack = self.stacks[batch_size]
        stack.append((self.kept, step))
        self.kept += 1
        if len(stack) * step.logits.numel() >= STACK_VALUES:
            del self.stacks[batch_size]
            self.started.append(self.background.start(partial(self._measured, stack)))

    def measured(self) -> Measured:
        """All of at least one step, in the order in which they were kept."""
        # what is left is too little for a thread of its own
        parts = [self._measured(stack) for stack in self.stacks.values()]
        parts += [self.background.finish(work) for work in self.started]
        places = list(range(self.first, self.kept))
        drawn = [place for place in places if self._is_drawn(place)]
        numbers = _joined([(part.places, part.numbers) for part in parts], places)
        histograms = {}
        for tag in HISTOGRAMS if drawn else ():
            having = [(part.drawn, part.histograms[tag]) for part in parts if part.drawn]
            columns = zip(*(histogram for _, histogram in having), strict=True)
            rows = [places for places, _ in having]
            histograms[tag] = Histogram(
                *(_joined(list(zip(rows, own, strict=True)), drawn) for own in columns)
            )
        return Measured(places, numbers, drawn, histograms)

    def _is_drawn(self, place: int) -> bool:
        """Whether a step has histograms too."""
        return self.histogram_every > 0 and place % self.histogram_every == 0

    def _measured(self, stack: Stack) -> Measured:
        values = stack_values(self.program, [step for _, step in stack])
        numbers = torch.cat([probe.measure(values) for probe in self.probes], dim=-1)
        drawn = [(place, step) for place, step in stack if self._is_drawn(place)]
        histograms = {}
        for tag, field in HISTOGRAMS.items() if drawn else ():
            chosen = stacked([getattr(step, field) for _, step in drawn], self.program.memory_axes)
            columns = histogram(chosen.mT.flatten(-2))
            histograms[tag] = Histogram(*(self._of_runs(column) for column in columns))
        return Measured(
            [place for place, _ in stack],
            self._of_runs(numbers),
            [place for place, _ in drawn],
            histograms,
        )

    def _of_runs(self, values: Tensor) -> NDArray:
        """Values (P, L, …) of the lanes as (P, R, …) of the runs, in numpy."""
        return self.program.of_runs(values, axis=1).cpu().numpy()


def _joined(parts: Sequence[tuple[list[int], NDArray]], places: list[int]) -> NDArray:
    """Rows of all parts in the order of their places, which are `places`, ascending."""
    row = {place: number for number, place in enumerate(places)}
    first = parts[0][1]
    joined = np.empty((len(places), *first.shape[1:]), dtype=first.dtype)
    for own, rows in parts:
        joined[[row[place] for place in own]] = rows
    return joined


def stack_values(program: Program, steps: Sequence[LoggedStep]) -> StepValues:
    """What probes read, of steps of one batch size."""
    objectives, axes = program.objectives, program.memory_axes
    logits = stacked([kept.logits for kept in steps], axes)
    targets = Targets(stacked([kept.targets.given for kept in steps], axes), program.signed)
    return StepValues(
        logits=logits,
        logit_grads=stacked([kept.logit_grads for kept in steps], axes),
        losses=objectives.losses(logits, targets, axis=1),
        slopes=objectives.slopes(logits, axis=1),
        right=objectives.right(logits, targets, axis=1) if program.classification else None,
        spreads=objectives.spreads(logits, axis=1) if program.spread else None,
        layer_grad_norms=torch.stack([kept.layer_grad_norms for kept in steps]),
    )
