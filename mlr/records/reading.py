"""Runs as they lie on disk: what compares, reports and explains them reads them here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from mlr.checks import InputError
from mlr.records.aggregate import Series, read_series
from mlr.records.folder import read_status


@dataclass(frozen=True)
class Recorded:
    """A run's folder and its status.json; the larger files are read when they are asked for.

    folder: of the run.
    entries: everything that status.json says.
    """

    folder: Path
    entries: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The folder's own name, as in `sigmoid+se,seed=0`."""
        return self.folder.name

    @property
    def status(self) -> str:
        """running, done, failed, diverged, interrupted, or damaged: nothing else is known then."""
        return str(self.entries.get("status"))

    @property
    def pair(self) -> str:
        """Head and loss, as in `sigmoid+se`; empty where status.json names none."""
        return str(self.entries.get("pair") or "")

    @property
    def seed(self) -> int | None:
        """That of the configuration."""
        return self.entries.get("seed")

    @property
    def overrides(self) -> Sequence[str]:
        """As typed."""
        return self.entries.get("overrides") or []

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Final numbers by tag; empty where it was not trained to an end."""
        return {tag: float(value) for tag, value in (self.entries.get("metrics") or {}).items()}

    @property
    def anatomy(self) -> Mapping[str, Any] | None:
        """What `mlr.training.anatomy` measured over the training data; None where nothing was."""
        return self.entries.get("anatomy")

    @cached_property
    def series(self) -> Series | None:
        """metrics.csv; None where there is none."""
        return read_series(self.folder / "metrics.csv")

    @cached_property
    def config(self) -> dict[str, Any]:
        """`.hydra/config.yaml`; empty where there is none that can be read."""
        return _yaml(self.folder / ".hydra" / "config.yaml")

    @cached_property
    def choices(self) -> Mapping[str, str | None]:
        """The option chosen of each group, as in `model` → `linear`; empty where none is told."""
        found = _yaml(self.folder / ".hydra" / "hydra.yaml")
        for key in ("hydra", "runtime", "choices"):
            found = found.get(key) or {}
        return found


def read_runs(place: Path | str) -> list[Recorded]:
    """The run in a folder, or all runs anywhere below it, in the order of their paths.

    Args:
        place: a run's folder, a sweep's, or one above them, as `runs`.

    Raises:
        InputError: there is no such folder, or it holds no run, or none whose status.json is
            not damaged.
    """
    folder = Path(place)
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give that of a run or of a sweep, as in runs/….")
    if (folder / "status.json").exists():
        return [Recorded(folder, read_status(folder))]
    found, damaged = [], []
    for path in sorted(folder.rglob("status.json")):
        try:
            found.append(Recorded(path.parent, read_status(path.parent)))
        except InputError as error:
            damaged.append(error)
            found.append(Recorded(path.parent, {"status": "damaged", "reason": str(error)}))
    if not found:
        raise InputError(f"{folder} holds no run; train one with `python scripts/train.py`.")
    if len(damaged) == len(found):
        raise damaged[0]
    return found


def read_all(places: Iterable[Path | str]) -> list[Recorded]:
    """The runs of several folders, as `read_runs` has them, each once."""
    found: dict[Path, Recorded] = {}
    for place in places:
        for run in read_runs(place):
            found.setdefault(run.folder.resolve(), run)
    return list(found.values())


def _yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        found = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}
