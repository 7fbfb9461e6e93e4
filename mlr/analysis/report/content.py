"""The content of a report: the runs, sorted; and the numbers of its charts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlr.analysis.compare.comparison import Comparison, Ranking, compare
from mlr.analysis.compare.groups import short, varied
from mlr.analysis.formatting import display_name
from mlr.analysis.report.curves import curves, drawn, significant
from mlr.analysis.report.groups import (
    Group,
    Unmade,
    best_of_pairs,
    groups,
    numeric_keys,
    unmade,
)
from mlr.analysis.report.quantities import FINALS, Quantity, there
from mlr.analysis.report.theory import grid, measured, pair_of
from mlr.analysis.report.theory_process import Theory
from mlr.heads import HEADS
from mlr.losses import LOSSES
from mlr.records.aggregate import QUANTILES
from mlr.records.reading import Recorded, read_runs
from mlr.records.settings import RATE


class Panel(NamedTuple):
    """A chart's place: one pair on one data set."""

    data: str
    head: str
    loss: str

    @property
    def pair(self) -> str:
        """As in `sigmoid+se`."""
        return joined((self.head, self.loss))

    @property
    def key(self) -> tuple[str, str]:
        """As groups are found by."""
        return self.data, self.pair

    @property
    def label(self) -> str:
        """As in `sigmoid + SE`, with the data where there are several."""
        return ", ".join(filter(None, (written((self.head, self.loss)), self.data)))


@dataclass(frozen=True)
class Content:
    """Runs as the report shows them.

    place: the folder that was given.
    runs: at least one.
    left_out: those that cannot be read, and have no share in anything.
    comparison: of the groups below, in the same order.
    rated: rankings of the same runs with each group at one learning rate.
    groups: runs alike but for the seed, best first.
    unmade: jobs without a folder.
    theory: of the best group of each pair, in their order.
    """

    place: Path
    runs: Sequence[Recorded]
    left_out: Sequence[Recorded]
    comparison: Comparison
    rated: Sequence[Ranking]
    groups: Sequence[Group]
    unmade: Sequence[Unmade]
    theory: Theory

    @cached_property
    def tried(self) -> set[Panel]:
        """Every data set, head and loss, the refused too."""
        known = {Panel(one.data, *parted(one.pair)) for one in self.groups}
        (data, *others) = self.datasets
        if others:  # of refused jobs nobody knows the data
            return known
        return known | {Panel(data, *parted(one.pair)) for one in self.unmade}

    def heads(self, data: str) -> list[str]:
        """Those tried on a data set, in the order of the lecture, others behind."""
        there = {panel.head for panel in self.tried if panel.data == data}
        return _sorted(there, [head.name for head in HEADS])

    def losses(self, data: str) -> list[str]:
        """Likewise."""
        there = {panel.loss for panel in self.tried if panel.data == data}
        return _sorted(there, [loss.name for loss in LOSSES])

    @property
    def datasets(self) -> list[str]:
        """Names of the data sets; one empty name where all runs have the same."""
        return list(dict.fromkeys(ranking.data for ranking in self.comparison.rankings))

    @cached_property
    def panels(self) -> list[Panel]:
        """What was tried, in the order of the matrices: by data set, by head, then by loss."""
        return [
            panel
            for data in self.datasets
            for panel in (
                Panel(data, head, loss) for head in self.heads(data) for loss in self.losses(data)
            )
            if panel in self.tried
        ]

    @property
    def best(self) -> dict[tuple[str, str], Group]:
        """The group to choose of each data set and pair, the best pair first."""
        return best_of_pairs(self.groups)

    @property
    def keys(self) -> list[str]:
        """The keys that were chosen apart from head, loss and seed."""
        return list(self.groups[0].chosen)

    @cached_property
    def finals(self) -> list[Quantity]:
        """The final numbers that any run has."""
        return there(FINALS, {tag for run in self.runs for tag in run.metrics})


def read(place: Path) -> Content:
    """Everything below a folder.

    Raises:
        InputError: there is no run.
    """
    found = read_runs(place)
    runs, left_out = ([run for run in found if bool(run.changed) is lost] for lost in (False, True))
    keys = [key for key in varied(runs) if key not in ("head", "loss")]
    comparison = compare(runs, ["pair", *keys])
    rated = compare(runs, ["pair", *(key for key in keys if key != RATE)]).rankings
    made, jobs = groups(comparison), unmade(place, found)
    theory = Theory([pair_of(group) for group in best_of_pairs(made).values()])
    return Content(place, runs, left_out, comparison, rated, made, jobs, theory)


def charts(content: Content) -> dict[str, Any]:
    """The numbers that the page's charts are drawn from, as JSON."""
    panels = content.panels
    places = {panel.key: place for place, panel in enumerate(panels)}
    best = content.best
    lines = curves(content.groups)
    numeric = numeric_keys(content.groups)
    named = zip(content.keys, short(content.keys), strict=True)
    return {
        "pairs": [panel.label for panel in panels],
        "losses": [panel.loss for panel in panels],
        "sets": [panel.data for panel in panels],
        "quantities": [one._asdict() for one in drawn(content.groups)],
        "finals": [one._asdict() for one in content.finals],
        "steps": lines["steps"],
        "groups": [
            _group(group, places[group.data, group.pair], own, content.finals)
            for group, own in zip(content.groups, lines["groups"], strict=True)
        ],
        "keys": [[key, name] for key, name in named if key in numeric],
        "theory": {
            "z": grid(),
            "pairs": {
                places[key]: found | {"points": measured(best[key].runs)}
                for key, found in zip(best, content.theory.curves(), strict=True)
            },
        },
    }


def written(pair: tuple[str, str]) -> str:
    """A pair as a person writes it."""
    return " + ".join(display_name(name) for name in pair if name) or "unknown pair"


def joined(pair: tuple[str, str]) -> str:
    """A pair as its runs tell it; empty where nobody knows."""
    return "+".join(filter(None, pair))


def parted(pair: str) -> tuple[str, str]:
    """Head and loss."""
    head, _, loss = pair.partition("+")
    return head, loss


def _group(
    group: Group, pair: int, own: dict[str, Any], finals: Sequence[Quantity]
) -> dict[str, Any]:
    return {
        "pair": pair,
        "label": group.label,
        "runs": len(group.runs),
        "diverged": group.diverged,
        "best": group.choice == 0,
        "choice": group.choice,
        "values": dict(group.chosen),
        "finals": {one.tag: _spread(group.finals(one.tag)) for one in finals},
        "curves": own,
    }


def _spread(values: Sequence[float]) -> list[float] | None:
    """Mean, 10 % and 90 % quantile."""
    if not values:
        return None
    return significant([float(np.mean(values)), *np.quantile(values, QUANTILES)])


def _sorted(names: Iterable[str], known: Sequence[str]) -> list[str]:
    def place(name: str) -> tuple[int, str]:
        return (known.index(name) if name in known else len(known), name)

    return sorted(names, key=place)
