"""Runs that lie in no folder, each a flat dict, as on either side of a threshold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from mlr.analysis.explain.facts import Facts
from mlr.diagnosis.findings import Finding
from mlr.records.reading import Recorded
from mlr.records.series import Series
from tests.analysis.explain.made import changed

Told = Mapping[str, Any]
ENTRIES = ("pair", "status", "steps", "refused")


def facts(told: Told) -> Facts:
    """A run of what is told, and of nothing else; None takes away.

    `curve.` begins a tag with a value at every tenth step, `config.` a setting; a tag alone is
    a final number; everything else but `ENTRIES` is of the anatomy, by dotted names.
    """
    config, curves, metrics, anatomy, entries = ({} for _ in range(5))
    for key, value in told.items():
        part, _, name = key.partition(".")
        if value is None:
            continue
        if part == "curve":
            curves[name] = value
        elif part == "config":
            config[name] = value
        elif key in ENTRIES:
            entries[key] = value
        else:
            (metrics if "/" in key else anatomy)[key] = value
    entries = {"status": "done", "metrics": metrics, "anatomy": changed({}, anatomy)} | entries
    run = Recorded(Path("run"), entries)
    vars(run).update(config=changed({}, config), series=_series(curves))  # as if they were read
    return Facts(run)


def _series(curves: Mapping[str, Sequence[float]]) -> Series | None:
    """As `read_series` has it: NaN where there is no value."""
    if not curves:
        return None
    longest = max(map(len, curves.values()))
    table = np.full((longest, len(curves)), np.nan, np.float32)
    for column, values in enumerate(curves.values()):
        table[: len(values), column] = values
    return Series(tuple(curves), 10 * np.arange(longest), table)


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


class Side(NamedTuple):
    """A threshold or a guard of a rule, with a run on each side of it.

    name: the constant, or what else keeps the rule quiet.
    base: a run with everything else well inside.
    key: what changes.
    inside: its value with which the rule speaks.
    outside: its value with which it is quiet.
    """

    name: str
    base: Told
    key: str
    inside: Any
    outside: Any


def on_either_side(*sides: tuple[str, Told, str, Any, Any]) -> pytest.MarkDecorator:
    """Run a test with each of them as `side`."""
    named = [Side(*side) for side in sides]
    return pytest.mark.parametrize("side", named, ids=[side.name for side in named])


def check(rule: Callable[[Facts], Finding | None], side: Side, words: str = "") -> None:
    """The rule says these words on one side, and nothing on the other."""
    found = rule(facts({**side.base, side.key: side.inside}))
    assert found is not None
    assert words in found.sentence
    assert rule(facts({**side.base, side.key: side.outside})) is None
