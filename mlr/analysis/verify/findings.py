"""Comparison of the files of one run or sweep with their checksums.

The files of a run that has ended are listed in its status.json. Of one that is running, or was
killed, the checkpoint knows how its table and its event files began.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

from mlr.core.checks import DataError, UnreadableError
from mlr.core.commandline import command, override
from mlr.core.console import shown
from mlr.core.locks import holder
from mlr.records.checkpoint_file import read
from mlr.records.checksums import check_file, read_small, size_of
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
from mlr.records.sweep import read_story

GOOD, DAMAGED, UNREADABLE, FORMAT = "ok", "damaged", "unreadable", "format"
SUMMARY = "summary"


class FileFinding(NamedTuple):
    """Result for one file.

    Attributes:
        kind: one of the four above.
        name: within the folder.
        text: what is wrong, and what to do.
    """

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
        found: results of the files.
    """

    place: Path
    state: str
    go_on: str
    found: Sequence[FileFinding]


class _Checkpoint(NamedTuple):
    """An intact checkpoint: its step, and where the run's records ended then, if it says so."""

    step: int
    records: Mapping[str, Any] | None


def judged(folder: Path, name: str, remedy: str, check: Callable[[], object]) -> FileFinding:
    """Describe a file by a check.

    Args:
        folder: of a run or a sweep.
        name: of the file.
        remedy: what to do where it is damaged.
        check: raises ValueError where it is damaged, OSError where it cannot be read; a text that
            it returns is shown.
    """
    try:
        said = check()
        return FileFinding(GOOD, name, said if isinstance(said, str) else "")
    except FileNotFoundError:
        return FileFinding(DAMAGED, name, f"is missing; {remedy}")
    except MemoryError:
        return FileFinding(UNREADABLE, name, "it is more than memory holds")
    except (OSError, UnreadableError) as error:
        return FileFinding(UNREADABLE, name, getattr(error, "strerror", "") or str(error))
    except ValueError as error:
        text = str(error).removeprefix(f"{folder / name} ").removeprefix("is damaged: ").rstrip(".")
        if isinstance(error, FormatError):
            return FileFinding(FORMAT, name, text)
        return FileFinding(DAMAGED, name, f"{text}; {remedy}")


def examine_run(folder: Path) -> FolderFindings:
    """Compare every file of the run in `folder`; nothing is changed."""
    lost = f"restore it from a copy, or {_train_again(folder)}"
    status = RunStatus()

    def read_it() -> None:
        nonlocal status
        size_of(folder / STATUS, folder)
        status = read_status(folder)

    said = judged(folder, STATUS, lost, read_it)
    files = {name: one for name, one in (status.files or {}).items() if _is_of_run(name)}
    intact: dict[str, _Checkpoint] = {}
    found = list(_checkpoints(folder, files, intact))
    if said.kind == DAMAGED and intact and lock_of(folder).parent == folder:
        said = said._replace(text=f"{said.text.partition('; ')[0]}; {_resume(folder)} rewrites it")
    for name, expected in files.items():
        if name not in (CHECKPOINT, PREVIOUS):
            listed = partial(_check_listed, folder / name, folder, expected)
            found.append(judged(folder, name, lost, listed))
    if not files and intact:
        for name, check in _records_of(folder, next(iter(intact.values()))):
            found.append(judged(folder, name, lost, check))
    owner = holder(lock_of(folder)) if status.status == "running" else None
    return FolderFindings(folder, *_state(folder, status, owner, intact), [said, *found])


def lock_of(folder: Path) -> Path:
    """Return the lock that the process which trains the run holds: its own, or its sweep's."""
    sweep = folder.parent
    return (sweep if (sweep / RUNS_TABLE).exists() else folder) / LOCK


def _is_of_run(name: str) -> bool:
    """Test a name in a status.json, which anybody may have written."""
    return name in LISTED or (name.startswith(EVENTS) and not set(name) & set("/\\\0"))


def _check_listed(path: Path, folder: Path, expected: Mapping[str, Any]) -> str:
    check_file(path, folder, expected)
    return "" if "sha256" in expected else _check_events(path, folder)  # of format 2


def _check_events(path: Path, folder: Path, size: int | None = None) -> str:
    """Check the records in the first `size` bytes of an event file; returns how many there are."""
    size_of(path, folder)
    return f"{sum(1 for _ in records(path.read_bytes()[:size])):,} records"


def _checkpoints(
    folder: Path, files: Mapping[str, Any], intact: dict[str, _Checkpoint]
) -> Iterator[FileFinding]:
    """Check both checkpoints; `intact` then holds those that are, the newest first."""
    found = {}
    for name in (CHECKPOINT, PREVIOUS):
        if name in files or (folder / name).exists():
            check = partial(_check_checkpoint, folder, name, files.get(name), intact)
            found[name] = judged(folder, name, "", check)
    for one in found.values():
        if one.kind != DAMAGED:
            yield one
        elif intact:
            ((other, good),) = intact.items()
            which = "previous" if other == PREVIOUS else "newest"
            yield one._replace(text=f"{one.text}{which} good: step {good.step:,}")
        else:
            yield one._replace(text=f"{one.text}none is good: {_train_again(folder)}")


