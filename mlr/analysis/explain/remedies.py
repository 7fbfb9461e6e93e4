"""Remedies: which of them other runs have tried in vain, and the command that applies one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, nan
from typing import Any

from mlr.analysis.explain.findings import OR, Diagnosis, Finding
from mlr.analysis.grouping import run_overrides
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
IRRELEVANT = ("probes", "seed", "device")
"""Settings in which two runs to compare may differ."""


class TriedRemedies:
    """Remedies for one seed group that other runs have tried already."""

    def __init__(self, runs: Sequence[Recorded], members: Sequence[Recorded]) -> None:
        """Compare `members`, the runs of the group, with all `runs`."""
        self._runs, self._members = runs, members
        self._refuted: dict[str, bool] = {}

    def refutes(self, remedy: str) -> bool:
        """Return True if there are runs of that configuration, and none is better."""
        if remedy not in self._refuted:
            others = tried(self._runs, self._members, remedy)
            self._refuted[remedy] = bool(others) and not helped(self._members, others)
        return self._refuted[remedy]

    def left(self, one: Finding) -> str:
        """Return the alternatives of a remedy not tried in vain, else the first such spare one."""
        given = [remedy for remedy in one.remedy.split(OR) if not self.refutes(remedy)]
        spare = (remedy for remedy in one.spare if not self.refutes(remedy))
        return OR.join(given) or next(spare, "")


def tried(runs: Sequence[Recorded], own: Sequence[Recorded], remedy: str) -> list[Recorded]:
    """Find the runs that differ from `own` by the overrides of a remedy only.

    Args:
        runs: of any configuration.
        own: runs of one seed group.
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
    """Return True if two runs were typed differently, so that no file need be read."""
    return any(typed[key] != others[key] for key in typed.keys() & others.keys())


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
    """Compute the mean of a final number over runs in which it is finite; NaN for none."""
    values = [run.metrics.get(tag, nan) for run in runs]
    known = [value for value in values if isfinite(value)]
    return sum(known) / len(known) if known else nan


def _settings(run: Recorded) -> dict[str, Any]:
    """Collect every setting by key; only the typed ones without a configuration."""
    if run.config:
        own = {key: value for key, value in identity(run.config).items() if key not in IRRELEVANT}
        return dict(leaves(own))
    return _typed(run)


def _typed(run: Recorded) -> dict[str, Any]:
    """Collect the typed settings without head and loss, which the pair names."""
    left_out = (*IRRELEVANT, "head", "loss")
    return {
        key: value
        for key, value in run_overrides(run).items()
        if key.partition(".")[0] not in left_out
    }


def _without(settings: Mapping[str, Any], changes: Mapping[str, str]) -> dict[str, Any]:
    """Remove the settings that a change replaces; a chosen group replaces its options."""
    groups = tuple(f"{key}." for key in changes)
    return {
        key: value
        for key, value in settings.items()
        if key not in changes and not key.startswith(groups)
    }


def _has(run: Recorded, key: str, value: str) -> bool:
    """Return True if a run has a setting."""
    found, wanted = run.setting(key), parse_value(value)
    if isinstance(found, (int, float)) and isinstance(wanted, (int, float)):
        return abs(found - wanted) <= 1e-6 * abs(wanted)
    return found == wanted


def advice(one: Diagnosis) -> str:
    """Write the remedy as a sentence; empty for none."""
    return f" Try {one.remedy}." if one.remedy else ""


def command(run: Recorded, one: Diagnosis) -> str | None:
    """Return the command that trains the run again with the first choice of the remedy."""
    if not one.overrides:
        return None
    new = dict(word.split("=", 1) for word in one.overrides.split())
    chosen = tuple(f"{key}." for key in new)  # options of the part that is replaced
    old = [
        word
        for word in run.overrides
        if (key := word.lstrip("+").partition("=")[0]) not in new and not key.startswith(chosen)
    ]
    return commandline.command("train", *old, *one.overrides.split())
