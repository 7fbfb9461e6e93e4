"""Content of a report: its runs in groups, and the panels of its charts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from mlr.analysis.compare.comparison import CompareResult, Ranking, compare
from mlr.analysis.formatting import display_name
from mlr.analysis.grouping import HEAD_LOSS, varied
from mlr.analysis.quantities import FINALS, Quantity, recorded
from mlr.analysis.report.groups import (
    ReportGroup,
    UntrainedJob,
    best_of_pairs,
    groups,
    untrained,
)
from mlr.heads import HEADS
from mlr.losses import LOSSES
from mlr.records.reading import Recorded, read_runs
from mlr.records.settings import RATE


class PairPanel(NamedTuple):
    """Place of a chart: one pair on one data set."""

    data: str
    head: str
    loss: str

    @property
    def pair(self) -> str:
        """Head and loss, as in `sigmoid+se`; empty if unknown."""
        return "+".join(filter(None, (self.head, self.loss)))

    @property
    def key(self) -> tuple[str, str]:
        """Data and pair, by which groups are found."""
        return self.data, self.pair

    @property
    def label(self) -> str:
        """Name as in `sigmoid + SE`, with the data if there are several."""
        return ", ".join(filter(None, (display_pair(self.pair), self.data)))


@dataclass(frozen=True)
class Content:
    """Runs as a report shows them.

    place: the folder that was given.
    runs: at least one.
    left_out: runs that cannot be read and have no share in any number.
    comparison: of the groups below, in the same order.
    rated: rankings of the same runs with each group at one learning rate.
    groups: runs that differ in the seed only, the best group first.
    untrained: jobs without a folder.
    """

    place: Path
    runs: Sequence[Recorded]
    left_out: Sequence[Recorded]
    comparison: CompareResult
    rated: Sequence[Ranking]
    groups: Sequence[ReportGroup]
    untrained: Sequence[UntrainedJob]

    @cached_property
    def tried(self) -> set[PairPanel]:
        """All combinations of data set, head and loss, the refused ones too."""
        known = {_panel(one.data, one.pair) for one in self.groups}
        (data, *others) = self.datasets
        if others:  # the data of refused jobs are unknown
            return known
        return known | {_panel(data, one.pair) for one in self.untrained}

    def heads(self, data: str) -> list[str]:
        """List the heads tried on a data set: mlr's own in the lecture's order, then others."""
        there = {panel.head for panel in self.tried if panel.data == data}
        return _sorted(there, [head.name for head in HEADS])

    def losses(self, data: str) -> list[str]:
        """List the losses tried on a data set, likewise."""
        there = {panel.loss for panel in self.tried if panel.data == data}
        return _sorted(there, [loss.name for loss in LOSSES])

    @property
    def datasets(self) -> list[str]:
        """Names of the data sets; one empty name if all runs have the same."""
        return list(dict.fromkeys(ranking.data for ranking in self.comparison.rankings))

    @cached_property
    def panels(self) -> list[PairPanel]:
        """All that was tried, in the order of the matrices: by data set, head, then loss."""
        return [
            panel
            for data in self.datasets
            for head in self.heads(data)
            for loss in self.losses(data)
            if (panel := PairPanel(data, head, loss)) in self.tried
        ]

    @property
    def best(self) -> dict[tuple[str, str], ReportGroup]:
        """Group to choose of each data set and pair, the best pair first."""
        return best_of_pairs(self.groups)

    @property
    def keys(self) -> list[str]:
        """Settings that vary, apart from head, loss and seed."""
        return list(self.groups[0].chosen)

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
    made, jobs = groups(comparison), untrained(place, found)
    return Content(place, runs, left_out, comparison, rated, made, jobs)


def display_pair(pair: str) -> str:
    """Write a pair for people, as in `sigmoid + SE`."""
    return " + ".join(map(display_name, filter(None, pair.split("+")))) or "unknown pair"


def _panel(data: str, pair: str) -> PairPanel:
    head, _, loss = pair.partition("+")
    return PairPanel(data, head, loss)


def _sorted(names: Iterable[str], known: Sequence[str]) -> list[str]:
    def place(name: str) -> tuple[int, str]:
        return (known.index(name) if name in known else len(known), name)

    return sorted(names, key=place)
