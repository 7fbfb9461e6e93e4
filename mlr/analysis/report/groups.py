"""Runs of a report grouped by pair and settings, best first; and jobs that were refused."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import isfinite
from pathlib import Path

from mlr.analysis.compare.comparison import CompareResult
from mlr.analysis.formatting import brief
from mlr.analysis.grouping import short
from mlr.analysis.quantities import CURVES
from mlr.analysis.ranking import chosen, chosen_on
from mlr.records.aggregate import Aggregate, aggregate
from mlr.records.reading import Recorded
from mlr.records.run_folder import RUNS_TABLE
from mlr.records.series import Series
from mlr.records.settings import Value
from mlr.records.sweep import read_runs_table

PAIR = re.compile(r"\w+\+\w+")
_TAGS = frozenset(one.tag for one in CURVES)


@dataclass(frozen=True)
class ReportGroup:
    """Runs that differ in their seed only.

    pair: head and loss, as in `sigmoid+se`; empty if unknown.
    chosen: settings that distinguish it from other groups of the pair, by key.
    data: the data set; empty if all runs have the same.
    choice: its place among the groups of its pair and data set, by validation data, from 0.
    labelled: the keys of `chosen` that its label names; None names all.
    """

    pair: str
    chosen: Mapping[str, Value]
    runs: Sequence[Recorded]
    data: str = ""
    choice: int = 0
    labelled: Sequence[str] | None = None

    @property
    def label(self) -> str:
        """Settings, as in `lr=0.1`; empty if nothing else differs."""
        keys = [key for key in self.chosen if self.labelled is None or key in self.labelled]
        names = zip(short(keys), (self.chosen[key] for key in keys), strict=True)
        return ", ".join(f"{name}={brief(value)}" for name, value in names if value is not None)

    @property
    def name(self) -> str:
        """Pair and label."""
        return " ".join(filter(None, (self.pair, self.label))) or self.runs[0].name

    @property
    def diverged(self) -> int:
        """Number of runs that diverged."""
        return sum(run.status == "diverged" for run in self.runs)

    @cached_property
    def aggregate(self) -> Aggregate | None:
        """Mean and quantiles of the recorded series; None for none."""
        series = [_drawn(run.series) for run in self.runs if run.series is not None]
        return aggregate(series, len(self.runs))

    def finals(self, tag: str) -> list[float]:
        """Collect the final numbers of runs that are done."""
        values = [run.metrics.get(tag) for run in self.runs if run.status == "done"]
        return [value for value in values if value is not None and isfinite(value)]


@dataclass(frozen=True)
class UntrainedJob:
    """A job without a folder: it was refused, or failed before it began."""

    name: str
    status: str
    pair: str
    reason: str


def groups(comparison: CompareResult) -> list[ReportGroup]:
    """Build all groups, in the order of the rows of a comparison by `pair` and other keys."""
    found: list[ReportGroup] = []
    rivals: dict[tuple[str, str], tuple[str, list[int]]] = {}
    for ranking in comparison.rankings:
        for row in ranking.rows:
            others = {key: value for key, value in row.keys.items() if key != "pair"}
            pair = str(row.keys["pair"] or "")
            _, places = rivals.setdefault((ranking.data, pair), (ranking.metric, []))
            places.append(len(found))
            group = ReportGroup(pair, others, row.members, ranking.data, labelled=ranking.keys)
            found.append(group)
    for metric, places in rivals.values():
        runs = [found[place].runs for place in places]
        tag = chosen_on(metric, [run for own in runs for run in own])
        for choice, at in enumerate(chosen(runs, tag)):
            found[places[at]] = replace(found[places[at]], choice=choice)
    return found


def best_of_pairs(ordered: Sequence[ReportGroup]) -> dict[tuple[str, str], ReportGroup]:
    """Select the group to choose of each data set and pair, in the order of `ordered`."""
    return {(group.data, group.pair): group for group in ordered if group.choice == 0}


def numeric_keys(ordered: Sequence[ReportGroup]) -> list[str]:
    """List the keys with two or more values that are all numbers."""
    values: dict[str, list[Value]] = {}
    for group in ordered:
        for key, value in group.chosen.items():
            values.setdefault(key, []).append(value)
    return [key for key, found in values.items() if _are_numbers(found)]


def untrained(place: Path, runs: Sequence[Recorded]) -> list[UntrainedJob]:
    """List the jobs of runs.csv that left no folder."""
    made, found = {run.name for run in runs}, []
    for path in sorted(place.rglob(RUNS_TABLE)):
        try:
            rows = read_runs_table(path)
        except (OSError, ValueError, csv.Error):  # not written by mlr
            continue
        found += [_untrained(row) for row in rows if row.get("run") and row["run"] not in made]
    return found


def _drawn(series: Series) -> Series:
    """Select the third of the tags that charts show."""
    columns = [place for place, tag in enumerate(series.tags) if tag in _TAGS]
    tags = tuple(series.tags[place] for place in columns)
    return series._replace(tags=tags, values=series.values[:, columns])


def _are_numbers(values: Sequence[Value]) -> bool:
    kinds = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
    return kinds and len(set(values)) > 1


def _untrained(row: Mapping[str, str | None]) -> UntrainedJob:
    named = PAIR.match(str(row["run"]))  # a user's part is named by its class
    pair = named[0] if named else "+".join(filter(None, (row.get("head"), row.get("loss"))))
    reason = row.get("reason") or ""
    return UntrainedJob(str(row["run"]), row.get("status") or "unknown", pair, reason)
