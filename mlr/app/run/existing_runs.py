"""Runs that a folder holds already: read them, or clear the folder of an unfinished one."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mlr.core.checks import InputError, UnreadableError
from mlr.core.locks import hold
from mlr.records.outcome import Outcome
from mlr.records.run_folder import (
    CHECKPOINT,
    EVENTS,
    HYDRA,
    INPUTS,
    LOCK,
    METRICS,
    PREVIOUS,
    STATUS,
    read_status,
)
from mlr.records.status import FINISHED, FormatError, RunStatus

OURS = (METRICS, LOCK, INPUTS, CHECKPOINT, PREVIOUS)


def outcome_of(folder: Path, status: Mapping[str, Any], number: int = 0) -> Outcome:
    """Return how the run in `folder` ended, by its status.json."""
    metrics = {tag: float(value) for tag, value in (status.get("metrics") or {}).items()}
    ended = str(status.get("status"))
    # nothing runs there any more, or nobody would ask; and a power failure can leave less
    # than status.json lists
    if ended in ("running", "None") or (ended in FINISHED and not _has_parameters(folder)):
        ended = "interrupted"
    return Outcome(
        folder.name,
        status.get("overrides") or [],
        ended,
        status.get("reason"),
        folder,
        metrics if ended in FINISHED else {},
        pair=status.get("pair") or "",
        number=number,
    )


def outcome_at(folder: Path, expected: str, number: int) -> Outcome | None:
    """Return how the run in `folder` ended; None if there is none of the expected hash."""
    status = read_or_none(folder)
    return outcome_of(folder, status, number) if status.get("config_hash") == expected else None


def clear_unfinished(folder: Path, expected: str) -> None:
    """Clear `folder` of an unfinished run of the expected hash, or of a damaged one.

    Other runs are left; the claim of the folder is then refused.
    """
    status = read_or_none(folder)
    same = status.get("config_hash") == expected
    if (same and outcome_of(folder, status).status not in FINISHED) or _is_damaged(folder):
        clear(folder)


def clear(folder: Path, but: Collection[str] = ()) -> None:
    """Remove what a run wrote into its folder, and the folder if it is empty then.

    status.json last: until then a killed clearing is still seen as an unfinished run. Files named
    in `but` are left.
    """
    if not folder.is_dir():
        return
    if HYDRA not in but:
        shutil.rmtree(folder / HYDRA, ignore_errors=True)
    for path in folder.iterdir():
        if _is_ours(path.name) and path.name not in but:
            path.unlink()
    if STATUS not in but:
        (folder / STATUS).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def hold_folder(folder: Path) -> int:
    """Keep other processes from a run or a sweep until the descriptor returned is closed.

    Raises:
        InputError: another process trains it.
        WriteError: the folder cannot be written.
    """
    try:
        return hold(folder / LOCK, f"process {os.getpid()} on {socket.gethostname()}")
    except BlockingIOError as error:
        raise InputError(f"{folder} is trained by {error}; wait for its end, or end it.") from error


def runs_in(sweep: Path) -> dict[Path, RunStatus]:
    """Return status.json of every run below `sweep`, by folder, as `read_or_none` reads it."""
    return {path.parent: read_or_none(path.parent) for path in sorted(sweep.rglob(STATUS))}


def read_or_none(folder: Path) -> RunStatus:
    """Return status.json of a folder; empty if there is none that is sound.

    Raises:
        FormatError: it is of another format, and no run that may be cleared.
        UnreadableError: it cannot be read, likewise.
    """
    try:
        return read_status(folder)
    except (FormatError, UnreadableError):
        raise
    except InputError:
        return RunStatus()


def _has_parameters(folder: Path) -> bool:
    try:
        return (folder / CHECKPOINT).stat().st_size > 0
    except OSError:
        return False


def _is_damaged(folder: Path) -> bool:
    """Return True if the folder holds a run, and nothing else, without a sound status.json.

    A process was killed while it made it, or a power failure left only what was written later.
    """
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    whole = all(_is_ours(name) or name in (STATUS, HYDRA) for name in names)
    return not read_or_none(folder) and (STATUS in names or (whole and names not in ([], [HYDRA])))


def _is_ours(name: str) -> bool:
    """Return True if a file is one that a run writes, status.json aside."""
    own = name in OURS or name.startswith(EVENTS)
    return own or (name.startswith(".") and name.endswith(".tmp"))
