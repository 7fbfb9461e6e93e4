"""The comparison as CSV and JSON: every number in full, for other programs."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from math import isfinite
from typing import Any

from mlr.app.compare.comparison import COLUMNS, Comparison
from mlr.app.compare.groups import is_higher_better
from mlr.app.compare.statistics import LEVEL
from mlr.records.settings import Value


def as_csv(comparison: Comparison) -> str:
    """A row a group: its keys, then the fields of `Row`; nothing stands for None."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*comparison.by, "metric", *COLUMNS])
    for row in comparison.rows:
        numbers = [getattr(row, column) for column in COLUMNS]
        table.writerow([*map(_cell, row.keys.values()), comparison.metric, *numbers])
    return text.getvalue()


def as_json(comparison: Comparison) -> str:
    """All of it, the runs without a share by name; null stands for None."""
    found: dict[str, Any] = {
        "metric": comparison.metric,
        "better": "higher" if is_higher_better(comparison.metric) else "lower",
        "by": list(comparison.by),
        "test": "paired t-test over common seeds, two-sided; Holm over all pairs of groups",
        "level": LEVEL,
        "runs": comparison.runs,
        "groups": [_row(asdict(row)) for row in comparison.rows],
        "mixed": list(comparison.mixed),
        "unended": [
            {"run": str(run.folder), "status": run.status, "reason": run.entries.get("reason")}
            for run in comparison.unended
        ],
    }
    return json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _row(fields: dict[str, Any]) -> dict[str, Any]:
    """Learning rates as a list, because names of JSON are texts."""
    rates = [{"lr": _plain(lr), "mean": mean} for lr, mean in fields.pop("rates").items()]
    keys = {key: _plain(value) for key, value in fields.pop("keys").items()}
    return {**keys, **fields, "lr": _plain(fields["lr"]), "rates": rates}


def _cell(value: Value) -> Value:
    """A text that a spreadsheet would take for a formula is marked as text."""
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value


def _plain(value: Value) -> Value:
    """JSON has no infinite number, but an option may be one."""
    return value if not isinstance(value, float) or isfinite(value) else str(value)
