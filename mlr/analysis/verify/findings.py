"""Comparison of the files of one run or sweep with their checksums.

The files of a run that has ended are listed in its status.json. Of one that is running, or was
killed, the checkpoint knows how its table and its event files began.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

from mlr.core.checks import UnreadableError
from mlr.core.commandline import command, override
from mlr.core.console import shown
from mlr.core.locks import holder
from mlr.records.checkpoint_file import read
from mlr.records.checksums import check_file, size_of
from mlr.records.continuation import check_position, rows_before
from mlr.records.encoding import records
from mlr.records.run_folder import (
    CHECKPOINT,
    EVENTS,
    LISTED,
    LOCK,
    METRICS,
    PREVIOUS,
    RUNS_TABLE,
    STATUS,
    STORY,
    read_status,
)
from mlr.records.status import FINISHED, FORMATS, FormatError, RunStatus, check_format
from mlr.records.sweep import read_runs_table, read_story

GOOD, DAMAGED, UNREADABLE, FORMAT = "ok", "damaged", "unreadable", "format"


class FileFinding(NamedTuple):
    """Result for one file: one of the four kinds above, its name, and what is wrong."""

    kind: str
    name: str
    text: str = ""


@dataclass(frozen=True)
class FolderFindings:
    """Results for one folder.

    Attributes:
        place: of a run or a sweep.
        state: in a few words, as in `done, 640 updates`.
        go_on: command that continues what was ended early.
        remedy: what to do with damaged files.
        found: of the files.
    """

    place: Path
    state: str
    go_on: str
    remedy: str
    found: Sequence[FileFinding]


def judged(folder: Path, name: str, check: Callable[[], object]) -> FileFinding:
    """Describe a file of a folder by a check, which raises an error where it is not sound."""
    try:
        size_of(folder / name, folder)
        check()
        return FileFinding(GOOD, name)
    except FileNotFoundError:
        return FileFinding(DAMAGED, name, "is missing")
    except (OSError, MemoryError, UnreadableError) as error:
        text = getattr(error, "strerror", "") or str(error) or "it is more than memory holds"
        return FileFinding(UNREADABLE, name, text)
    except ValueError as error:
        kind = FORMAT if isinstance(error, FormatError) else DAMAGED
        text = str(error).removeprefix(f"{folder / name} ").removeprefix("is damaged: ")
        return FileFinding(kind, name, text.rstrip("."))


def examine_run(folder: Path) -> FolderFindings:
    """Compare every file of the run in `folder`; nothing is changed."""
    said = judged(folder, STATUS, partial(read_status, folder))
    status = read_status(folder) if said.kind == GOOD else RunStatus()
    # anybody may have written these names
    files = {
        name: expected
        for name, expected in (status.files or {}).items()
        if name in LISTED or name.startswith(EVENTS)
    }
    intact: dict[str, Mapping[str, Any]] = {}
    found = [said, *_checkpoints(folder, files, intact)]
    for name, expected in files.items():
        if name not in (CHECKPOINT, PREVIOUS):
            found.append(judged(folder, name, partial(_check_listed, folder, name, expected)))
    newest = next(iter(intact.values()), {})
    if not files and "records" in newest:
        table, events = newest["records"]["table"], newest["records"]["events"]
        for name, size in events.items():
            found.append(judged(folder, name, partial(_check_events, folder / name, size)))
        found.append(judged(folder, METRICS, partial(rows_before, folder / METRICS, table)))
    remedy = "restore it from a copy, or train it again in another folder"
    if (sweep := lock_of(folder).parent) != folder:
        again = f"remove {shown(folder)} and train it again by {_resume_sweep(sweep)}"
        remedy = f"restore it from a copy, or {again}"
    return FolderFindings(folder, *_state(folder, status, intact), remedy, found)


def lock_of(folder: Path) -> Path:
    """Return the lock that the process which trains the run holds: its own, or its sweep's."""
    sweep = folder.parent
    return (sweep if (sweep / RUNS_TABLE).exists() else folder) / LOCK


