"""Runs of a sweep by cell: what differs in nothing but the seed, as mean ± standard deviation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum, inf, isfinite, nan, sqrt
from typing import Any

from mlr.app.identity import is_of_run
from mlr.app.outcome import FINISHED, Outcome
from mlr.app.run_names import run_name
from mlr.records.settings import RATE, plain, texts

METRICS = (
    *("accuracy/test", "loss/test", "predicted_std/test"),
    *("logit_grad/wrong", "logit_grad/right"),
)
_IN_PAIR = ("head", "loss")


@dataclass(frozen=True)
class Cell:
    """Runs that differ in their seed.

    pair: head and loss.
    chosen: the overrides that tell the cell from others, by key.
    spread: by tag, mean and standard deviation (NaN for one run) over the runs that have it.
    """

    pair: str
    chosen: Mapping[str, str]
    runs: Sequence[Outcome]
    diverged: int
    spread: Mapping[str, tuple[float, float]]

    @property
    def name(self) -> str:
        """As a row of a table is named."""
        return " ".join([self.pair, *self._texts]).strip()

    @property
    def folder(self) -> str:
        """As a run's folder is named, without the seed; TensorBoard has little room for names."""
        return run_name(self.pair, self.chosen)

    @property
    def hparams(self) -> dict[str, Any]:
        """Head, loss and the overrides as typed values."""
        head, _, loss = self.pair.partition("+")
        values = {key: plain(value) for key, value in self.chosen.items()}
        values = {key: "none" if value is None else value for key, value in values.items()}
        rate = {"lr": values.pop(RATE)} if RATE in values else {}
        return {"head": head, "loss": loss, **rate, **values}

    @property
    def _texts(self) -> list[str]:
        return [f"{key}={value}" for key, value in self.chosen.items()]

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
    grouped: dict[tuple[str, ...], list[Outcome]] = {}
    chosen = {}
    for outcome, part in zip(ended, parts, strict=True):
        own = {key: part[key] for key in varied if key in part}
        place = (outcome.pair, *own, *own.values())
        chosen[place] = own
        grouped.setdefault(place, []).append(outcome)
    found = [_cell(place[0], chosen[place], runs) for place, runs in grouped.items()]
    return sorted(found, key=lambda one: one.rank)


def _overrides(outcome: Outcome) -> dict[str, str]:
    """What tells the run's cell, by key; its pair, if known, tells head and loss."""
    known = ("seed", *_IN_PAIR) if outcome.pair else ("seed",)
    typed = texts(filter(is_of_run, outcome.overrides))
    return {key: value for key, value in typed.items() if key not in known}


def _cell(pair: str, chosen: Mapping[str, str], runs: Sequence[Outcome]) -> Cell:
    done = [run.metrics for run in runs if run.status == "done"]
    spread = {}
    for tag in METRICS:
        values = [metrics[tag] for metrics in done if isfinite(metrics.get(tag, nan))]
        if values:
            spread[tag] = mean_and_std(values)
    return Cell(pair, chosen, runs, len(runs) - len(done), spread)


def mean_and_std(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation (over n − 1; NaN for one number) of at least one number."""
    mean = fsum(values) / len(values)
    if len(values) == 1:
        return mean, nan
    return mean, sqrt(fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
