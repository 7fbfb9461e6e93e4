"""Runs of a sweep by cell: what differs in nothing but the seed, as mean ± standard deviation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum, inf, isfinite, nan, sqrt

from mlr.app.identity import NOT_THE_RUN
from mlr.app.outcome import FINISHED, Outcome

METRICS = ("accuracy/test", "loss/test", "logit_grad/wrong", "logit_grad/right")
_IN_PAIR = ("head", "loss")


@dataclass(frozen=True)
class Cell:
    """Runs that differ in their seed.

    name: head, loss, and the overrides that tell the cell from others.
    spread: by tag, mean and standard deviation (NaN for one run) over the runs that have it.
    """

    name: str
    runs: int
    diverged: int
    spread: Mapping[str, tuple[float, float]]

    @property
    def rank(self) -> tuple[float, float]:
        """Smaller is better: by test accuracy, then test loss."""
        accuracy = self.spread.get("accuracy/test", (-inf, nan))[0]
        return (-accuracy, self.spread.get("loss/test", (inf, nan))[0])


def cells(outcomes: Sequence[Outcome]) -> list[Cell]:
    """Finished runs by cell, best first; cells with nothing but diverged runs last."""
    ended = [outcome for outcome in outcomes if outcome.status in FINISHED]
    parts = [_overrides(outcome) for outcome in ended]
    keys = dict.fromkeys(key for part in parts for key in part)
    varied = [key for key in keys if len({part.get(key) for part in parts}) > 1]
    grouped: dict[str, list[Outcome]] = {}
    for outcome, part in zip(ended, parts, strict=True):
        chosen = [f"{key}={part[key]}" for key in varied if key in part]
        grouped.setdefault(" ".join([outcome.pair, *chosen]).strip(), []).append(outcome)
    return sorted((_cell(name, runs) for name, runs in grouped.items()), key=lambda one: one.rank)


def _overrides(outcome: Outcome) -> dict[str, str]:
    """What tells the run's cell, by key; its pair, if known, tells head and loss."""
    found = {}
    for override in outcome.overrides:
        key, _, value = override.partition("=")
        known = bool(outcome.pair) and key in _IN_PAIR
        if not known and key != "seed" and key.partition(".")[0] not in NOT_THE_RUN:
            found[key] = value
    return found


def _cell(name: str, runs: Sequence[Outcome]) -> Cell:
    done = [run.metrics for run in runs if run.status == "done"]
    spread = {}
    for tag in METRICS:
        values = [metrics[tag] for metrics in done if isfinite(metrics.get(tag, nan))]
        if values:
            spread[tag] = _spread(values)
    return Cell(name, len(runs), len(runs) - len(done), spread)


def _spread(values: Sequence[float]) -> tuple[float, float]:
    mean = fsum(values) / len(values)
    if len(values) == 1:
        return mean, nan
    return mean, sqrt(fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
