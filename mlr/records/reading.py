"""Runs as they lie on disk: what compares, reports and explains them reads them here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mlr.checks import DataError, InputError
from mlr.commandline import command
from mlr.records.aggregate import Series, read_series
from mlr.records.folder import read_status
from mlr.records.manifest import check_entry, listed
from mlr.records.parsed_once import read_yaml
from mlr.records.settings import texts

DAMAGED = "damaged"
"""Status of a run of which a file is not what was written; it has no share in any number."""
_STATUS, _METRICS = "status.json", "metrics.csv"
_CONFIG, _HYDRA = ".hydra/config.yaml", ".hydra/hydra.yaml"
_PARTS = ("start", "confidence", "classes", "boundary", "logits", "data")
"""Of an anatomy: what holds numbers by name."""


@dataclass(frozen=True)
class Recorded:
    """A run's folder and its status.json; the larger files are read when they are asked for.

    What is of another kind than mlr writes counts as not there: others may have written it.

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
        """running, done, failed, diverged, interrupted, or damaged: then `changed` is not empty."""
        return str(self.entries.get("status"))

    @property
    def pair(self) -> str:
        """Head and loss, as in `sigmoid+se`; empty where status.json names none."""
        return str(self.entries.get("pair") or "")

    @property
    def seed(self) -> int | None:
        """The seed in the configuration; None without one."""
        seed = self.entries.get("seed")
        return seed if isinstance(seed, int) else None

    @cached_property
    def overrides(self) -> Sequence[str]:
        """As typed."""
        typed = self.entries.get("overrides")
        return [str(one) for one in typed] if isinstance(typed, (list, tuple)) else []

    @cached_property
    def typed(self) -> Mapping[str, str]:
        """The overrides by key."""
        return texts(self.overrides)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Final numbers by tag; empty where it was not trained to an end."""
        found = {}
        for tag, value in _mapping(self.entries.get("metrics")).items():
            with suppress(TypeError, ValueError, OverflowError):
                found[tag] = float(value)
        return found

    @cached_property
    def anatomy(self) -> Mapping[str, Any] | None:
        """The measurements of `mlr.training.anatomy` over the training data; None without any."""
        found = _mapping(self.entries.get("anatomy"))
        sound = {key: _numbers(value) for key, value in found.items() if key not in _PARTS}
        sound |= {
            part: {key: _row(key, value) for key, value in found[part].items()}
            for part in _PARTS
            if isinstance(found.get(part), dict)
        }
        return sound or None

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

    Args:
        place: a run's folder, a sweep's, or one above them, as `runs`.

    Raises:
        InputError: there is no such folder, or it holds no run.
        DataError: every run there is damaged.
    """
    folder = Path(place)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give a folder of runs, for example runs.")
    alone = (folder / _STATUS).exists()
    paths = [folder / _STATUS] if alone else sorted(folder.rglob(_STATUS))
    found = [_recorded(path.parent) for path in paths]
    if not found:
        raise InputError(f"{folder} holds no run; train one with `{command('train')}`.")
    if all(run.changed for run in found):
        raise DataError(remedied(found[0], folder))
    return found


def remedied(run: Recorded, place: Path | str) -> str:
    """Say what is damaged about a run, and name the command that says more.

    Args:
        run: a damaged one.
        place: its folder, or one above it.
    """
    reason = str(run.entries["reason"]).rstrip(".")
    return f"{reason}; {command('verify', str(place))} says more."


def read_all(places: Iterable[Path | str]) -> list[Recorded]:
    """The runs of several folders, as `read_runs` has them, each once."""
    found: dict[Path, Recorded] = {}
    for place in places:
        for run in read_runs(place):
            found.setdefault(run.folder.resolve(), run)
    return list(found.values())


def _recorded(folder: Path) -> Recorded:
    """A run; a damaged one is known by what its status.json says, if that is sound."""
    for _ in range(2):  # once more, for somebody may have begun to go on with it in between
        try:
            entries = read_status(folder)
        except InputError as error:
            return Recorded(folder, {"status": DAMAGED, "reason": str(error)}, [_STATUS])
        changed = _changed(folder, entries)
        if not changed:
            return Recorded(folder, entries)
    about = {"status": DAMAGED, "reason": next(iter(changed.values()))}
    return Recorded(folder, {**entries, **about}, changed)


def _changed(folder: Path, entries: Mapping[str, Any]) -> dict[str, str]:
    """Of the files that are read here those that are not as status.json lists them, and why."""
    files, found = listed(entries), {}
    for name in (_METRICS, _CONFIG, _HYDRA):
        path = folder / name
        try:
            if name in files:
                check_entry(path, folder, files[name])
        except FileNotFoundError:
            found[name] = f"{path} is missing."
        except OSError as error:
            found[name] = f"{path} cannot be read: {error.strerror}."
        except ValueError:
            found[name] = f"{path} is not what was written."
    return found


def _mapping(found: Any) -> dict[str, Any]:
    """Return `found` if it is a mapping, else an empty one: others may have written it."""
    return found if isinstance(found, dict) else {}


def _numbers(found: Any) -> Any:
    """A number, or lists of them; None in place of anything else."""
    if isinstance(found, list):
        return [_numbers(one) for one in found]
    return found if isinstance(found, (int, float)) else None


def _row(key: str, found: Any) -> Any:
    """Numbers, or the labels of classes as text."""
    if key == "labels" and isinstance(found, list):
        return [str(one) for one in found]
    return _numbers(found)


def _yaml(path: Path) -> dict[str, Any]:
    try:
        found = read_yaml(path)
    except InputError:
        return {}
    return _mapping(found)
