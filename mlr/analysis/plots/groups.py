"""Finished runs as a figure shows them, chosen and grouped as `compare` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from mlr.analysis.compare.comparison import (
    CompareResult,
    CompareRow,
    Ranking,
    compare,
    compare_apart,
)
from mlr.analysis.formatting import brief
from mlr.analysis.grouping import HEAD_LOSS, collected, short, varied
from mlr.core.checks import InputError
from mlr.records.reading import Recorded, read_runs
from mlr.records.settings import RATE

Runs = Sequence[Recorded] | Path | str
"""Runs that were read, or the folder to read them from."""
MOST_PANELS = 12


class PlotEntry(NamedTuple):
    """Configuration in a figure: its pair, its other settings as text, its row and ranking."""

    pair: str
    others: str
    row: CompareRow
    ranking: Ranking

    @property
    def apart(self) -> str:
        """Data set and other settings, which tell it from others of the same pair."""
        return ", ".join(filter(None, (self.ranking.data, self.others)))


def read(runs: Runs) -> list[Recorded]:
    """Return the runs without those that cannot be read.

    Raises:
        InputError: there is none.
    """
    found = read_runs(runs) if isinstance(runs, (str, Path)) else list(runs)
    sound = [run for run in found if not run.changed]
    if not sound:
        raise InputError("There is no run to draw.")
    return sound


def compared(runs: Sequence[Recorded], metric: str | None = None) -> CompareResult:
    """Compare runs by head, loss and whatever else they differ in.

    A configuration is taken at the learning rate that is chosen on validation data, unless there
    is one only, whose rates are then compared.
    """
    found = compare_apart(runs, metric=metric, timed=False)
    if len(found.rows) == 1 and RATE in varied(runs):
        return compare(runs, [*HEAD_LOSS, RATE], metric, timed=False)
    return found


def entries(found: CompareResult) -> list[PlotEntry]:
    """List the configurations of a comparison, the best first."""
    return [_entry(ranking, row) for ranking in found.rankings for row in ranking.rows]


def panels(
    every: Sequence[PlotEntry], title: Callable[[PlotEntry], str]
) -> dict[str, list[PlotEntry]]:
    """Divide configurations into the panels of a figure, by title.

    Raises:
        InputError: there are more than `MOST_PANELS`.
    """
    made = collected(every, title)
    if len(made) > MOST_PANELS:
        raise InputError(
            f"{len(made)} panels do not fit into a figure, which has at most {MOST_PANELS}; give "
            "the folder of fewer runs."
        )
    return made


def _entry(ranking: Ranking, row: CompareRow) -> PlotEntry:
    pair = "+".join(str(row.keys[key]) for key in HEAD_LOSS if row.keys[key])
    keys = [key for key in ranking.keys if key not in HEAD_LOSS]
    named = zip(short(keys), (row.keys[key] for key in keys), strict=True)
    others = ", ".join(f"{key}={brief(value)}" for key, value in named if value is not None)
    return PlotEntry(pair, others, row, ranking)
