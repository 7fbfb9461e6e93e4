"""Remedies that other runs have tried already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, nan
from typing import Any

from mlr.records.identity import identity, is_of_run
from mlr.records.outcome import FINISHED
from mlr.records.reading import Recorded
from mlr.records.settings import plain, setting, texts

CURED = 0.9
"""Of the errors, or of the loss where it is the same: what a remedy that helps leaves at most."""
ACCURACIES = ("accuracy/val", "accuracy/train")
LOSSES = ("loss/val", "loss/train")
"""The first that was measured: some runs have no validation."""
OF_LOOKS = ("probes", "seed", "device")
"""Settings that two runs to compare may differ in."""


def tried(runs: Sequence[Recorded], own: Sequence[Recorded], remedy: str) -> list[Recorded]:
    """The runs that differ from `own` by the overrides of a remedy, and nothing else.

    Args:
        runs: of any configuration.
        own: runs of one cell.
        remedy: overrides separated by blanks.
    """
    changes = dict(word.split("=", 1) for word in remedy.split())
    head, _, loss = own[0].pair.partition("+")
    pair = f"{changes.get('head', head)}+{changes.get('loss', loss)}"
    near = [run for run in runs if run.status in FINISHED and run.pair == pair]
    typed = _without(_typed(own[0]), changes)
    near = [run for run in near if not _conflict(_without(_typed(run), changes), typed)]
    near = [run for run in near if all(_has(run, *change) for change in changes.items())]
    wanted = _without(_settings(own[0]), changes) if near else {}
    return [run for run in near if _without(_settings(run), changes) == wanted]


def _conflict(typed: Mapping[str, str], others: Mapping[str, str]) -> bool:
    """True if two runs were typed differently, so that no configuration need be read."""
    return any(typed[key] != others[key] for key in typed.keys() & others.keys())


def helped(own: Sequence[Recorded], others: Sequence[Recorded]) -> bool:
    """True if other runs ended clearly better, or where the two cannot be compared."""
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
    """The mean of a final number, of the runs in which it is finite; NaN for none."""
    values = [run.metrics.get(tag, nan) for run in runs]
    known = [value for value in values if isfinite(value)]
    return sum(known) / len(known) if known else nan


def _settings(run: Recorded) -> dict[str, Any]:
    """Every setting by key; what was typed where no configuration is left."""
    if run.config:
        config = {k: v for k, v in identity(run.config).items() if k not in OF_LOOKS}
        return _flat(config)
    return _typed(run)


def _typed(run: Recorded) -> dict[str, Any]:
    """What was typed, without head and loss, which the pair names."""
    typed = texts(filter(is_of_run, run.overrides))
    left_out = (*OF_LOOKS, "head", "loss")
    return {key: value for key, value in typed.items() if key.partition(".")[0] not in left_out}


def _without(settings: Mapping[str, Any], changes: Mapping[str, str]) -> dict[str, Any]:
    """The settings that a change of others leaves alone; a group that is chosen takes its own."""
    groups = tuple(f"{key}." for key in changes)
    return {
        key: value
        for key, value in settings.items()
        if key not in changes and not key.startswith(groups)
    }


def _has(run: Recorded, key: str, value: str) -> bool:
    """True if a run was set so."""
    found, wanted = setting(run, key), plain(value)
    if isinstance(found, (int, float)) and isinstance(wanted, (int, float)):
        return abs(found - wanted) <= 1e-6 * abs(wanted)
    return found == wanted


def _flat(node: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found
