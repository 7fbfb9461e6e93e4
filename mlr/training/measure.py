"""From the kept tensors of logged steps to numbers: many steps in one computation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlr.probes import Histogram, Probe, StepValues, histogram
from mlr.probes.histograms import BINS
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

OF_CLASSES = frozenset({"classes", "slopes", "prediction"})
"""Families that read the examples' classes."""

Stack = list[tuple[int, LoggedStep]]
"""Steps of one batch size and with the same due, each with its number among all kept."""


class Part(NamedTuple):
    """What was measured of one stack, still on the device."""

    places: list[int]
    """the number of each step among those kept (P,)"""
    numbers: Tensor
    """every number of every probe, and behind them 1 for each that is present (P, R, 2 tags)"""
    drawn: list[int]
    """the number of each step that has histograms (H,)"""
    histograms: dict[str, Tensor]
    """by tag, the columns of a `Histogram` side by side (H, R, BINS + 4)"""


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
    """by tag, over batch and outputs (H, R, …); none where H is 0"""


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
        self.started: list[Work[Part]] = []

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

    def _start(self, measure: Callable[[], Part]) -> Work[Part]:
        if not self.program.all_threads:
            return self.background.start(measure)
        # beside another thread, those that wait for each other at every operation crawl
        work = Work(measure)
        work.do()
        return work

    def measured(self) -> Measured:
        """All of at least one step, in the order in which they were kept.

        Numbers come from the device at once, and each kind of histogram.
        """
        # what is left is too little for a thread of its own
        parts = [self._measured(stack) for stack in self.stacks.values()]
        parts += [self.background.finish(work) for work in self.started]
        places, drawn = list(range(self.first, self.kept)), self.drawn
        numbers, present = np.split(
            _fetched([(part.places, part.numbers) for part in parts], places), 2, axis=-1
        )
        histograms = {}
        for tag in HISTOGRAMS if drawn else ():
            having = [(part.drawn, part.histograms[tag]) for part in parts if part.drawn]
            columns = _fetched(having, drawn)
            histograms[tag] = Histogram(columns[..., :BINS], *np.moveaxis(columns, -1, 0)[BINS:])
        return Measured(places, numbers, present != 0, drawn, histograms)

    def _numbers(self, steps: Sequence[LoggedStep]) -> Tensor:
        """Those of a `Part`, of L lanes."""
        due = steps[0].due
        values = stack_values(self.program, steps)
        shape = values.losses.shape[:2]
        # NaN of a run that still has a finite loss: no such example in the batch
        ended = values.losses.sum(-1, keepdim=True).isfinite().logical_not_()
        numbers, present = [values.losses.new_empty(*shape, 0)], [ended.new_empty(*shape, 0)]
        for probe in self.probes:
            if probe.family in due:
                found = probe.measure(values)
                numbers.append(found)
                present.append(found.isnan().logical_not_().logical_or_(ended))
            else:
                numbers.append(values.losses.new_full((*shape, len(probe.tags)), torch.nan))
                present.append(ended.new_zeros(numbers[-1].shape))
        return torch.cat((*numbers, torch.cat(present, dim=-1).to(values.losses.dtype)), dim=-1)

    def _measured(self, stack: Stack) -> Part:
        drawn = [(place, step) for place, step in stack if HISTOGRAM in step.due]
        histograms = {}
        for tag, field in HISTOGRAMS.items() if drawn else ():
            chosen = stacked([getattr(step, field) for _, step in drawn], self.program.memory_axes)
            counts, *columns = histogram(chosen.mT.flatten(-2))
            histograms[tag] = self.program.of_runs(
                torch.cat((counts.double(), torch.stack(columns, dim=-1)), dim=-1), axis=1
            )
        return Part(
            [place for place, _ in stack],
            self.program.of_runs(self._numbers([step for _, step in stack]), axis=1),
            [place for place, _ in drawn],
            histograms,
        )


def _fetched(parts: Sequence[tuple[list[int], Tensor]], places: list[int]) -> NDArray[Any]:
    """Rows of all parts in the order of their places, which are `places`, ascending."""
    rows = torch.cat([rows for _, rows in parts]).cpu().numpy()
    own = [place for places_of_part, _ in parts for place in places_of_part]
    return rows if own == places else rows[np.argsort(own)]


def stack_values(program: Program, steps: Sequence[LoggedStep]) -> StepValues:
    """What probes read, of steps of one batch size and with the same due."""
    objectives, axes, due = program.objectives, program.memory_axes, steps[0].due
    logits = stacked([kept.logits for kept in steps], axes)
    targets = Targets(stacked([kept.targets.values for kept in steps], axes))
    classified = program.classification
    predictions = None
    if due & {"confidence", "slopes", "prediction"}:
        predictions = objectives.predictions(logits, axis=1)
    return StepValues(
        logits=logits,
        logit_grads=stacked([kept.logit_grads for kept in steps], axes),
        losses=objectives.losses(logits, targets, axis=1),
        slopes=objectives.slopes(logits, axis=1),
        right=objectives.right(logits, targets, axis=1) if classified else None,
        spreads=objectives.spreads(logits, axis=1) if program.spread else None,
        labels=targets.labels if classified and due & OF_CLASSES else None,
        predictions=predictions,
        prediction_grads=objectives.prediction_grads(predictions, targets, axis=1)
        if predictions is not None and "slopes" in due
        else None,
        network=stack_network([kept.network for kept in steps]),
    )
