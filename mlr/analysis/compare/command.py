"""The command compare: read runs, compare them, print a table or write a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mlr.analysis.compare.comparison import COLUMNS, Comparison, Ranking, compare
from mlr.analysis.compare.export import as_csv, as_json
from mlr.analysis.compare.groups import PAIR
from mlr.analysis.compare.table import print_comparison
from mlr.analysis.left_out import tell_left_out
from mlr.core import console
from mlr.core.checks import InputError, known
from mlr.core.durable import atomic_write
from mlr.core.streams import write_utf8
from mlr.records.ranking import is_higher_better
from mlr.records.reading import read_all

STDOUT = "-"


def main(
    places: Sequence[str],
    by: str,
    metric: str | None = None,
    sort: str | None = None,
    csv: str | None = None,
    json: str | None = None,
) -> int:
    """Compare the runs in folders; returns the exit code.

    Args:
        places: folders of runs or of sweeps.
        by: keys that tell groups apart, with commas between.
        metric: the final number that ranks.
        sort: the column to sort by, instead.
        csv: a file for the table, `-` for standard output in place of the table.
        json: likewise.

    Raises:
        InputError: no such runs, key or column.
        WriteError: a file cannot be written.
    """
    if csv == json == STDOUT:
        raise InputError("--csv=- and --json=- cannot share the output; give one a file.")
    keys = [key.strip() for key in by.split(",") if key.strip()]
    if not keys:
        raise InputError(f"--by={by} names no key; give some, as in --by=head,loss.")
    runs = read_all(places)
    found = compare(runs, keys, metric)
    if found.mixed and tuple(keys) == PAIR:  # nobody asked for means over other settings
        found = compare(runs, [*keys, *found.mixed], metric)
    comparison = _sorted(found, sort)
    tell_left_out(runs, places)
    for place, text in ((csv, as_csv(comparison)), (json, as_json(comparison))):
        if place == STDOUT:
            write_utf8(text)
        elif place is not None:
            atomic_write(Path(place), text.encode("utf-8", errors="backslashreplace"))
    if STDOUT not in (csv, json):
        print_comparison(console.console(), comparison)
    return 0


def _sorted(comparison: Comparison, column: str | None) -> Comparison:
    """Each ranking by a key or a field of `Row`, the smallest first, rows without it last.

    Raises:
        InputError: there is no such column; lists those there are.
    """
    if column is None:
        return comparison
    name = known("--sort", column, [*comparison.by, *COLUMNS])

    def resorted(ranking: Ranking) -> Ranking:
        down = -1 if name == "mean" and is_higher_better(ranking.metric) else 1

        def place(number: int) -> tuple[int, float, str]:
            row = ranking.rows[number]
            value = row.keys[name] if name in row.keys else getattr(row, name)
            if value is None:
                return 2, 0, ""
            return (1, 0, value) if isinstance(value, str) else (0, down * value, "")

        order = sorted(range(len(ranking.rows)), key=place)
        return replace(ranking, order=order)

    return replace(comparison, rankings=[resorted(one) for one in comparison.rankings])
