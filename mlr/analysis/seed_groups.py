"""Runs of a sweep by cell: those that differ in nothing but the seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlr.records.identity import is_of_run
from mlr.records.outcome import FINISHED, Outcome
from mlr.records.settings import RATE, plain, texts

_IN_PAIR = ("head", "loss")


@dataclass(frozen=True)
class Cell:
    """Runs that differ in their seed.

    pair: head and loss.
    chosen: the overrides that tell the cell from others, by key.
    """

    pair: str
    chosen: Mapping[str, str]
    runs: Sequence[Outcome]

    @property
    def name(self) -> str:
        """As a row of a table is named."""
        return " ".join([self.pair, *self._texts]).strip()

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


def cells(outcomes: Sequence[Outcome]) -> list[Cell]:
    """Finished runs by cell, in the order of their first appearance."""
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
    return [Cell(place[0], chosen[place], runs) for place, runs in grouped.items()]


def _overrides(outcome: Outcome) -> dict[str, str]:
    """What tells the run's cell, by key; its pair, if known, tells head and loss."""
    known = ("seed", *_IN_PAIR) if outcome.pair else ("seed",)
    typed = texts(filter(is_of_run, outcome.overrides))
    return {key: value for key, value in typed.items() if key not in known}
