"""The command explain: read runs, find faults and print them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from mlr.analysis.explain.diagnose import explain
from mlr.analysis.explain.findings import Diagnosis
from mlr.analysis.explain.printing import print_in_full, reassurance
from mlr.analysis.explain.remedies import command
from mlr.core import console
from mlr.core.streams import write_utf8
from mlr.records.reading import Recorded, left_out, read_runs


def main(place: str, as_json: bool) -> int:
    """Explain a run, a sweep or all runs below a folder; returns the exit code.

    Args:
        place: the folder.
        as_json: print one JSON object instead of text.

    Raises:
        InputError: there are no runs.
    """
    runs = read_runs(Path(place))
    if line := left_out(runs, [place]):
        console.refuse(line)
    found = explain(runs)
    if as_json:
        write_utf8(json.dumps(as_object(runs, found), ensure_ascii=False, indent=2) + "\n")
    else:
        print_in_full(console.console(), runs, found)
    return 0


def as_object(runs: Sequence[Recorded], found: Sequence[Diagnosis]) -> dict[str, object]:
    """Build plain values: `diagnoses`, or a `summary` if there are none."""
    rows = []
    for one in found:
        row = asdict(replace(one, findings=())) | {"runs": list(one.runs)}
        del row["findings"]
        if len(runs) == 1:
            row["command"] = command(runs[0], one)
        rows.append(row)
    return {
        "runs": len(runs),
        "diagnoses": rows,
        "summary": None if found else reassurance(runs),
    }
