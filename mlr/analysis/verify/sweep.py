"""A sweep's own files: its story, its table, the summary of many runs."""

from __future__ import annotations

import csv
import io
from functools import partial
from pathlib import Path
from typing import Any

from mlr.analysis.verify.findings import DAMAGED, Examined, Finding, judged
from mlr.analysis.verify.run import REPAIR, check_events, resume_sweep
from mlr.core.locks import holder
from mlr.records.continuing import PREFIX
from mlr.records.file_names import LOCK, RUNS_TABLE, STORY
from mlr.records.manifest import check_entry, read_small, size_of
from mlr.records.outcome import FINISHED
from mlr.records.sweep import read_story

SUMMARY = "summary"


def examine(folder: Path) -> Examined:
    """Look at the files of the sweep in `folder` that are of no single run."""
    told: dict[str, Any] = {}
    remedy = f"{resume_sweep(folder)} writes it again"
    owner = holder(folder / LOCK)

    def story() -> str:
        size_of(folder / STORY, folder)
        told.update(read_story(folder))
        return ""

    def table() -> str:
        size_of(folder / RUNS_TABLE, folder)
        files = told.get("files")
        entry = files.get(RUNS_TABLE) if isinstance(files, dict) else None
        if isinstance(entry, dict) and isinstance(entry.get("bytes"), int):
            check_entry(folder / RUNS_TABLE, folder, entry)
        return ""

    found = [judged(STORY, remedy, story), judged(RUNS_TABLE, remedy, table)]
    found += _missing(folder)
    for path in sorted((folder / SUMMARY).rglob(f"{PREFIX}*")):
        name = path.relative_to(folder).as_posix()
        found.append(judged(name, REPAIR, partial(check_events, path, folder, None, owner)))
    return Examined(folder, *_state(folder, told, owner), found)


def _missing(folder: Path) -> list[Finding]:
    """Runs that the table says are finished, and that are not there."""
    try:
        text = read_small(folder / RUNS_TABLE).decode("utf-8", "replace")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except (OSError, ValueError, csv.Error):  # said of the table itself
        return []
    here = {path.parent.name for path in folder.rglob("status.json")}
    names = [str(row.get("run")) for row in rows if row.get("status") in FINISHED]
    remedy = f"{resume_sweep(folder)} trains it again"
    lost = (name for name in names if name not in here)
    return [Finding(DAMAGED, name, f"the run is missing; {remedy}") for name in lost]


def _state(folder: Path, story: dict[str, Any], owner: str | None) -> tuple[str, str]:
    status = str(story.get("status", "unknown"))
    if owner is not None:
        return f"in use by {owner}", ""
    runs = story.get("runs")
    left = runs.get("interrupted") if isinstance(runs, dict) else None
    if status == "done" and not left:
        return status, ""
    if status == "done":
        return f"done, but {left} of its runs interrupted", resume_sweep(folder)
    return "killed" if status == "running" else status, resume_sweep(folder)
