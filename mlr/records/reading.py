"""Reading of runs from their folders, for all that compares, reports and explains them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import copysign, inf
from pathlib import Path
from typing import Any

import numpy as np

from mlr.core import checks
from mlr.core.checks import DataError, InputError, UnreadableError
from mlr.core.commandline import command
from mlr.records.checksums import check_file
from mlr.records.discovery import FoundFolder, folders_below
from mlr.records.plain_yaml import read_yaml
from mlr.records.run_folder import CONFIG, HYDRA_CONFIG, METRICS, STATUS, read_status
from mlr.records.series import Series, read_series
from mlr.records.settings import PAIR, Value, parse_value, split_overrides, value_text
from mlr.records.status import FormatError, RunStatus

DAMAGED, UNREADABLE, OTHER = "damaged", "unreadable", "of another format"
"""Statuses of a run that is left out of all numbers: a file was changed, cannot be read, or is of
another format."""
_MOST_NAMES = 60
"""Characters of names of runs in one line."""
_LARGEST_FLOAT32 = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Recorded:
    """A run that was read back: its status.json; the larger files are read on first use.

    Attributes:
        folder: of the run.
        entries: of status.json.
        changed: names of files that differ from their checksums, and are not used.
        known: logged steps, if this process has recorded them; None reads them.
    """

    folder: Path
    entries: Mapping[str, Any]
    changed: Collection[str] = ()
    known: Series | None = None

    @property
    def name(self) -> str:
        """Name of the folder, as in `sigmoid+se,seed=0`."""
        return self.folder.name

    @property
    def status(self) -> str:
        """running, done, failed, diverged or interrupted; else a status of a run left out."""
        return str(self.entries.get("status"))

    @property
    def pair(self) -> str:
        """Head and loss, as in `sigmoid+se`, or the one that is named; empty without an entry."""
        return str(self.entries.get("pair") or "").strip("+")

    @property
    def seed(self) -> int | None:
        """Seed of the configuration; None without one."""
        return self.entries.get("seed")

    @property
    def own_loop(self) -> bool:
        """True for a loop of a user's own, which mlr cannot train again."""
        return bool(self.entries.get("program") or self.entries.get("hyperparameters"))

    @property
    def overrides(self) -> Sequence[str]:
        """Overrides as typed."""
        return self.entries.get("overrides") or []

    @cached_property
    def typed(self) -> Mapping[str, str]:
        """Overrides by key; of a loop of a user's own, its hyper-parameters."""
        own = self.entries.get("hyperparameters") or {}
        return {key: value_text(one) for key, one in own.items()} | split_overrides(self.overrides)

    @cached_property
    def finals(self) -> dict[str, float]:
        """Final numbers by tag, as written, with those of the calibration; empty without an end."""
        found = self.entries.get("metrics") or {}
        return {tag: float(value) for tag, value in found.items()} | calibration_of(self.entries)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Final numbers to compute with: infinite beyond float32, as in `series`."""
        return {tag: _in_float32(value) for tag, value in self.finals.items()}

    @property
    def anatomy(self) -> Mapping[str, Any] | None:
        """Final diagnostics over the training data; None without any."""
        return self.entries.get("anatomy") or None

    @cached_property
    def series(self) -> Series | None:
        """Logged steps of metrics.csv; None without any, and for a damaged run."""
        return self.read_series()

    def read_series(self) -> Series | None:
        """Return `series`, but do not keep what is read: that of many runs fills the memory."""
        if self.changed or self.known is not None:
            return None if self.changed else self.known
        return read_series(self.folder / METRICS)

    @cached_property
    def config(self) -> dict[str, Any]:
        """Configuration of the run; empty if it cannot be read."""
        return {} if CONFIG in self.changed else _yaml(self.folder / CONFIG)

    @cached_property
    def choices(self) -> Mapping[str, str | None]:
        """Chosen option of each config group, as in `model` → `linear`; empty if unknown."""
        found = {} if HYDRA_CONFIG in self.changed else _yaml(self.folder / HYDRA_CONFIG)
        for key in ("hydra", "runtime", "choices"):
            found = _mapping(found.get(key))
        return {str(group): None if one is None else str(one) for group, one in found.items()}

    def setting(self, key: str) -> Value:
        """Look up a setting: as typed, else as configured, else as chosen.

        The configuration is read only if status.json does not tell.

        Args:
            key: `pair`, `head`, `loss`, `seed`, or a key of the configuration, as `optimizer.lr`; a
                group, as `model`, gives the name of its option. None if nothing is set or known;
                lists as text, `[1,2]`.
        """
        if key == "seed":
            return self.seed
        if key in PAIR and self.pair:
            head, _, loss = self.pair.partition("+")
            return {"pair": self.pair, "head": head, "loss": loss}[key]
        if key in self.typed:
            return parse_value(self.typed[key])
        found = _scalar(self.config, key)
        return self.choices.get(key) if found is None else found


def read_runs(*places: Path | str) -> list[Recorded]:
    """Read the runs in folders or anywhere below them, each once, in the order of their paths.

    Runs that cannot be read are included, with `changed` and a reason.

    Raises:
        InputError: there is no such folder, or it holds no run.
        DataError: no run there can be read.
    """
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
    """Explain why a run at `place` is left out, and the command that says more of damage."""
    reason = str(run.entries["reason"])
    if run.status != DAMAGED:
        return reason
    return f"{reason.rstrip('.')}; {command('verify', str(place))} says more."


def left_out(runs: Sequence[Recorded], places: Sequence[Path | str]) -> str:
    """Write one line on those of all runs at `places` that cannot be read; empty if all can."""
    lost = [run for run in runs if run.changed]
    if not lost:
        return ""
    first, *others = lost
    reason = remedied(first, places[0] if len(places) == 1 else first.folder)
    count = f"{len(lost)} of {len(runs)} runs"
    if not others:
        return f"{count} is left out: {reason}"
    names = checks.listed([run.name for run in lost], _MOST_NAMES)
    return f"{count} are left out ({names}), the first: {reason}"


def _runs_of(place: Path) -> list[Recorded]:
    if not place.is_dir():
        raise InputError(f"{place} is not a folder; give a folder of runs, for example runs.")
    found = [_recorded(one) for one in _run_folders(place)]
    if not found:
        raise InputError(f"{place} holds no run; train one with `{command('train')}`.")
    return found


def _run_folders(top: Path) -> list[FoundFolder]:
    """Return `top` alone if it is a run's, else all runs below it, in the order of their paths."""
    folders = folders_below(top)
    first = next(folders)
    if STATUS in first.names:
        return [first]
    return sorted(found for found in (first, *folders) if found.is_run)


