"""Remedies: which of them other runs have tried in vain, and the command that applies one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from math import isfinite, nan
from typing import Any

from mlr.analysis.explain.findings import Diagnosis
from mlr.core import commandline
from mlr.records.identity import identity
from mlr.records.reading import Recorded
from mlr.records.settings import leaves, parse_value
from mlr.records.status import FINISHED

CURED = 0.9
"""Largest share of errors, or of the loss if it is the same, that a helpful remedy leaves."""
ACCURACIES = ("accuracy/val", "accuracy/train")
LOSSES = ("loss/val", "loss/train")
"""In the order of preference: some runs have no validation."""
IRRELEVANT = ("probes.", "seed.", "device.")
"""Settings in which two runs to compare may differ."""
Refutes = Callable[[str], bool]


def refuted_by(runs: Sequence[Recorded], own: Sequence[Recorded]) -> Refutes:
    """Return a test for remedies of a seed group `own` that some of `runs` have tried in vain."""

    @cache
    def refutes(remedy: str) -> bool:
        others = tried(runs, own, remedy) if remedy else []
        return bool(others) and not helped(own, others)

    return refutes


def tried(runs: Sequence[Recorded], own: Sequence[Recorded], remedy: str) -> list[Recorded]:
    """Find the runs that differ from a seed group `own` by the overrides of a remedy only."""
    changes = dict(word.split("=", 1) for word in remedy.split())
    head, _, loss = own[0].pair.partition("+")
    pair = f"{changes.get('head', head)}+{changes.get('loss', loss)}"
    near = [run for run in runs if run.status in FINISHED and run.pair == pair]
    near = [run for run in near if all(_has(run, *change) for change in changes.items())]
    wanted = _settings(own[0], changes) if near else {}
    return [run for run in near if _settings(run, changes) == wanted]


def _settings(run: Recorded, changes: Mapping[str, str]) -> dict[str, Any]:
    """Collect every setting by key but those that a change replaces, with the options of a part."""
    left_out = (*IRRELEVANT, *(f"{key}." for key in changes))
    every = leaves(identity(run.config))
    return {key: value for key, value in every if not f"{key}.".startswith(left_out)}


def _has(run: Recorded, key: str, value: str) -> bool:
    found, wanted = run.setting(key), parse_value(value)
    if isinstance(found, (int, float)) and isinstance(wanted, (int, float)):
        return abs(found - wanted) <= 1e-6 * abs(wanted)
    return found == wanted


def helped(own: Sequence[Recorded], others: Sequence[Recorded]) -> bool:
    """Return True if other runs ended clearly better, or cannot be compared."""
    if all(run.status == "diverged" for run in others):
        return False
    # the values of different losses cannot be compared
    tags = ACCURACIES + (LOSSES if own[0].pair == others[0].pair else ())
    for tag in tags:
        mine, theirs = _mean(own, tag), _mean(others, tag)
        if isfinite(theirs):
            if tag in ACCURACIES:
                mine, theirs = 1 - mine, 1 - theirs
            return not isfinite(mine) or theirs <= CURED * mine
    return True


def _mean(runs: Sequence[Recorded], tag: str) -> float:
    known = [value for run in runs if isfinite(value := run.metrics.get(tag, nan))]
    return sum(known) / len(known) if known else nan


def command(run: Recorded, one: Diagnosis) -> str | None:
    """Return the command that trains the run again with the first choice of the remedy."""
    if not one.overrides:
        return None
    new = one.overrides.split()
    replaced = tuple(f"{word.partition('=')[0]}." for word in new)  # and options of the part
    old = [
        word
        for word in run.overrides
        if not f"{word.lstrip('+').partition('=')[0]}.".startswith(replaced)
    ]
    return commandline.command("train", *old, *new)
