"""Runs as they lie on disk: what compares, reports and explains them reads them here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import copysign, inf
from pathlib import Path
from typing import Any

import numpy as np

from mlr.core.checks import DataError, InputError, UnreadableError
from mlr.core.commandline import command
from mlr.records.aggregate import Series, read_series
from mlr.records.finding import STATUS, Found, below
from mlr.records.folder import read_status
from mlr.records.format import FormatError
from mlr.records.manifest import check_entry, listed
from mlr.records.parsed_once import read_yaml
from mlr.records.settings import texts

DAMAGED, UNREADABLE, OTHER = "damaged", "unreadable", "of another format"
"""Statuses of a run that is left out: a file is not what was written, cannot be read, or is of
another format. It has no share in any number."""
_LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
_METRICS, _CONFIG, _HYDRA = "metrics.csv", ".hydra/config.yaml", ".hydra/hydra.yaml"


@dataclass(frozen=True)
class Recorded:
    """A run's folder and its status.json; the larger files are read when they are asked for.

    folder: of the run.
    entries: everything that status.json says.
    changed: names of files that are not what was written: no word of them is believed.
    """

    folder: Path
    entries: Mapping[str, Any]
    changed: Collection[str] = ()

    @property
    def name(self) -> str:
        """The folder's own name, as in `sigmoid+se,seed=0`."""
        return self.folder.name

    @property
    def status(self) -> str:
        """running, done, failed, diverged or interrupted; another where `changed` is not empty."""
        return str(self.entries.get("status"))

    @property
    def pair(self) -> str:
        """Head and loss, as in `sigmoid+se`; empty where status.json names none."""
        return str(self.entries.get("pair") or "")

    @property
    def seed(self) -> int | None:
        """The seed in the configuration; None without one."""
        return self.entries.get("seed")

    @property
    def overrides(self) -> Sequence[str]:
        """As typed."""
        return self.entries.get("overrides") or []

    @cached_property
    def typed(self) -> Mapping[str, str]:
        """The overrides by key."""
        return texts(self.overrides)

    @cached_property
    def finals(self) -> dict[str, float]:
        """Final numbers by tag, as written; empty where it was not trained to an end."""
        found = self.entries.get("metrics") or {}
        return {tag: float(value) for tag, value in found.items()}

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Final numbers to compute with: infinite beyond float32, as in `series`."""
        return {tag: _in_float32(value) for tag, value in self.finals.items()}

    @property
    def anatomy(self) -> Mapping[str, Any] | None:
        """Results of `mlr.training.final_diagnostics`; None if there are none."""
        return self.entries.get("anatomy") or None

    @cached_property
    def series(self) -> Series | None:
        """metrics.csv; None where there is none, and of a damaged run."""
        return None if self.changed else read_series(self.folder / _METRICS)

    @cached_property
    def config(self) -> dict[str, Any]:
        """`.hydra/config.yaml`; empty where there is none that can be read."""
        return {} if _CONFIG in self.changed else _yaml(self.folder / _CONFIG)

    @cached_property
    def choices(self) -> Mapping[str, str | None]:
        """The option chosen of each group, as in `model` → `linear`; empty where none is told."""
        found = {} if _HYDRA in self.changed else _yaml(self.folder / _HYDRA)
        for key in ("hydra", "runtime", "choices"):
            found = _mapping(found.get(key))
        return {str(group): None if one is None else str(one) for group, one in found.items()}


def read_runs(place: Path | str) -> list[Recorded]:
    """The run in a folder, or all runs anywhere below it, in the order of their paths.

    Those that cannot be read are among them, with `changed` and a reason.

    Args:
        place: a run's folder, a sweep's, or one above them, as `runs`.

    Raises:
        InputError: there is no such folder, or it holds no run.
        DataError: no run there can be read.
    """
    return read_all([place])


def read_all(places: Sequence[Path | str]) -> list[Recorded]:
    """The runs of several folders, as `read_runs` has them, each once."""
    found: dict[Path, Recorded] = {}
    for place in places:
        for run in _runs_of(Path(place)):
            found.setdefault(run.folder.resolve() if len(places) > 1 else run.folder, run)
    runs = list(found.values())
    if all(run.changed for run in runs):
        unreadable = all(run.status == UNREADABLE for run in runs)
        raise (UnreadableError if unreadable else DataError)(remedied(runs[0], places[0]))
    return runs


def remedied(run: Recorded, place: Path | str) -> str:
    """Say why a run is left out, and name the command that says more about a damaged one.

    Args:
        run: one that is left out.
        place: its folder, or one above it.
    """
    reason = str(run.entries["reason"])
    if run.status != DAMAGED:
        return reason
    return f"{reason.rstrip('.')}; {command('verify', str(place))} says more."


def _runs_of(place: Path) -> list[Recorded]:
    if not place.is_dir():
        raise InputError(f"{place} is not a folder; give a folder of runs, for example runs.")
    found = [_recorded(one) for one in _run_folders(place)]
    if not found:
        raise InputError(f"{place} holds no run; train one with `{command('train')}`.")
    return found


def _run_folders(top: Path) -> list[Found]:
    """`top` alone if it is a run's, else all runs below it, in the order of their paths."""
    folders = below(top)
    first = next(folders)
    if STATUS in first.names:
        return [first]
    return sorted(found for found in (first, *folders) if found.is_run)


def _recorded(found: Found) -> Recorded:
    """A run; of one that is left out its status.json is told, if that is sound."""
    folder = found.path
    if found.problem:
        return _left_out(folder, {STATUS: UnreadableError(found.problem)})
    for _ in range(2):  # once more, for somebody may have begun to go on with it in between
        try:
            entries = read_status(folder)
        except InputError as error:
            return _left_out(folder, {STATUS: error})
        changed = _changed(folder, entries)
        if not changed:
            return Recorded(folder, entries)
    return _left_out(folder, changed, entries)


def _left_out(
    folder: Path, changed: Mapping[str, InputError], entries: Mapping[str, Any] | None = None
) -> Recorded:
    """A run of which files, at least one, are not what was written, and why."""
    first = next(iter(changed.values()))
    kinds: Mapping[type, str] = {FormatError: OTHER, UnreadableError: UNREADABLE}
    about = {"status": kinds.get(type(first), DAMAGED), "reason": str(first)}
    return Recorded(folder, {**(entries or {}), **about}, changed)


def _changed(folder: Path, entries: Mapping[str, Any]) -> dict[str, InputError]:
    """Of the files that are read here those that are not as status.json lists them, and why."""
    files, found = listed(entries), dict[str, InputError]()
    for name in (_METRICS, _CONFIG, _HYDRA):
        path = folder / name
        try:
            if name in files:
                check_entry(path, folder, files[name])
        except FileNotFoundError:
            found[name] = DataError(f"{path} is missing.")
        except OSError as error:
            found[name] = UnreadableError(f"{path} cannot be read: {error.strerror}.")
        except ValueError:
            found[name] = DataError(f"{path} is not what was written.")
    return found


def _in_float32(value: float) -> float:
    """Return `value`, infinite where a float32 would be, so that it has a square."""
    return value if abs(value) <= _LARGEST_FLOAT32 or value != value else copysign(inf, value)


def _mapping(found: Any) -> dict[str, Any]:
    """Return `found` if it is a mapping, else an empty one: others may have written it."""
    return found if isinstance(found, dict) else {}


def _yaml(path: Path) -> dict[str, Any]:
    try:
        found = read_yaml(path)
    except InputError:
        return {}
    return _mapping(found)
