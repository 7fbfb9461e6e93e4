"""The command compare: read runs, compare them, print a table or write CSV and JSON."""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

from mlr.analysis.compare.comparison import (
    COLUMNS,
    CompareResult,
    CompareRow,
    Ranking,
    compare_apart,
)
from mlr.analysis.compare.headline import headline
from mlr.analysis.compare.significance import LEVEL
from mlr.analysis.compare.table import print_comparison
from mlr.analysis.quantities import OF_CALIBRATION
from mlr.analysis.ranking import is_higher_better
from mlr.core import console
from mlr.core.checks import InputError, known
from mlr.core.durable import atomic_write
from mlr.core.streams import write_utf8
from mlr.records.reading import left_out, read_runs
from mlr.records.settings import Value
from mlr.records.sweep import csv_text, marked

STDOUT = "-"


def main(
    places: Sequence[str],
    by: str,
    metric: str | None = None,
    sort: str | None = None,
    csv: str | None = None,
    json: str | None = None,
) -> int:
    """Compare the runs in folders, by keys separated by commas; returns the exit code.

    `csv` and `json` are files, `-` for standard output in place of the table.
    """
    if csv == json == STDOUT:
        raise InputError("--csv=- and --json=- cannot share the output; give one a file.")
    keys = keys_of(by)
    runs = read_runs(*places)
    comparison = _sorted(compare_apart(runs, keys, metric), sort)
    if line := left_out(runs, places):
        console.refuse(line)
    for place, text in ((csv, as_csv(comparison)), (json, as_json(comparison))):
        if place == STDOUT:
            write_utf8(text)
        elif place is not None:
            atomic_write(Path(place), text.encode("utf-8", errors="backslashreplace"))
    if STDOUT not in (csv, json):
        print_comparison(console.console(), comparison)
    return 0


def keys_of(by: Sequence[str] | str) -> list[str]:
    """List keys, also those that a text separates by commas; raises InputError without any."""
    found = by.split(",") if isinstance(by, str) else by
    keys = [key.strip() for key in found if key.strip()]
    if not keys:
        raise InputError(f"--by={by} names no key; give some, as in --by=head,loss.")
    return keys


def _sorted(comparison: CompareResult, column: str | None) -> CompareResult:
    """Sort each ranking by a key or a field of `CompareRow`, the smallest first, None last."""
    if column is None:
        return comparison
    known("--sort", column, [*comparison.by, *COLUMNS])

    def place(row: CompareRow, down: int) -> tuple[int, float, str]:
        value = row.keys[column] if column in row.keys else getattr(row, column)
        if value is None:
            return 2, 0, ""
        return (1, 0, value) if isinstance(value, str) else (0, down * value, "")

    rankings = []
    for one in comparison.rankings:
        down = -1 if column == "mean" and is_higher_better(one.metric) else 1
        rankings.append(replace(one, order=sorted(one.rows, key=partial(place, down=down))))
    return replace(comparison, rankings=rankings)


def as_csv(comparison: CompareResult) -> str:
    """Write a row per configuration: its keys, its ranking, the fields of `CompareRow`."""
    rows: list[list[Any]] = [[*comparison.by, "ranking", "metric", *COLUMNS]]
    for ranking in comparison.rankings:
        for row in ranking.listed:
            numbers = [getattr(row, column) for column in COLUMNS]
            rows.append([*row.keys.values(), ranking.title, ranking.metric, *numbers])
    # a spreadsheet would run some texts as formulas
    return csv_text([[marked(one) if isinstance(one, str) else one for one in row] for row in rows])


def as_json(comparison: CompareResult) -> str:
    """Write the whole comparison, and the runs that do not count by name."""
    found: dict[str, Any] = {
        "by": list(comparison.by),
        "test": "paired t-test over common seeds, two-sided; Holm over all pairs of groups",
        "level": LEVEL,
        "runs": comparison.runs,
        "rankings": [_ranking_object(one) for one in comparison.rankings],
        "mixed": list(comparison.mixed),
        "unended": [
            {"run": str(run.folder), "status": run.status, "reason": run.entries.get("reason")}
            for run in comparison.unended
        ],
    }
    return json_module.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _ranking_object(ranking: Ranking) -> dict[str, Any]:
    return {
        "data": ranking.data or None,
        "loss": ranking.loss or None,
        "metric": ranking.metric,
        "better": "higher" if is_higher_better(ranking.metric) else "lower",
        "learning_rate_chosen_on": ranking.chosen_on,
        "headline": headline(ranking),
        "groups": [_row_object(row) for row in ranking.listed],
    }


def _row_object(row: CompareRow) -> dict[str, Any]:
    # a list of rates, because names in JSON are text
    rates = [{"lr": _plain(lr), "mean": mean} for lr, mean in row.rates.items()]
    keys = {key: _plain(value) for key, value in row.keys.items()}
    fields = {column: getattr(row, column) for column in COLUMNS}
    means = {tag: own[0] for tag, own in row.finals.items() if tag.startswith(OF_CALIBRATION)}
    return {**keys, **fields, "calibration": means, "lr": _plain(row.lr), "rates": rates}


def _plain(value: Value) -> Value:
    """Write an infinite option as text, since JSON has no such number."""
    return value if not isinstance(value, float) or isfinite(value) else str(value)