def _check_listed(folder: Path, name: str, expected: Mapping[str, Any]) -> None:
    check_file(folder / name, folder, expected)
    if "sha256" not in expected:  # of format 2
        _check_events(folder / name)


def _check_events(path: Path, size: int | None = None) -> None:
    """Check the records in the first `size` bytes of an event file."""
    for _ in records(path.read_bytes()[:size]):
        pass


def _checkpoints(
    folder: Path, files: Mapping[str, Any], intact: dict[str, Mapping[str, Any]]
) -> Iterator[FileFinding]:
    """Check both checkpoints; `intact` then has what the intact ones say, the newest first."""

    def check(name: str) -> None:
        about = read(folder / name).about
        check_format("it", about.get("format", FORMATS[0]))
        if type(about.get("step")) is not int:
            raise ValueError("does not say of which step it is")
        if name in files:
            check_file(folder / name, folder, files[name])
        elif "records" in about:
            check_position(folder, about["records"])
        intact[name] = about

    names = [one for one in (CHECKPOINT, PREVIOUS) if one in files or (folder / one).exists()]
    for one in [judged(folder, name, partial(check, name)) for name in names]:
        if one.kind == DAMAGED and intact:
            good = next(iter(intact.values()))["step"]
            one = one._replace(text=f"{one.text}; the other is good: step {good:,}")
        yield one


def _state(
    folder: Path, status: RunStatus, intact: Mapping[str, Mapping[str, Any]]
) -> tuple[str, str]:
    """Describe what became of the run, and the command that continues it, if there is one."""
    ended, lock = status.status or "unknown", lock_of(folder)
    owner = holder(lock) if ended == "running" else None
    if owner is not None:
        return f"in use by {owner}", ""
    go_on = command("train", override("resume", shown(folder))) if intact else ""
    if ended in FINISHED:
        state = ended + ("" if status.steps is None else f", {status.steps:,} updates")
        return state, "" if CHECKPOINT in intact or ended != "done" else go_on
    if ended == "running":
        ended = "killed" if lock.exists() else "running, or killed"
    if lock.parent != folder:
        return f"{ended}, as its sweep {shown(folder.parent)}", ""
    after = f" after step {next(iter(intact.values()))['step']:,}" if intact else ""
    return ended + after, go_on


def _resume_sweep(sweep: Path) -> str:
    return f"its command with {quote(override('sweep.resume', shown(sweep)))}"


def examine_sweep(folder: Path) -> FolderFindings:
    """Check the files of the sweep in `folder` that are of no single run."""
    story: dict[str, Any] = {}

    def check_table() -> None:
        with suppress(KeyError, TypeError):  # anybody may have written the story
            check_file(folder / RUNS_TABLE, folder, story["files"][RUNS_TABLE])

    found = [
        judged(folder, STORY, lambda: story.update(read_story(folder))),
        judged(folder, RUNS_TABLE, check_table),
    ]
    with suppress(OSError, ValueError, csv.Error):  # found in the table itself
        here = {path.parent.name for path in folder.rglob(STATUS)}
        for row in read_runs_table(folder / RUNS_TABLE):
            if row["status"] in FINISHED and row["run"] not in here:
                found.append(FileFinding(DAMAGED, row["run"], "the run is missing"))
    for path in sorted((folder / "summary").rglob(f"{EVENTS}*")):
        name = path.relative_to(folder).as_posix()
        found.append(judged(folder, name, partial(_check_events, path)))
    remedy = f"{_resume_sweep(folder)} writes it again"
    return FolderFindings(folder, *_state_of_sweep(folder, story), remedy, found)


def _state_of_sweep(folder: Path, story: Mapping[str, Any]) -> tuple[str, str]:
    status = str(story.get("status", "unknown"))
    owner = holder(folder / LOCK)
    if owner is not None:
        return f"in use by {owner}", ""
    runs = story.get("runs")
    left = runs.get("interrupted") if isinstance(runs, dict) else None
    if status == "done" and not left:
        return status, ""
    if status == "done":
        return f"done, but {left} of its runs interrupted", _resume_sweep(folder)
    return "killed" if status == "running" else status, _resume_sweep(folder)
