"""Runs of a sweep that lie in no folder: names, what was typed, and flat dicts as of `sides`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlr.records.reading import Recorded
from tests.analysis.explain.sides import Told, facts


def run(name: str, told: Told, *typed: str, choices: Mapping[str, str] | None = None) -> Recorded:
    """A run of that name, with the overrides that were typed and the options chosen of groups."""
    read = facts(told).run
    entries: dict[str, Any] = {**read.entries, "overrides": typed}
    named = Recorded(Path(name), entries)
    vars(named).update(config=read.config, series=read.series, choices=choices or {})
    return named


def seeds(name: str, *told: Told) -> list[Recorded]:
    """Runs of one cell, which differ by their seeds."""
    return [run(f"{name},seed={n}", one, f"seed={n}") for n, one in enumerate(told)]
