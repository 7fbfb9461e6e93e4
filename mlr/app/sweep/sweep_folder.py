"""The folder of a sweep: claim or resume it, and write its runs.csv and sweep.yaml."""

from __future__ import annotations

import errno
import os
import shlex
import socket
import sys
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from mlr.app.run.existing_runs import clear, hold_folder, outcome_of, runs_in
from mlr.core.checks import InputError
from mlr.core.durable import WriteError, atomic_write, create_exclusive
from mlr.records.checksums import checksum
from mlr.records.identity import is_of_run
from mlr.records.outcome import Outcome
from mlr.records.run_folder import RUNS_TABLE, STORY, check_links
from mlr.records.settings import split_overrides
from mlr.records.status import FINISHED, FORMAT, now, versions
from mlr.records.sweep import read_story, write_runs_table

MOST_EXPLAINED = 1000
"""Runs explained at the end of a sweep; the files of more take seconds to read."""
DAMAGED = ""
"""In place of the hash of a run whose status.json cannot be read: it starts again."""


class SweepFolder:
    """The folder of a sweep, locked by this process.

    before: outcomes of runs that were there already, by folder.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self.started = now()
        self.before: dict[Path, Outcome] = {}
        self._hashes: dict[Path, str] = {}
        self._commands: list[dict[str, Any]] = []
        self._lock = lock

    @classmethod
    def claim(cls, path: Path) -> SweepFolder:
        """Claim the folder for a new sweep.

        Raises:
            InputError: it holds one already.
            OSError: it cannot be written.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            create_exclusive(path / RUNS_TABLE, b"")
        except WriteError as error:
            if error.errno == errno.EEXIST:
                raise _taken(path) from error
            raise
        return cls(path, hold_folder(path))

    @classmethod
    def resume(cls, path: Path) -> SweepFolder:
        """Resume the sweep that the folder holds.

        Raises:
            InputError: there is none, or another process works on it.
        """
        check_sweep(path)
        folder = cls(path, hold_folder(path))
        for run, status in runs_in(path).items():
            folder.before[run] = outcome_of(run, status)
            folder._hashes[run] = str(status.get("config_hash")) if status else DAMAGED
        with suppress(OSError, ValueError, KeyError, TypeError):  # it is replaced anyway
            folder._commands = list(read_story(path)["commands"])
        return folder

    def close(self) -> None:
        """Release the folder."""
        with suppress(OSError):  # closed already
            os.close(self._lock)

    def finished(self) -> dict[str, Outcome]:
        """Return the runs that need not be trained again, by the hash of their configuration."""
        ended = {run: one for run, one in self.before.items() if one.status in FINISHED}
        return {self._hashes[run]: one for run, one in ended.items()}

    def take_up(self, hashes: Collection[str]) -> dict[str, Path]:
        """Remove the unfinished runs of `hashes` from those before; return their folders by hash.

        Damaged runs are removed from the disk, too.
        """
        folders = {}
        for run, outcome in list(self.before.items()):
            expected = self._hashes[run]
            if outcome.status not in FINISHED and expected in {*hashes, DAMAGED}:
                del self.before[run]
                if expected == DAMAGED:
                    clear(run)
                else:
                    folders[expected] = run
        return folders

    def rows(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Return the rows of the table: earlier runs that are no job now, then the outcomes."""
        present = {outcome.folder for outcome in outcomes}
        return [*(one for run, one in self.before.items() if run not in present), *outcomes]

    def write(self, outcomes: Sequence[Outcome], status: str, equal: int) -> None:
        """Replace runs.csv and sweep.yaml, every run of the folder once.

        Args:
            outcomes: of the jobs of this process, each run once.
            status: running, done, failed or interrupted.
            equal: number of jobs that were equal to others.

        Raises:
            WriteError: a file could not be written.
        """
        rows = self.rows(outcomes)
        command = {
            "command": shlex.join(sys.orig_argv),
            "started": self.started,
            "ended": None if status == "running" else now(),
            "host": socket.gethostname(),
            "pid": os.getpid(),
        }
        story: dict[str, Any] = {
            "format": FORMAT,
            "status": status,
            "commands": [*self._commands, command],
            "runs": dict(Counter(outcome.status for outcome in rows)),
            "equal_jobs": equal,
            "overrides": _varied(rows),
        }
        if status == "running":  # first: no sweep that has ended has another table
            self._write_story(story)
        table = write_runs_table(self.path / RUNS_TABLE, [_row(outcome) for outcome in rows])
        if status != "running":
            self._write_story(story | {"files": {RUNS_TABLE: checksum(table)}})

    def _write_story(self, story: Mapping[str, Any]) -> None:
        text = yaml.safe_dump(story, sort_keys=False, allow_unicode=True, width=1000)
        atomic_write(self.path / STORY, text.encode("utf-8", "backslashreplace"), sync=False)


def check_free(path: Path) -> None:
    """Refuse a folder that holds a sweep."""
    if (path / RUNS_TABLE).exists():
        raise _taken(path)


def check_sweep(path: Path) -> None:
    """Refuse to resume a folder that holds no sweep."""
    if not (path / RUNS_TABLE).exists():
        raise InputError(
            f"sweep.resume={path} is not the folder of a sweep: it holds no {RUNS_TABLE}; "
            "give the folder that the sweep printed."
        )
    check_links(path)


def check_resume(path: Path, resume: str | None) -> None:
    """Refuse a hydra.sweep.dir that is another folder than the sweep to resume."""
    if resume is not None and Path(resume).resolve() != path.resolve():
        raise InputError(
            f"sweep.resume={resume} and hydra.sweep.dir={path} are different folders; "
            "leave hydra.sweep.dir out to resume."
        )


def check_versions(path: Path, allowed: Collection[str]) -> None:
    """Refuse to continue runs of other versions, unless `versions` or `versions.<name>` is allowed.

    Their numbers would differ.
    """
    own = versions()
    for status in runs_in(path).values():
        for name, version in (status.get("versions") or {}).items():
            if version != own.get(name) and not {"versions", f"versions.{name}"} & {*allowed}:
                raise InputError(
                    f"sweep.resume={path} was begun with {name} {version}, not {own.get(name)}; "
                    f"install that again, or accept other numbers by allow=[versions.{name}]."
                )


def _taken(path: Path) -> InputError:
    return InputError(
        f"{path} already holds a sweep; choose another hydra.sweep.dir, "
        f"or continue that one by sweep.resume={path}."
    )


def _row(outcome: Outcome) -> dict[str, object]:
    first = {"run": outcome.name, "status": outcome.status, **_overrides(outcome)}
    return first | {**outcome.metrics, "reason": outcome.reason or ""}


def _varied(rows: Sequence[Outcome]) -> dict[str, list[str]]:
    """Return every override with its values, in the order of their first appearance."""
    values: dict[str, dict[str, None]] = {}
    for row in rows:
        for key, value in _overrides(row).items():
            values.setdefault(key, {})[value] = None
    return {key: list(found) for key, found in values.items()}


def _overrides(outcome: Outcome) -> dict[str, str]:
    """Return the overrides that describe the run itself, by key."""
    return split_overrides(filter(is_of_run, outcome.overrides))
