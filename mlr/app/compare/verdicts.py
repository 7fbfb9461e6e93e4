"""What a test over common seeds says of each group, against the best one."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import NamedTuple

import numpy as np

from mlr.app.compare.groups import by_seed, is_higher_better
from mlr.app.compare.statistics import FEWEST, LEVEL, against
from mlr.records.reading import Recorded
from mlr.records.settings import setting

ANOTHER = "another loss"


class Verdict(NamedTuple):
    """Of one group."""

    text: str
    """best, worse, not significant, or why there is no test"""
    p: float | None = None
    """corrected for all pairs of groups"""
    common: int = 0
    """seeds with a number in both"""


def verdicts(groups: Sequence[Sequence[Recorded]], metric: str) -> list[Verdict]:
    """One verdict a group.

    Args:
        groups: of runs, the best first. Losses of another kind have other units: where
            `metric` is a loss, such groups are not tested.
        metric: a final number.
    """
    losses = [{setting(run, "loss") for run in runs} for runs in groups]
    alike = [not metric.startswith("loss/") or loss == losses[0] for loss in losses]
    values = _values(groups, alike, metric)
    p, common = against(values, best=0)
    ahead = _ahead(values, metric)
    found = [Verdict("best" if by_seed(groups[0], metric) else "no number")]
    for row in range(1, len(groups)):
        if not alike[row]:
            found.append(Verdict(ANOTHER))
        elif isnan(p[row]):
            found.append(Verdict(f"needs {FEWEST} common seeds", None, int(common[row])))
        else:
            worse = "better, but loses runs" if ahead[row] else "worse"
            text = worse if p[row] <= LEVEL else "not significant"
            found.append(Verdict(text, float(p[row]), int(common[row])))
    return found


def _values(groups: Sequence[Sequence[Recorded]], alike: Sequence[bool], metric: str) -> np.ndarray:
    """By group and seed (G, S); NaN where there is none, or what cannot be compared."""
    found = [
        by_seed(runs, metric) if same else {} for runs, same in zip(groups, alike, strict=True)
    ]
    seeds = dict.fromkeys(seed for one in found for seed in one)
    places = {seed: place for place, seed in enumerate(seeds)}
    values = np.full((len(groups), len(places)), np.nan)
    for row, one in zip(values, found, strict=True):
        row[[places[seed] for seed in one]] = list(one.values())
    return values


def _ahead(values: np.ndarray, metric: str) -> np.ndarray:
    """Where the common seeds speak for a group (G,): it stands behind for the runs it lost."""
    gain = np.nan_to_num(values - values[0]).sum(axis=1)
    return gain > 0 if is_higher_better(metric) else gain < 0