def _recorded(found: FoundFolder) -> Recorded:
    """Read one run; one that is left out still has its status.json, if that is intact."""
    folder = found.path
    if found.problem:
        return _left_out(folder, {STATUS: UnreadableError(found.problem)})
    for _ in range(2):  # once more: somebody may have continued the run in between
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
    """Describe a run that is left out because of its changed files, each with the reason."""
    first = next(iter(changed.values()))
    kinds: Mapping[type, str] = {FormatError: OTHER, UnreadableError: UNREADABLE}
    about = {"status": kinds.get(type(first), DAMAGED), "reason": str(first)}
    return Recorded(folder, {**(entries or {}), **about}, changed)


def _changed(folder: Path, entries: RunStatus) -> dict[str, InputError]:
    """Find the files that differ from their checksums in status.json, each with the reason."""
    files, found = entries.files or {}, dict[str, InputError]()
    for name in (METRICS, CONFIG, HYDRA_CONFIG):
        path = folder / name
        try:
            if name in files:
                check_file(path, folder, files[name])
        except FileNotFoundError:
            found[name] = DataError(f"{path} is missing.")
        except OSError as error:
            found[name] = UnreadableError(f"{path} cannot be read: {error.strerror}.")
        except ValueError:
            found[name] = DataError(f"{path} is not what was written.")
    return found


def calibration_of(entries: Mapping[str, Any]) -> dict[str, float]:
    """Return the scores of the calibration by tag, as `ece/test`; the temperature is of val."""
    found = {}
    for split, own in (entries.get("calibration") or {}).items():
        scores = {"temperature": own} if split == "temperature" else own
        place = "val" if split == "temperature" else split
        for name, value in scores.items():
            if name != "bins" and value is not None:
                found[f"{name}/{place}"] = float(value)
    return found


def _in_float32(value: float) -> float:
    """Return `value`, infinite if a float32 would be, so that it has a square."""
    return value if abs(value) <= _LARGEST_FLOAT32 or value != value else copysign(inf, value)


def _mapping(found: Any) -> dict[str, Any]:
    """Return `found` if it is a mapping, else an empty one: anybody may have written it."""
    return found if isinstance(found, dict) else {}


def _yaml(path: Path) -> dict[str, Any]:
    try:
        return _mapping(read_yaml(path))
    except InputError:
        return {}


def _scalar(config: Mapping[str, Any], key: str) -> Value:
    """Look up a dotted key; None for a mapping or nothing, lists as text."""
    node: Any = config
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    if isinstance(node, Mapping):
        return None
    if isinstance(node, list):
        return f"[{','.join(map(str, node))}]"
    return node if isinstance(node, (bool, int, float)) or node is None else str(node)
