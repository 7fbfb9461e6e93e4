"""Content of a report: its runs in groups, and the panels of its charts."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import NamedTuple

from mlr.analysis.compare.comparison import CompareResult, Ranking, compare
from mlr.analysis.formatting import brief, display_pair
from mlr.analysis.grouping import HEAD_LOSS, short, varied
from mlr.analysis.quantities import CURVES, FINALS, Quantity, recorded
from mlr.analysis.ranking import chosen, chosen_on
from mlr.heads import HEADS
from mlr.losses import LOSSES
from mlr.records.aggregate import Aggregate, aggregate
from mlr.records.reading import Recorded, read_runs
from mlr.records.run_folder import RUNS_TABLE
from mlr.records.settings import RATE, Value
from mlr.records.sweep import read_runs_table

_PAIR = re.compile(r"\w+\+\w+")
_TAGS = frozenset(one.tag for one in CURVES)


class PairPanel(NamedTuple):
    """Place of a chart: one pair on one data set."""

    data: str
    pair: str

    @property
    def head(self) -> str:
        """Head of the pair; empty if unknown."""
        return self.pair.partition("+")[0]

    @property
    def loss(self) -> str:
        """Loss of the pair; empty if unknown."""
        return self.pair.partition("+")[2]

    @property
    def label(self) -> str:
        """Name as in `sigmoid + SE`, with the data if there are several."""
        return ", ".join(filter(None, (display_pair(self.pair), self.data)))


@dataclass(frozen=True)
class ReportGroup:
    """Runs that differ in their seed only.

    panel: of its data set and pair.
    chosen: settings that distinguish it from other groups of the pair, by key.
    choice: its place among the groups of its panel, by validation data, from 0.
    labelled: the keys of `chosen` that its label names; None names all.
    """

    panel: PairPanel
    chosen: Mapping[str, Value]
    runs: Sequence[Recorded]
    choice: int = 0
    labelled: Sequence[str] | None = None

    @property
    def label(self) -> str:
        """Settings, as in `lr=0.1`; empty if nothing else differs."""
        keys = [key for key in self.chosen if self.labelled is None or key in self.labelled]
        names = zip(short(keys), (self.chosen[key] for key in keys), strict=True)
        return ", ".join(f"{name}={brief(value)}" for name, value in names if value is not None)

    @property
    def diverged(self) -> int:
        """Number of runs that diverged."""
        return sum(run.status == "diverged" for run in self.runs)

    @cached_property
    def aggregate(self) -> Aggregate | None:
        """Mean and quantiles of the recorded series that charts show; None for none."""
        drawn = []
        for series in (run.series for run in self.runs if run.series is not None):
            columns = [place for place, tag in enumerate(series.tags) if tag in _TAGS]
            tags = tuple(series.tags[place] for place in columns)
            drawn.append(series._replace(tags=tags, values=series.values[:, columns]))
        return aggregate(drawn, len(self.runs))

    def finals(self, tag: str) -> list[float]:
        """Collect the final numbers of runs that are done."""
        values = [run.metrics.get(tag) for run in self.runs if run.status == "done"]
        return [value for value in values if value is not None and isfinite(value)]


@dataclass(frozen=True)
class Content:
    """Runs as a report shows them.

    place: the folder that was given.
    runs: at least one.
    left_out: runs that cannot be read and have no share in any number.
    untrained: jobs without a folder, which were refused or failed before they began.
    comparison: of the groups below, in the same order.
    rated: rankings of the same runs with each group at one learning rate.
    groups: runs that differ in the seed only, the best group first.
    """

    place: Path
    runs: Sequence[Recorded]
    left_out: Sequence[Recorded]
    untrained: Sequence[Recorded]
    comparison: CompareResult
    rated: Sequence[Ranking]
    groups: Sequence[ReportGroup]

    @cached_property
    def tried(self) -> set[PairPanel]:
        """All combinations of data set and pair, the refused ones too if there is one data set."""
        known = {group.panel for group in self.groups}
        if len(self.datasets) > 1:  # the data of refused jobs are unknown
            return known
        return known | {PairPanel(self.datasets[0], job.pair) for job in self.untrained}

    def heads(self, data: str) -> list[str]:
        """List the heads tried on a data set: mlr's own in the lecture's order, then others."""
        there = {panel.head for panel in self.tried if panel.data == data}
        return _sorted(there, [head.name for head in HEADS])

    def losses(self, data: str) -> list[str]:
        """List the losses tried on a data set, likewise."""
        there = {panel.loss for panel in self.tried if panel.data == data}
        return _sorted(there, [loss.name for loss in LOSSES])

    def matrix(self, data: str) -> list[PairPanel]:
        """List every head with every loss tried on a data set, by head, then loss."""
        pairs = [(head, loss) for head in self.heads(data) for loss in self.losses(data)]
        return [PairPanel(data, "+".join(filter(None, pair))) for pair in pairs]

    @property
    def datasets(self) -> list[str]:
        """Names of the data sets; one empty name if all runs have the same."""
        return list(dict.fromkeys(ranking.data for ranking in self.comparison.rankings))

    @cached_property
    def panels(self) -> list[PairPanel]:
        """All that was tried, in the order of the matrices."""
        every = [panel for data in self.datasets for panel in self.matrix(data)]
        return [panel for panel in every if panel in self.tried]

    @cached_property
    def best(self) -> dict[PairPanel, ReportGroup]:
        """Group to choose of each data set and pair, the best pair first."""
        return {group.panel: group for group in self.groups if group.choice == 0}

    @property
    def keys(self) -> list[str]:
        """Settings that vary, apart from head, loss and seed."""
        return list(self.groups[0].chosen)

    @property
    def numeric_keys(self) -> list[str]:
        """Keys with two or more values that are all numbers."""
        found = []
        for key in self.keys:
            values = {group.chosen[key] for group in self.groups}
            if len(values) > 1 and all(type(value) in (int, float) for value in values):
                found.append(key)
        return found

    @cached_property
    def finals(self) -> list[Quantity]:
        """Final numbers that any run has."""
        return recorded(FINALS, {tag for run in self.runs for tag in run.metrics})


def read(place: Path) -> Content:
    """Read everything below a folder.

    Raises:
        InputError: there is no run.
    """
    found = read_runs(place)
    runs, left_out = ([run for run in found if bool(run.changed) is lost] for lost in (False, True))
    keys = [key for key in varied(runs) if key not in HEAD_LOSS]
    comparison = compare(runs, ["pair", *keys])
    rated = compare(runs, ["pair", *(key for key in keys if key != RATE)]).rankings
    jobs = untrained(place, {run.name for run in found})
    return Content(place, runs, left_out, jobs, comparison, rated, groups(comparison))


def groups(comparison: CompareResult) -> list[ReportGroup]:
    """Build all groups, in the order of the rows of a comparison by `pair` and other keys."""
    found: list[ReportGroup] = []
    rivals: dict[PairPanel, tuple[str, list[int]]] = {}
    for ranking in comparison.rankings:
        for row in ranking.rows:
            others = {key: value for key, value in row.keys.items() if key != "pair"}
            panel = PairPanel(ranking.data, str(row.keys["pair"] or ""))
            rivals.setdefault(panel, (ranking.metric, []))[1].append(len(found))
            found.append(ReportGroup(panel, others, row.members, labelled=ranking.keys))
    for metric, places in rivals.values():
        runs = [found[place].runs for place in places]
        tag = chosen_on(metric, [run for own in runs for run in own])
        for choice, at in enumerate(chosen(runs, tag)):
            found[places[at]] = replace(found[places[at]], choice=choice)
    return found


def untrained(place: Path, made: Iterable[str]) -> list[Recorded]:
    """List the jobs of runs.csv that are none of the runs `made`."""
    found = []
    for path in sorted(place.rglob(RUNS_TABLE)):
        with suppress(OSError, ValueError, csv.Error):  # not written by mlr
            rows = read_runs_table(path)
            found += [_job(path, row) for row in rows if row.get("run") and row["run"] not in made]
    return found


def _job(table: Path, row: Mapping[str, str]) -> Recorded:
    named = _PAIR.match(row["run"])  # a user's part is named by its class
    pair = named[0] if named else "+".join(filter(None, (row.get("head"), row.get("loss"))))
    about = {"status": row.get("status") or "unknown", "reason": row.get("reason") or ""}
    return Recorded(table.parent / row["run"], about | {"pair": pair})


def _sorted(names: Iterable[str], known: Sequence[str]) -> list[str]:
    return [*(name for name in known if name in names), *sorted({*names} - {*known})]
