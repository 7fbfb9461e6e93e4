"""A run's folder: each of its files, and where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any

from mlr.app.console import shown
from mlr.app.outcome import FINISHED
from mlr.app.runs_begun import CHECKPOINT, LOCK, PREVIOUS, STATUS
from mlr.app.sweep_folder import TABLE
from mlr.app.verify.findings import (
    DAMAGED,
    NOTE,
    Examined,
    Finding,
    check_entry,
    content_of,
    judged,
    size_of,
)
from mlr.locks import holder
from mlr.records.container import decode
from mlr.records.continuing import PREFIX, check_position
from mlr.records.eventfile import spans
from mlr.records.folder import read_status
from mlr.records.manifest import LISTED, Entry

REPAIR = "--repair keeps all its other records"
TEMPORARY = re.compile(r"\..+\.\d+\.\d+\.tmp", re.DOTALL)


def examine(folder: Path) -> Examined:
    """Look at every file of the run in `folder`; nothing is changed."""
    lost = f"restore it from a copy, or {_anew(folder)}"
    told: dict[str, Any] = {}

    def read() -> str:
        size_of(folder / STATUS, folder)
        (folder / STATUS).open("rb").close()  # unreadable is not damaged
        told.update(read_status(folder))
        return ""

    status = judged(STATUS, lost, read)
    if status.kind == DAMAGED:  # the path is told already
        status = status._replace(text=status.text.removeprefix(f"{folder / STATUS} is damaged: "))
    files = _listed(told)
    owner = holder(lock_of(folder)) if told.get("status") == "running" else None
    steps: dict[str, int] = {}
    found = [status, *_checkpoints(folder, files, steps)]
    if status.kind == DAMAGED and steps and lock_of(folder).parent == folder:
        again = f"{status.text.partition('; ')[0]}; {_resume(folder)} writes it anew"
        found[0] = status._replace(text=again)
    for name in dict.fromkeys([*files, *_events(folder)]):
        if name.startswith(PREFIX):
            check = partial(check_events, folder / name, folder, files.get(name), owner)
            found.append(judged(name, REPAIR, check))
        elif name not in (CHECKPOINT, PREVIOUS):
            found.append(judged(name, lost, partial(_check, folder / name, folder, files[name])))
    if owner is None:
        found += _left_over(folder)
    return Examined(folder, *_state(folder, told, owner, steps), found)


def lock_of(folder: Path) -> Path:
    """The lock that whoever trains the run holds: its own, or its sweep's."""
    sweep = folder.parent
    return (sweep if (sweep / TABLE).exists() else folder) / LOCK


def _listed(status: Mapping[str, Any]) -> dict[str, Entry]:
    """Files that status.json tells of, as far as they are a run's; it may be anybody's."""
    files = status.get("files")
    return {
        name: entry
        for name, entry in (files.items() if isinstance(files, dict) else ())
        if name in LISTED or (name.startswith(PREFIX) and not set(name) & set("/\\\0"))
        if isinstance(entry, dict) and isinstance(entry.get("bytes"), int)
    }


def _events(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob(f"{PREFIX}*"))


def _check(path: Path, folder: Path, entry: Entry) -> str:
    check_entry(path, folder, entry)
    return ""


def check_events(path: Path, folder: Path, entry: Entry | None, owner: str | None) -> str:
    """Raise ValueError unless all records are whole, and none behind them is missing."""
    content = content_of(path, folder)
    found = list(spans(content))
    bad = [span for span in found if not span.whole]
    if owner is not None and bad and bad[-1].end == len(content):
        bad.pop()  # it is being written
    if bad and len(bad) == len(found):
        raise ValueError("is no event file")
    if bad:
        places = ", ".join(f"{span.start:,} to {span.end:,}" for span in bad[:3])
        more = f" and {len(bad) - 3} more places" if len(bad) > 3 else ""
        raise ValueError(f"{len(bad)} of {len(found)} records damaged, bytes {places}{more}")
    if entry is not None:
        check_entry(path, folder, entry)
    return f"{len(found):,} records"


def _checkpoints(
    folder: Path, files: Mapping[str, Entry], steps: dict[str, int]
) -> Iterator[Finding]:
    """Both of them; `steps` then holds that of each that is good."""
    found = {}
    for name in (CHECKPOINT, PREVIOUS):
        if name in files or (folder / name).exists():
            check = partial(_check_checkpoint, folder / name, folder, files.get(name), steps)
            found[name] = judged(name, "", check)
    for one in found.values():
        if one.kind != DAMAGED:
            yield one
        elif steps:
            ((other, step),) = steps.items()
            good = "previous" if other == PREVIOUS else "newest"
            yield one._replace(text=f"{one.text}{good} good: step {step:,}")
        else:
            yield one._replace(text=f"{one.text}none is good: {_anew(folder)}")


def _check_checkpoint(path: Path, folder: Path, entry: Entry | None, steps: dict[str, int]) -> str:
    """Raise ValueError unless it is whole, and the one that the run ended with."""
    about = decode(bytearray(content_of(path, folder))).about
    step = about.get("step")
    if type(step) is not int:
        raise ValueError("does not say of which step it is")
    try:
        if entry is not None:
            check_entry(path, folder, entry)
    except ValueError as error:
        raise ValueError(f"is another one, of step {step:,}, than the run ended with") from error
    steps[path.name] = step
    try:
        if "records" in about:  # else it cannot be gone on from: that of a sweep's run at its end
            check_position(folder, about["records"])
    except ValueError:
        del steps[path.name]
        if entry is None:  # of a run that has ended, the other file is told of
            raise
    return f"step {step:,}"


def _left_over(folder: Path) -> Iterator[Finding]:
    for place in (folder, folder / ".hydra"):
        if not place.is_dir() or (place.is_symlink() and place != folder):
            continue
        for path in sorted(place.iterdir()):
            if TEMPORARY.fullmatch(path.name) and not path.is_dir():
                name = path.relative_to(folder).as_posix()
                yield Finding(NOTE, name, "left by a writer that was killed; --repair removes it")


def _state(
    folder: Path, status: Mapping[str, Any], owner: str | None, steps: Mapping[str, int]
) -> tuple[str, str]:
    """What became of the run, and the command with which it goes on, if it is one."""
    ended, done = str(status.get("status", "unknown")), status.get("steps")
    if owner is not None:
        return f"in use by {owner}", ""
    go_on = _resume(folder) if steps else ""
    if ended in FINISHED:
        state = ended + (f", {done:,} updates" if isinstance(done, int) else "")
        return state, "" if CHECKPOINT in steps or ended != "done" else go_on
    if ended == "running":
        ended = "killed" if lock_of(folder).exists() else "running, or killed"
    if lock_of(folder).parent != folder:
        return f"{ended}, as its sweep {shown(folder.parent)}", ""
    after = f" after step {next(iter(steps.values())):,}" if steps else ""
    return ended + after, go_on


def _resume(folder: Path) -> str:
    return f"python scripts/train.py resume={quote(shown(folder))}"


def resume_sweep(sweep: Path) -> str:
    """How a sweep is gone on with."""
    return f"python scripts/train.py -m … sweep.resume={quote(shown(sweep))}"


def _anew(folder: Path) -> str:
    if lock_of(folder).parent == folder:
        return "train it anew in another folder"
    return f"remove {shown(folder)} and train it anew by -m … sweep.resume={shown(folder.parent)}"
