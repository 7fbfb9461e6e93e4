"""The comparison as CSV and JSON: every number in full, for other programs."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

from mlr.analysis.compare.comparison import COLUMNS, Comparison, Ranking, Row
from mlr.analysis.compare.headline import headline
from mlr.analysis.compare.statistics import LEVEL
from mlr.records.ranking import is_higher_better
from mlr.records.settings import Value
from mlr.records.sweep import csv_text, marked


def as_csv(comparison: Comparison) -> str:
    """A row a configuration: its keys, its ranking, the fields of `Row`; nothing is None."""
    rows: list[list[Any]] = [[*comparison.by, "ranking", "metric", *COLUMNS]]
    for ranking in comparison.rankings:
        for row in ranking.listed:
            fields = [getattr(row, column) for column in COLUMNS]
            rows.append([*row.keys.values(), ranking.title, ranking.metric, *fields])
    return csv_text([[_cell(value) for value in row] for row in rows])


def as_json(comparison: Comparison) -> str:
    """All of it, the runs that do not count by name; null stands for None."""
    found: dict[str, Any] = {
        "by": list(comparison.by),
        "test": "paired t-test over common seeds, two-sided; Holm over all pairs of groups",
        "level": LEVEL,
        "runs": comparison.runs,
        "rankings": [_ranking(one) for one in comparison.rankings],
        "mixed": list(comparison.mixed),
        "unended": [
            {"run": str(run.folder), "status": run.status, "reason": run.entries.get("reason")}
            for run in comparison.unended
        ],
    }
    return json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _ranking(ranking: Ranking) -> dict[str, Any]:
    """One ranking; rows of different ones cannot be compared."""
    return {
        "data": ranking.data or None,
        "loss": ranking.loss or None,
        "metric": ranking.metric,
        "better": "higher" if is_higher_better(ranking.metric) else "lower",
        "learning_rate_chosen_on": ranking.chosen_on,
        "headline": headline(ranking),
        "groups": [_row(row) for row in ranking.listed],
    }


def _row(row: Row) -> dict[str, Any]:
    """Learning rates as a list, because names of JSON are texts."""
    rates = [{"lr": _plain(lr), "mean": mean} for lr, mean in row.rates.items()]
    keys = {key: _plain(value) for key, value in row.keys.items()}
    fields = {column: getattr(row, column) for column in COLUMNS}
    return {**keys, **fields, "lr": _plain(row.lr), "rates": rates}


def _cell(value: Value) -> Value:
    """A text that a spreadsheet would take for a formula is marked as text."""
    return marked(value) if isinstance(value, str) else value


def _plain(value: Value) -> Value:
    """JSON has no infinite number, but an option may be one."""
    return value if not isinstance(value, float) or isfinite(value) else str(value)