def _check_checkpoint(
    folder: Path, name: str, expected: Mapping[str, Any] | None, intact: dict[str, _Checkpoint]
) -> str:
    """Check that a checkpoint is intact, and the one that the run ended with.

    Raises:
        ValueError: it is not.
    """
    size_of(folder / name, folder)
    about = read(folder / name).about
    check_format("it", about.get("format", FORMATS[0]))
    step = about.get("step")
    if type(step) is not int:
        raise ValueError("does not say of which step it is")
    if expected is not None:
        check_file(folder / name, folder, expected)
    if "records" in about:  # those of a sweep's finished runs cannot be continued
        try:
            check_position(folder, about["records"])
        except DataError:
            if expected is None:  # of a run that has ended, the other file is reported
                raise
            return f"step {step:,}"
    intact[name] = _Checkpoint(step, about.get("records"))
    return f"step {step:,}"


def _records_of(folder: Path, newest: _Checkpoint) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the files that a checkpoint of a run without an end counts on, each with its check."""
    if newest.records is not None:
        for name, size in newest.records["events"].items():
            yield name, partial(_check_events, folder / name, folder, size)
        yield METRICS, partial(rows_before, folder / METRICS, newest.records["table"])


def _state(
    folder: Path, status: RunStatus, owner: str | None, intact: Mapping[str, _Checkpoint]
) -> tuple[str, str]:
    """Describe what became of the run, and the command that continues it, if there is one."""
    ended = status.status or "unknown"
    if owner is not None:
        return f"in use by {owner}", ""
    go_on = _resume(folder) if intact else ""
    if ended in FINISHED:
        state = ended + ("" if status.steps is None else f", {status.steps:,} updates")
        return state, "" if CHECKPOINT in intact or ended != "done" else go_on
    if ended == "running":
        ended = "killed" if lock_of(folder).exists() else "running, or killed"
    if lock_of(folder).parent != folder:
        return f"{ended}, as its sweep {shown(folder.parent)}", ""
    after = f" after step {next(iter(intact.values())).step:,}" if intact else ""
    return ended + after, go_on


def _resume(folder: Path) -> str:
    return command("train", override("resume", shown(folder)))


def _resume_sweep(sweep: Path) -> str:
    return f"its command with {quote(override('sweep.resume', shown(sweep)))}"


def _train_again(folder: Path) -> str:
    if lock_of(folder).parent == folder:
        return "train it again in another folder"
    return f"remove {shown(folder)} and train it again by {_resume_sweep(folder.parent)}"


def examine_sweep(folder: Path) -> FolderFindings:
    """Check the files of the sweep in `folder` that are of no single run."""
    remedy = f"{_resume_sweep(folder)} writes it again"
    contents: dict[str, Any] = {}

    def story() -> None:
        size_of(folder / STORY, folder)
        contents.update(read_story(folder))

    def table() -> None:
        size_of(folder / RUNS_TABLE, folder)
        files = contents.get("files")
        expected = files.get(RUNS_TABLE) if isinstance(files, dict) else None
        if isinstance(expected, dict) and isinstance(expected.get("bytes"), int):
            check_file(folder / RUNS_TABLE, folder, expected)

    found = [judged(folder, STORY, remedy, story), judged(folder, RUNS_TABLE, remedy, table)]
    found += _missing_runs(folder)
    for path in sorted((folder / SUMMARY).rglob(f"{EVENTS}*")):
        name = path.relative_to(folder).as_posix()
        found.append(judged(folder, name, remedy, partial(_check_events, path, folder)))
    owner = holder(folder / LOCK)
    return FolderFindings(folder, *_state_of_sweep(folder, contents, owner), found)


def _missing_runs(folder: Path) -> list[FileFinding]:
    """Find runs that are finished by the table, and not there."""
    try:
        text = read_small(folder / RUNS_TABLE).decode("utf-8", "replace")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except (OSError, ValueError, csv.Error):  # reported for the table itself
        return []
    here = {path.parent.name for path in folder.rglob(STATUS)}
    names = [str(row.get("run")) for row in rows if row.get("status") in FINISHED]
    text = f"the run is missing; {_resume_sweep(folder)} trains it again"
    return [FileFinding(DAMAGED, name, text) for name in names if name not in here]


def _state_of_sweep(folder: Path, story: Mapping[str, Any], owner: str | None) -> tuple[str, str]:
    status = str(story.get("status", "unknown"))
    if owner is not None:
        return f"in use by {owner}", ""
    runs = story.get("runs")
    left = runs.get("interrupted") if isinstance(runs, dict) else None
    if status == "done" and not left:
        return status, ""
    if status == "done":
        return f"done, but {left} of its runs interrupted", _resume_sweep(folder)
    return "killed" if status == "running" else status, _resume_sweep(folder)
