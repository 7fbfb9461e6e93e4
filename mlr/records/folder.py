"""A run's folder: claimed by exactly one run, described by status.json."""

from __future__ import annotations

import errno
import json
import math
import os
import platform
import shlex
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mlr.core.checks import DataError, InputError, PlaceError, UnreadableError, known
from mlr.core.durable import WriteError, atomic_write, create_exclusive
from mlr.records.format import (
    FORMAT,
    STATUSES,
    UNNAMED,
    UNSEALED,
    check_format,
    check_status,
    never_sealed,
)
from mlr.records.manifest import JSON, Entry, SealError, entries, read_small, sealed, unsealed

_TRACES = ("status.json", "metrics.csv", "checkpoint.safetensors")
_PACKAGES = {"mlr": "mlr-lab", "torch": "torch", "numpy": "numpy", "hydra": "hydra-core"}
_CAUSES = {
    errno.EACCES: "permission is denied",
    errno.EPERM: "permission is denied",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.ENOTDIR: "a file is in the way",
    errno.EEXIST: "a file is in the way",
    errno.ENAMETOOLONG: "the name is too long",
}
# json's own indentation costs ten times as much, and a sweep ends hundreds of runs
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


class RunFolder:
    """A folder that belongs to one run; `claim` is the only way to get one.

    path: the folder.
    status: what status.json says.
    files: by name, those that whoever wrote them knows to be complete.
    """

    def __init__(self, path: Path, status: dict[str, Any]):
        self.path = path
        self.status = status
        self.files: dict[str, Entry] = {}

    @classmethod
    def claim(
        cls, path: Path | str, seed: int | None = None, command: str | None = None, **fields: Any
    ) -> RunFolder:
        """Make the folder and its parents, and claim it by creating status.json in it.

        Of many claims at the same time, by threads, processes or machines, exactly one
        succeeds. Files of others (Hydra's) may be there already, a run may not.

        Args:
            path: the folder, new or without a run.
            seed: the run's seed, for status.json.
            command: the command line, for status.json; None takes this process's own.
            **fields: more entries for status.json, there from the start.

        Raises:
            InputError: the folder holds a run.
            PlaceError: it cannot be made or written; says why.
        """
        folder = Path(path)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if _holds_run(folder):
                raise _taken(folder)
            status = _first_status(seed, command) | fields
            create_exclusive(folder / "status.json", _json(status))
        except OSError as cause:
            claimed = isinstance(cause, WriteError) and cause.errno == errno.EEXIST
            raise _taken(folder) if claimed else _refused(folder, cause) from cause
        return cls(folder, status)

    @classmethod
    def reopen(cls, path: Path | str, command: str | None = None, **fields: Any) -> RunFolder:
        """Take up the run of a folder; the caller holds its lock.

        Args:
            path: the folder.
            command: the command line, for status.json; None takes this process's own.
            **fields: entries of status.json that change.

        Raises:
            InputError: it holds no run.
            WriteError: it cannot be written.
        """
        status: dict[str, Any] = {}
        with suppress(DataError):  # it is damaged, and written anew
            status = read_status(path)
        fresh = _first_status(status.get("seed"), command)
        again = {name: fresh[name] for name in ("format", "command", "host", "pid", "versions")}
        folder = cls(Path(path), status or fresh)
        sessions = [*status.get("sessions", []), fresh["started"]]
        folder.write_status("running", reason=None, **again, sessions=sessions, **fields)
        return folder

    @property
    def metrics(self) -> Path:
        """The table of logged steps."""
        return self.path / "metrics.csv"

    @property
    def checkpoint(self) -> Path:
        """The run as it was kept last; at its end, the final parameters."""
        return self.path / "checkpoint.safetensors"

    @property
    def checkpoint_before(self) -> Path:
        """What `checkpoint` was before its last replacement."""
        return self.path / "checkpoint-previous.safetensors"

    def write_status(self, status: str | None = None, sync: bool = True, **fields: Any) -> None:
        """Replace status.json, as one atomic step.

        Args:
            status: running, done, failed, diverged or interrupted; None keeps it. Anything
                but running sets `finished` to now, and `files` to what is there.
            sync: wait until it is on the disk.
            **fields: more entries, merged over those there; values that JSON can hold.
                A number that is not finite is written as "nan", "inf" or "-inf", which
                `float` reads, because JSON has none.

        Raises:
            InputError: an unknown status.
            WriteError: the file could not be written; the old one is still there.
        """
        changed = {**self.status, **fields}
        if status is not None:
            changed["status"] = known("status", status, STATUSES)
            changed["finished"] = None if status == "running" else _now()
            changed.pop("files", None)
            if status != "running":
                changed["files"] = entries(self.path, self.files)
        atomic_write(self.path / "status.json", _json(changed), sync)
        self.status = changed


