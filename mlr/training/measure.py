"""From the kept tensors of logged steps to numbers: many steps in one computation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlr.probes import Histogram, Probe, StepValues, histogram
from mlr.probes.network import stack_network
from mlr.probes.settings import HISTOGRAMS as HISTOGRAM
from mlr.training.arrange import stacked
from mlr.training.background import Background, Work
from mlr.training.run_objectives import Targets
from mlr.training.step import LoggedStep, Program

HISTOGRAMS = {"histogram/logits": "logits", "histogram/logit_grad": "logit_grads"}
"""Tag of each histogram → the field of `LoggedStep` that it shows."""

STACK_VALUES = 1 << 18
"""Logits measured at a time: a probe's intermediate values then stay in cache."""

Stack = list[tuple[int, LoggedStep]]
"""Steps of one batch size and with the same due, each with its number among all kept."""


class Measured(NamedTuple):
    """What was measured of P steps, H of them with histograms."""

    places: list[int]
    """the number of each step among those kept (P,)"""
    numbers: NDArray[np.floating]
    """every number of every probe (P, R, tags)"""
    present: NDArray[np.bool_]
    """which of them were due, and had something to measure (P, R, tags)"""
    drawn: list[int]
    """the number of each step that has histograms (H,)"""
    histograms: dict[str, Histogram[NDArray]]
    """by tag, over batch and outputs, in numpy (H, R, …); none where H is 0"""


class Measurements:
    """Logged steps on their way to numbers: a stack is measured as soon as it is full.

    So few of a program's tensors are kept, and their memory is used again.

    Args:
        program: whose steps are kept.
        probes: what is measured of those steps on which it is due.
        background: who measures.
    """

    def __init__(self, program: Program, probes: Sequence[Probe], background: Background) -> None:
        self.program, self.probes, self.background = program, probes, background
        self.kept = 0
        self.forget()

    def forget(self) -> None:
        """What was kept is recorded, and over."""
        self.first = self.kept
        self.stacks: dict[tuple[int, frozenset[str]], Stack] = defaultdict(list)
        self.drawn: list[int] = []
        self.started: list[Work[Measured]] = []

    def keep(self, step: LoggedStep) -> None:
        """One more step."""
        alike = (step.logits.shape[1], step.due)
        stack = self.stacks[alike]
        stack.append((self.kept, step))
        if HISTOGRAM in step.due:
            self.drawn.append(self.kept)
        self.kept += 1
        if len(stack) * step.logits.numel() >= STACK_VALUES:
            del self.stacks[alike]
            self.started.append(self._start(partial(self._measured, stack)))

    def _start(self, measure: Callable[[], Measured]) -> Work[Measured]:
        if not self.program.all_threads:
            return self.background.start(measure)
        # beside another thread, those that wait for each other at every operation crawl
        work = Work(measure)
        work.do()
        return work

    def measured(self) -> Measured:
        """All of at least one step, in the order in which they were kept."""
        # what is left is too little for a thread of its own
        parts = [self._measured(stack) for stack in self.stacks.values()]
        parts += [self.background.finish(work) for work in self.started]
        places, drawn = list(range(self.first, self.kept)), self.drawn
        numbers = _joined([(part.places, part.numbers) for part in parts], places)
        present = _joined([(part.places, part.present) for part in parts], places)
        histograms = {}
        for tag in HISTOGRAMS if drawn else ():
            having = [(part.drawn, part.histograms[tag]) for part in parts if part.drawn]
            columns = zip(*(histogram for _, histogram in having), strict=True)
            rows = [places for places, _ in having]
            histograms[tag] = Histogram(
                *(_joined(list(zip(rows, own, strict=True)), drawn) for own in columns)
            )
        return Measured(places, numbers, present, drawn, histograms)

    def _numbers(self, steps: Sequence[LoggedStep]) -> tuple[Tensor, Tensor]:
        """Numbers (P, L, tags) of steps with the same due, and which of them are present."""
        due = steps[0].due
        values = stack_values(self.program, steps)
        shape = values.losses.shape[:2]
        # NaN of a run that still has a finite loss: no such example in the batch
        ended = values.losses.sum(-1, keepdim=True).isfinite().logical_not_()
        numbers, present = [], []
        for probe in self.probes:
            if probe.family in due:
                found = probe.measure(values)
                numbers.append(found)
                present.append(found.isnan().logical_not_().logical_or_(ended))
            else:
                numbers.append(values.losses.new_full((*shape, len(probe.tags)), torch.nan))
                present.append(ended.new_zeros(numbers[-1].shape))
        if not numbers:  # histograms only
            return values.losses.new_empty((*shape, 0)), ended.new_empty((*shape, 0))
        return torch.cat(numbers, dim=-1), torch.cat(present, dim=-1)

    def _measured(self, stack: Stack) -> Measured:
        numbers, present = self._numbers([step for _, step in stack])
        drawn = [(place, step) for place, step in stack if HISTOGRAM in step.due]
        histograms = {}
        for tag, field in HISTOGRAMS.items() if drawn else ():
            chosen = stacked([getattr(step, field) for _, step in drawn], self.program.memory_axes)
            columns = histogram(chosen.mT.flatten(-2))
            histograms[tag] = Histogram(*(self._of_runs(column) for column in columns))
        return Measured(
            [place for place, _ in stack],
            self._of_runs(numbers),
            self._of_runs(present),
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
    """What probes read, of steps of one batch size and with the same due."""
    objectives, axes, due = program.objectives, program.memory_axes, steps[0].due
    logits = stacked([kept.logits for kept in steps], axes)
    targets = Targets(stacked([kept.targets.given for kept in steps], axes), program.signed)
    classified = program.classification
    predictions = None
    if due & {"confidence", "slopes"}:
        predictions = objectives.predictions(logits, axis=1)
    return StepValues(
        logits=logits,
        logit_grads=stacked([kept.logit_grads for kept in steps], axes),
        losses=objectives.losses(logits, targets, axis=1),
        slopes=objectives.slopes(logits, axis=1),
        right=objectives.right(logits, targets, axis=1) if classified else None,
        spreads=objectives.spreads(logits, axis=1) if program.spread else None,
        labels=targets.labels if classified and due & {"classes", "slopes"} else None,
        predictions=predictions,
        prediction_grads=objectives.prediction_grads(predictions, targets, axis=1)
        if predictions is not None and "slopes" in due
        else None,
        network=stack_network([kept.network for kept in steps]),
    )
