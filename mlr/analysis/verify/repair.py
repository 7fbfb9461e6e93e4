"""What can be done about damaged files: event files are mended, leftovers removed."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from dataclasses import replace
from itertools import chain, count
from pathlib import Path

from mlr.analysis.verify.findings import DAMAGED, MENDED, NOTE, Examined, Finding, content_of
from mlr.analysis.verify.run import TEMPORARY, lock_of
from mlr.core.checks import InputError
from mlr.core.durable import WriteError, atomic_write, create_exclusive, remove
from mlr.core.locks import hold
from mlr.records.continuing import PREFIX
from mlr.records.eventfile import repaired, spans
from mlr.records.folder import RunFolder, read_status


def mend(examined: Examined) -> Examined:
    """Do what can be done, while nobody else can take up what is in the folder.

    Raises:
        WriteError: a file cannot be written; what was there is there.
    """
    if not any(_can_be_mended(one) for one in examined.found):
        return examined
    try:
        lock = hold(lock_of(examined.place), f"process {os.getpid()} on {socket.gethostname()}")
    except BlockingIOError as error:
        found = [_put_off(one, str(error)) for one in examined.found]
        return replace(examined, found=found)
    try:
        found = [
            _mended(examined.place, one) if _can_be_mended(one) else one for one in examined.found
        ]
    finally:
        os.close(lock)
    return replace(examined, found=found)


def _can_be_mended(one: Finding) -> bool:
    return one.kind == NOTE or (one.kind == DAMAGED and _is_events(one.name))


def _is_events(name: str) -> bool:
    return name.rpartition("/")[2].startswith(PREFIX)


def _put_off(one: Finding, owner: str) -> Finding:
    if not _can_be_mended(one):
        return one
    return one._replace(text=f"{one.text}, but not while {owner} is at work")


def _mended(folder: Path, one: Finding) -> Finding:
    path = folder / one.name
    if TEMPORARY.fullmatch(path.name):
        remove(path)
        return Finding(MENDED, one.name, "removed")
    try:
        content = content_of(path, folder)  # once more: now nobody writes it
    except (OSError, ValueError):
        return one
    found = list(spans(content))
    lost = sum(not span.whole for span in found)
    if lost == len(found):  # no record is left: whatever it is, it stays
        return one
    fresh = repaired(content)
    original = ""
    if fresh != content:
        original = f"; the original is {_beside(path, content).name}"
        atomic_write(path, fresh)
    _tell_size(folder, one.name, len(fresh))
    kept = f"{len(found) - lost:,} records saved, {lost:,} lost"
    return Finding(MENDED, one.name, f"{kept if lost else 'its end is not there'}{original}")


def _beside(path: Path, content: bytes) -> Path:
    """A copy of a damaged file, under a name that TensorBoard does not take for an event file."""
    name = path.name.replace("tfevents.", "")
    for ending in chain([""], (f"-{number}" for number in count(2))):
        copy = path.with_name(f"{name}.damaged{ending}")
        try:
            create_exclusive(copy, content)
        except WriteError as error:
            if error.errno != errno.EEXIST:
                raise
        else:
            return copy
    raise AssertionError


def _tell_size(folder: Path, name: str, size: int) -> None:
    """Let status.json tell of the file as it is now."""
    with suppress(InputError):  # it is damaged itself, or there is none: a sweep's summary
        run = RunFolder(folder, read_status(folder))
        files = run.status.get("files") or {}
        if name in files and files[name].get("bytes") != size:
            run.write_status(files={**files, name: {"bytes": size}})
