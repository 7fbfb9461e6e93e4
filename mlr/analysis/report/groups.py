"""Runs of a sweep by pair and by what else was chosen, best first; and what was refused."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import isfinite
from pathlib import Path

from mlr.analysis.compare.comparison import Comparison
from mlr.analysis.compare.groups import short
from mlr.analysis.compare.headline import brief
from mlr.analysis.report.quantities import CURVES
from mlr.records.aggregate import Aggregate, Series, aggregate
from mlr.records.ranking import chosen, chosen_on
from mlr.records.reading import Recorded
from mlr.records.settings import Value
from mlr.records.sweep import read_runs_table

PAIR = re.compile(r"\w+\+\w+")
_TAGS = frozenset(one.tag for one in CURVES)


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed only.

    pair: head and loss, as in `sigmoid+se`; empty where nobody knows.
    chosen: what tells it from other groups of the pair, by key.
    data: the data set; empty where all runs have the same.
    choice: its place among the groups of its pair and data set, by validation data, from 0.
    told: the keys of `chosen` that its label names; None names all.
    """

    pair: str
    chosen: Mapping[str, Value]
    runs: Sequence[Recorded]
    data: str = ""
    choice: int = 0
    told: Sequence[str] | None = None

    @property
    def label(self) -> str:
        """What was chosen, as in `lr=0.1`; empty where nothing else differs."""
        told = [key for key in self.chosen if self.told is None or key in self.told]
        names = zip(short(told), (self.chosen[key] for key in told), strict=True)
        return ", ".join(f"{name}={brief(value)}" for name, value in names if value is not None)

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


def groups(comparison: Comparison) -> list[Group]:
    """All groups, in the order of the rows of a comparison by `pair` and other keys."""
    found: dict[tuple[str, str], list[tuple[int, Group]]] = {}
    metrics: dict[tuple[str, str], str] = {}
    for ranking in comparison.rankings:
        for row in ranking.rows:
            pair = str(row.keys["pair"] or "")
            others = {key: value for key, value in row.keys.items() if key != "pair"}
            metrics[ranking.data, pair] = ranking.metric
            same = found.setdefault((ranking.data, pair), [])
            place = sum(map(len, found.values()))
            group = Group(pair, others, row.members, ranking.data, told=ranking.keys)
            same.append((place, group))
    result = []
    for key, same in found.items():
        runs = [group.runs for _, group in same]
        tag = chosen_on(metrics[key], [run for own in runs for run in own])
        for choice, at in enumerate(chosen(runs, tag)):
            place, group = same[at]
            result.append((place, replace(group, choice=choice)))
    return [group for _, group in sorted(result, key=lambda pair: pair[0])]


def best_of_pairs(ordered: Sequence[Group]) -> dict[tuple[str, str], Group]:
    """The group to choose of each data set and pair, in the order in which groups come."""
    return {(group.data, group.pair): group for group in ordered if group.choice == 0}


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
            rows = read_runs_table(path)
        except (OSError, ValueError, csv.Error):  # a table of somebody else's
            continue
        found += [_unmade(row) for row in rows if row.get("run") and row["run"] not in made]
    return found


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
