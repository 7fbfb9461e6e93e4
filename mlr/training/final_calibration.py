"""Calibration of the trained runs of a program on held-out splits, for status.json.

Classes and labels with probabilities have the scores of `mlr.training.calibration`; distributions
over real targets the shares of targets within their central intervals.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlr.densities.quantiles import within
from mlr.heads import Head, Sigmoid, Softmax
from mlr.heads.distributions.base import DistributionHead, NumbersHead
from mlr.training.calibration import (
    Bins,
    Doubles,
    Probabilities,
    has_probabilities,
    likelihood_of,
)
from mlr.training.diagnostics_report import numbers
from mlr.training.evaluation import EvaluatedBatch
from mlr.training.memory import MOST_VALUES
from mlr.training.run_objectives import RunObjectives, identity
from mlr.training.step import Program

INTERVALS = {50: (0.25, 0.75), 80: (0.1, 0.9), 95: (0.025, 0.975)}
"""Central intervals whose coverage is computed: their probability in percent, and their ends."""
_OF_LIKELIHOOD = ("nll", "nll_scaled")


class Coverage:
    """Counts targets of one split within the central intervals of their predictions.

    Args:
        program: with the runs; those whose head has no such quantiles are left out.
    """

    def __init__(self, program: Program) -> None:
        self.program, self.count = program, 0
        self.inside = torch.zeros(len(INTERVALS), len(program.lanes), dtype=torch.float64)

    def add(self, batch: EvaluatedBatch) -> None:
        """Add a batch."""
        predictions, targets = batch.predictions, batch.targets
        self.count += targets[0].numel()
        for group in batch.objectives.groups:
            found = covered(group.head, predictions[group.rows], targets[group.rows])
            for place, percent in enumerate(INTERVALS):
                if percent in found:
                    self.inside[place, group.rows] += found[percent].flatten(1).sum(1).cpu()

    def shares(self) -> dict[str, Doubles]:
        """Compute the share of targets inside (L,) for each interval."""
        rows = (self.inside / self.count).numpy()
        return {_coverage(percent): own for percent, own in zip(INTERVALS, rows, strict=True)}


def _coverage(percent: int) -> str:
    return f"coverage_{percent}"


def intervals_of(head: Head) -> dict[int, tuple[float, float]]:
    """Return the central intervals of a head; empty if it predicts no quantiles of numbers."""
    if not isinstance(head, NumbersHead):
        return {}
    levels = head.levels
    return {
        percent: ends
        for percent, ends in INTERVALS.items()
        if levels is None or set(ends) <= set(levels)
    }


def covered(head: Head, predictions: Tensor, targets: Tensor) -> dict[int, Tensor]:
    """Test which targets (…, K) lie in the central intervals of predictions, by percent."""
    known = intervals_of(head)
    found: dict[int, Tensor] = {}
    if not isinstance(head, NumbersHead):
        return found
    if isinstance(head, DistributionHead):
        inside = within(head.distribution(predictions), targets, list(known.values()))
        return dict(zip(known, inside, strict=True))
    for percent, ends in known.items():
        low, high = (head.quantile(predictions, level) for level in ends)
        found[percent] = (low <= targets) & (targets <= high)
    return found


class FinalCalibration:
    """Calibration of every run of a program, from the passes over its held-out splits."""

    def __init__(self, program: Program) -> None:
        self.program = program
        groups = program.objectives.groups
        judged = program.subject.judged
        self.shares = [judged and has_probabilities(group.head) for group in groups]
        known = [{} if judged else intervals_of(group.head) for group in groups]
        self.intervals = [[_coverage(percent) for percent in own] for own in known]
        self.current: Probabilities | Coverage | None = None
        self.temperatures: Tensor | None = None
        self.found: dict[str, tuple[dict[str, Doubles], Bins | None]] = {}
        own = [
            likelihood_of(group.head, program.outputs, program.multilabel) if there else None
            for group, there in zip(groups, self.shares, strict=True)
        ]
        self.likely = [one is not None for one in own]
        self.cooled = [one is not None and _has_temperature(one.head) for one in own]
        # of lanes without a likelihood the numbers are left out
        firsts = [program.lanes[group.rows.start].objective for group in groups]
        taken = [one or first for one, first in zip(own, firsts, strict=True)]
        self.likelihoods = program.objectives
        # where they are the runs' own losses, these are not computed twice
        if program.objectives.options is not None or any(
            identity(one) != identity(first) for one, first in zip(taken, firsts, strict=True)
        ):
            lanes = [
                one
                for one, group in zip(taken, groups, strict=True)
                for _ in range(group.rows.start, group.rows.stop)
            ]
            self.likelihoods = RunObjectives(lanes, program.classification)

    def begin(self, split: str) -> None:
        """Begin a pass over the validation or the test split."""
        if any(self.shares):
            kept = MOST_VALUES if split == "val" and any(self.cooled) else 0
            self.current = Probabilities(
                self.likelihoods, self.program.subject.classes, kept, self.temperatures
            )
        elif any(self.intervals):
            self.current = Coverage(self.program)

    def add(self, batch: EvaluatedBatch) -> None:
        """Add a batch of the pass."""
        if isinstance(self.current, Probabilities):
            with np.errstate(all="ignore"):  # of lanes without probabilities
                self.current.add(batch)
        elif self.current is not None:
            self.current.add(batch)

    def end(self, split: str) -> None:
        """End the pass; after that over the validation split, fit the temperatures."""
        current, self.current = self.current, None
        if isinstance(current, Coverage):
            self.found[split] = current.shares(), None
        elif current is not None:
            with np.errstate(all="ignore"):  # of lanes without probabilities
                self.found[split] = current.numbers()
            if split == "val" and any(self.cooled):
                self._fit(current)

    def _fit(self, val: Probabilities) -> None:
        fitted = np.full(len(self.program.lanes), np.nan)
        for group, cooled in zip(self.program.objectives.groups, self.cooled, strict=True):
            if cooled:
                fitted[group.rows] = val.fitted(group.rows, isinstance(group.head, Softmax))
        # as they are recorded, so that the NLL is that of the recorded one
        rounded = [float("nan") if one is None else one for one in numbers(fitted)]
        self.temperatures = torch.tensor(rounded, dtype=torch.float64, device=self.program.device)

    def reports(self) -> list[dict[str, Any]]:
        """Report each run as JSON holds it; {} for a run whose head states no probabilities."""
        reports: list[dict[str, Any]] = [{} for _ in self.program.runs]
        group_of = [
            place
            for place, group in enumerate(self.program.objectives.groups)
            for _ in range(group.rows.start, group.rows.stop)
        ]
        lanes = self.program.lane_of
        for split, (scores, bins) in self.found.items():
            rounded = {name: numbers(own[lanes]) for name, own in scores.items()}
            drawn = None if bins is None else _drawn(bins, lanes)
            for run, lane in enumerate(lanes):
                group = group_of[lane]
                if not (self.shares[group] or self.intervals[group]):
                    continue
                names = rounded if self.shares[group] else self.intervals[group]
                own = {name: rounded[name][run] for name in names}
                for name in _OF_LIKELIHOOD:
                    if not self.likely[group] or (name != "nll" and not self.cooled[group]):
                        own.pop(name, None)
                reports[run][split] = own | ({} if drawn is None else {"bins": drawn[run]})
        if self.temperatures is not None:
            temperatures = numbers(self.temperatures[lanes].cpu())
            for run, lane in enumerate(lanes):
                if self.cooled[group_of[lane]]:
                    reports[run]["temperature"] = temperatures[run]
        return reports


def _has_temperature(head: Head) -> bool:
    return isinstance(head, (Sigmoid, Softmax))


def _drawn(bins: Bins, lanes: list[int]) -> list[dict[str, Any]]:
    """Return the bins of these lanes: counts, shares right and mean confidences."""
    counts = bins.counts[lanes]
    with np.errstate(all="ignore"):
        right, confidence = (numbers(own[lanes] / counts) for own in bins[1:])
    rows = zip(counts.tolist(), right, confidence, strict=True)
    return [dict(zip(("count", "right", "confidence"), row, strict=True)) for row in rows]
