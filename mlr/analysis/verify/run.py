"""A run's folder: each of its files, and where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

from mlr.analysis.verify.findings import DAMAGED, NOTE, Examined, Finding, content_of, judged
from mlr.core.checks import DataError
from mlr.core.console import shown
from mlr.core.locks import holder
from mlr.core.shell_quoting import override, train_command
from mlr.records.container import decode
from mlr.records.continuing import METRICS, PREFIX, check_position
from mlr.records.eventfile import spans
from mlr.records.file_names import CHECKPOINT, LOCK, PREVIOUS, RUNS_TABLE, STATUS
from mlr.records.folder import read_status
from mlr.records.format import check_format
from mlr.records.manifest import LISTED, Entry, check_entry, listed, size_of
from mlr.records.outcome import FINISHED
from mlr.records.table import rows_before

REPAIR = "--repair keeps all its other records"
TEMPORARY = re.compile(r"\..+\.\d+\.\d+\.tmp", re.DOTALL)


class Kept(NamedTuple):
    """What a good checkpoint tells."""

    step: int
    records: Mapping[str, Any] | None
    """where the run's records ended then"""


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
    for told_already in (f"{folder / STATUS} is damaged: ", f"{folder / STATUS} "):
        status = status._replace(text=status.text.removeprefix(told_already))
    files = _listed(told)
    owner = holder(lock_of(folder)) if told.get("status") == "running" else None
    kept: dict[str, Kept] = {}
    found = [status, *_checkpoints(folder, files, kept)]
    if status.kind == DAMAGED and kept and lock_of(folder).parent == folder:
        again = f"{status.text.partition('; ')[0]}; {_resume(folder)} writes it again"
        found[0] = status._replace(text=again)
    for name in dict.fromkeys([*files, *_events(folder)]):
        if name.startswith(PREFIX):
            check = partial(check_events, folder / name, folder, files.get(name), owner)
            found.append(judged(name, REPAIR, check))
        elif name not in (CHECKPOINT, PREVIOUS):
            found.append(judged(name, lost, partial(_check, folder / name, folder, files[name])))
    if METRICS not in files and kept:  # it has not ended
        found.append(judged(METRICS, lost, partial(_check_rows, folder, next(iter(kept.values())))))
    if owner is None:
        found += _left_over(folder)
    return Examined(folder, *_state(folder, told, owner, kept), found)


def lock_of(folder: Path) -> Path:
    """The lock that whoever trains the run holds: its own, or its sweep's."""
    sweep = folder.parent
    return (sweep if (sweep / RUNS_TABLE).exists() else folder) / LOCK


def _listed(status: Mapping[str, Any]) -> dict[str, Entry]:
    """Files that status.json tells of, as far as they are a run's; it may be anybody's."""
    return {
        name: entry
        for name, entry in listed(status).items()
        if name in LISTED or (name.startswith(PREFIX) and not set(name) & set("/\\\0"))
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
        raise ValueError("is not an event file")
    if bad:
        places = ", ".join(f"{span.start:,} to {span.end:,}" for span in bad[:3])
        more = f" and {len(bad) - 3} more places" if len(bad) > 3 else ""
        raise ValueError(f"{len(bad)} of {len(found)} records damaged, bytes {places}{more}")
    if entry is not None:
        check_entry(path, folder, entry)
    return f"{len(found):,} records"


def _checkpoints(
    folder: Path, files: Mapping[str, Entry], kept: dict[str, Kept]
) -> Iterator[Finding]:
    """Both of them; `kept` then holds what each that is good tells, the newest first."""
    found = {}
    for name in (CHECKPOINT, PREVIOUS):
        if name in files or (folder / name).exists():
            check = partial(_check_checkpoint, folder / name, folder, files.get(name), kept)
            found[name] = judged(name, "", check)
    for one in found.values():
        if one.kind != DAMAGED:
            yield one
        elif kept:
            ((other, good),) = kept.items()
            which = "previous" if other == PREVIOUS else "newest"
            yield one._replace(text=f"{one.text}{which} good: step {good.step:,}")
        else:
            yield one._replace(text=f"{one.text}none is good: {_anew(folder)}")


def _check_checkpoint(path: Path, folder: Path, entry: Entry | None, kept: dict[str, Kept]) -> str:
    """Raise ValueError unless it is whole, and the one that the run ended with."""
    about = decode(bytearray(content_of(path, folder))).about
    check_format("it", about.get("format"))
    step = about.get("step")
    if type(step) is not int:
        raise ValueError("does not say of which step it is")
    try:
        if entry is not None:
            check_entry(path, folder, entry)
    except ValueError as error:
        raise ValueError(f"is another one, of step {step:,}, than the run ended with") from error
    records = about.get("records")  # without, it cannot be gone on from: of a sweep's ended run
    try:
        if "records" in about:
            check_position(folder, records)
        kept[path.name] = Kept(step, records)
    except ValueError:
        if entry is None:  # of a run that has ended, the other file is told of
            raise
    return f"step {step:,}"


def _check_rows(folder: Path, kept: Kept) -> str:
    """Raise ValueError unless the table's rows are those behind which a checkpoint was taken."""
    size_of(folder / METRICS, folder)
    if kept.records is None:
        return ""
    try:
        rows_before(folder / METRICS, kept.records["table"])
    except DataError as error:
        raise ValueError(f"has other rows than when step {kept.step:,} was saved") from error
    return f"rows before step {kept.step:,}"


def _left_over(folder: Path) -> Iterator[Finding]:
    for place in (folder, folder / ".hydra"):
        if not place.is_dir() or (place.is_symlink() and place != folder):
            continue
        for path in sorted(place.iterdir()):
            if TEMPORARY.fullmatch(path.name) and not path.is_dir():
                name = path.relative_to(folder).as_posix()
                yield Finding(NOTE, name, "left by a writer that was killed; --repair removes it")


def _state(
    folder: Path, status: Mapping[str, Any], owner: str | None, kept: Mapping[str, Kept]
) -> tuple[str, str]:
    """What became of the run, and the command with which it goes on, if it is one."""
    ended, done = str(status.get("status", "unknown")), status.get("steps")
    if owner is not None:
        return f"in use by {owner}", ""
    go_on = _resume(folder) if kept else ""
    if ended in FINISHED:
        state = ended + (f", {done:,} updates" if isinstance(done, int) else "")
        return state, "" if CHECKPOINT in kept or ended != "done" else go_on
    if ended == "running":
        ended = "killed" if lock_of(folder).exists() else "running, or killed"
    if lock_of(folder).parent != folder:
        return f"{ended}, as its sweep {shown(folder.parent)}", ""
    after = f" after step {next(iter(kept.values())).step:,}" if kept else ""
    return ended + after, go_on


def _resume(folder: Path) -> str:
    return train_command(override("resume", shown(folder)))


def resume_sweep(sweep: Path) -> str:
    """How a sweep is gone on with."""
    return f"its command with {quote(override('sweep.resume', shown(sweep)))}"


def _anew(folder: Path) -> str:
    if lock_of(folder).parent == folder:
        return "train it again in another folder"
    return f"remove {shown(folder)} and train it again by {resume_sweep(folder.parent)}"
