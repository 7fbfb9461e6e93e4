"""Runs of a sweep by pair and by what else was chosen, best first; and what was refused."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from pathlib import Path

from mlr.app.compare.groups import grouped, rank
from mlr.app.report.quantities import CURVES
from mlr.records.aggregate import Aggregate, Series, aggregate
from mlr.records.reading import Recorded
from mlr.records.settings import Value, text

PAIR = re.compile(r"\w+\+\w+")
_TAGS = frozenset(one.tag for one in CURVES)


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed only.

    pair: head and loss, as in `sigmoid+se`; empty where nobody knows.
    chosen: what tells it from other groups of the pair, by key.
    """

    pair: str
    chosen: Mapping[str, Value]
    runs: Sequence[Recorded]

    @property
    def label(self) -> str:
        """What was chosen, as in `lr=0.1`; empty where nothing else differs."""
        names = zip(short(list(self.chosen)), self.chosen.values(), strict=True)
        return ", ".join(f"{name}={text(value)}" for name, value in names)

    @property
    def name(self) -> str:
        """Pair and label."""
        return " ".join(filter(None, (self.pair, self.label))) or self.runs[0].name

    @property
    def diverged(self) -> int:
        """How many runs did."""
        return sum(run.status == "diverged" for run in self.runs)

    @cached_property
    def aggregate(self) -> Aggregate | None:
        """Mean and quantiles of what was recorded; None for nothing."""
        series = [_drawn(run.series) for run in self.runs if run.series is not None]
        return aggregate(series, len(self.runs))

    def finals(self, tag: str) -> list[float]:
        """The final number of each run that ended well and has one."""
        values = [run.metrics.get(tag) for run in self.runs if run.status == "done"]
        return [value for value in values if value is not None and isfinite(value)]


@dataclass(frozen=True)
class Unmade:
    """A job that has no folder: it was refused, or failed before it began."""

    name: str
    status: str
    pair: str
    reason: str


def groups(runs: Sequence[Recorded], keys: Sequence[str], metric: str) -> list[Group]:
    """All groups, best first, in the order of `mlr.app.compare.comparison.compare`.

    Args:
        runs: of one sweep, or one alone.
        keys: what tells groups of a pair apart.
        metric: the final number that ranks.
    """
    found = [
        Group(str(pair or ""), dict(zip(keys, chosen, strict=True)), same)
        for (pair, *chosen), same in grouped(runs, ["pair", *keys]).items()
    ]
    return sorted(found, key=lambda group: rank(group.runs, metric))


def best_of_pairs(ordered: Sequence[Group]) -> dict[str, Group]:
    """The best group of each pair, of groups that are ordered; the best pair first."""
    best: dict[str, Group] = {}
    for group in ordered:
        best.setdefault(group.pair, group)
    return best


def numeric_keys(ordered: Sequence[Group]) -> list[str]:
    """Keys that were chosen as two numbers or more."""
    values: dict[str, list[Value]] = {}
    for group in ordered:
        for key, value in group.chosen.items():
            values.setdefault(key, []).append(value)
    return [key for key, found in values.items() if _are_numbers(found)]


def unmade(place: Path, runs: Sequence[Recorded]) -> list[Unmade]:
    """Jobs that runs.csv tells of and that left no folder."""
    made, found = {run.name for run in runs}, []
    for path in sorted(place.rglob("runs.csv")):
        try:
            with path.open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
        except (OSError, ValueError, csv.Error):  # a table of somebody else's
            continue
        found += [_unmade(row) for row in rows if row.get("run") and row["run"] not in made]
    return found


def short(keys: Sequence[str]) -> list[str]:
    """Keys as they are written beside their values: the last part, where it tells them apart."""
    last = [key.rpartition(".")[2] for key in keys]
    return [name if last.count(name) == 1 else key for name, key in zip(last, keys, strict=True)]


def _drawn(series: Series) -> Series:
    """Only what a chart shows, of three times as much."""
    columns = [place for place, tag in enumerate(series.tags) if tag in _TAGS]
    tags = tuple(series.tags[place] for place in columns)
    return series._replace(tags=tags, values=series.values[:, columns])


def _are_numbers(values: Sequence[Value]) -> bool:
    kinds = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
    return kinds and len(set(values)) > 1


def _unmade(row: Mapping[str, str | None]) -> Unmade:
    named = PAIR.match(str(row["run"]))  # by the user's class, where it is one
    pair = named[0] if named else "+".join(filter(None, (row.get("head"), row.get("loss"))))
    reason = row.get("reason") or ""
    return Unmade(str(row["run"]), row.get("status") or "unknown", pair, reason)