def read_status(folder: Path | str) -> dict[str, Any]:
    """What status.json in `folder` says.

    Raises:
        InputError: there is none.
        FormatError: it is of another format.
        UnreadableError: it cannot be read.
        DataError: it is not, to the bit, what was written, says what no mlr writes, or is a link:
            one to another file of a run is not followed either.
    """
    path = Path(folder) / "status.json"
    try:
        if path.is_symlink():
            raise DataError(f"{path} is a link, which is not followed.")
        status = _parsed(read_small(path), path)
        check_format(path, status.get("format", UNNAMED))
        check_status(status)
    except DataError:
        raise
    except FileNotFoundError as cause:
        raise InputError(f"{folder} holds no run: status.json is missing.") from cause
    except OSError as cause:
        raise UnreadableError(f"{path} cannot be read: {cause.strerror}.") from cause
    except (ValueError, RecursionError) as cause:
        raise DataError(f"{path} is damaged: {cause}.") from cause
    return status


def _parsed(content: bytes, path: Path) -> dict[str, Any]:
    """The object in a status.json.

    Raises:
        FormatError: it is one of the format without a seal.
        ValueError: it is not what was written, or no JSON object.
    """
    try:
        status = json.loads(unsealed(content, JSON) + b"}")
    except SealError:
        older = _json_or_none(content)
        if never_sealed(older):
            check_format(path, older.get("format", UNSEALED))
        raise
    if not isinstance(status, dict):
        raise ValueError("it holds no JSON object")
    return status


def _json_or_none(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def check_links(folder: Path) -> None:
    """Refuse to go on writing where a link leads out of a run's or a sweep's folder.

    Raises:
        DataError: naming the link.
    """
    for entry in (*folder.glob("*"), *folder.glob(".*")):
        if entry.is_symlink():
            raise DataError(
                f"{entry} is a link, and continuing would change its target; "
                "put the file itself in its place."
            )


def _holds_run(folder: Path) -> bool:
    """Tell if a run, finished or not, has written into the folder."""
    names = [entry.name for entry in folder.iterdir()]
    return any(name in _TRACES or name.startswith("events.out.tfevents.") for name in names)


def _taken(folder: Path) -> InputError:
    """The refusal of a folder that holds a run."""
    return InputError(
        f"{folder} already holds a run, and a run is never overwritten. "
        "Choose another folder (hydra.run.dir=…), or move or delete that one."
    )


def _refused(folder: Path, cause: OSError) -> PlaceError:
    """The refusal of a folder that cannot be made or written: what, why, what to do."""
    why = _CAUSES.get(cause.errno or 0, cause.strerror or str(cause))
    where = cause.filename or folder
    at = "" if Path(where) in (folder, folder / "status.json") else f" at {where}"
    space = WriteError(folder, cause, getattr(cause, "needed", 0)).space
    return PlaceError(
        f"The run folder {folder} cannot be written: {why}{at}{space}. "
        "Choose another (hydra.run.dir=…)."
    )


def _first_status(seed: int | None, command: str | None) -> dict[str, Any]:
    """status.json of a run that begins now."""
    return {
        "format": FORMAT,
        "status": "running",
        "reason": None,
        "started": _now(),
        "finished": None,
        "seed": seed,
        "command": shlex.join(sys.orig_argv) if command is None else command,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "versions": dict(versions()),
    }


@lru_cache(maxsize=1)
def versions() -> Mapping[str, str | None]:
    """Versions of what decides a run's numbers; None for what is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name, package in _PACKAGES.items():
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            found[name] = None
    return found


def _now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _json(status: Mapping[str, Any]) -> bytes:
    """JSON that any language reads: UTF-8, an entry a line, without NaN; the last one its seal."""
    try:
        lines = [f"  {_encode(key)}: {_encode(value)}" for key, value in status.items()]
    except ValueError:  # a number that is not finite, which is rare
        return _json(_finite(status))
    # a path from the system may hold bytes that are no UTF-8
    body = ("{\n" + ",\n".join(lines)).encode("utf-8", errors="backslashreplace")
    return sealed(body, JSON)


def _finite(value: Any) -> Any:
    """`value` with non-finite numbers as text, all the way down."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
