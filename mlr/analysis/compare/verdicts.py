"""Verdicts on configurations, each tested against the first one over common seeds."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import NamedTuple

import numpy as np

from mlr.analysis.compare.statistics import FEWEST, LEVEL, pairwise
from mlr.records.ranking import by_seed, is_higher_better
from mlr.records.reading import Recorded

FIRST, BEST, WORSE = "first", "best", "worse"
NOT_SIGNIFICANT, AHEAD, NOTHING = "not significant", "better, but loses runs", "no number"
FEW = f"needs {FEWEST} common seeds"
FIXED = "the seed changes nothing"
DIFFERENT = "different"
DIRECTED = ("accuracy/", "loss/", "rmse/", "stuck/")
"""Final numbers of which more or less is better; no gradient or output is good in itself."""


class Verdict(NamedTuple):
    """On one group."""

    text: str
    """best (all others are worse), first, worse, not significant, different (of a number that is
    neither good nor bad), or why there is no test"""
    p: float | None = None
    """against the first; corrected for all pairs of groups"""
    common: int = 0
    """seeds with a number in both"""


def verdicts(groups: Sequence[Sequence[Recorded]], metric: str) -> tuple[list[Verdict], np.ndarray]:
    """One verdict a group, and the corrected p of each pair of groups (G, G), NaN for no test.

    Args:
        groups: of runs that can be compared, ranked.
        metric: a final number.
    """
    values = _values(groups, metric)
    p, common = pairwise(values)
    if all(map(_ignores_seeds, groups)):  # a test is of what chance could have done
        texts = [FIRST, *[FIXED] * (len(groups) - 1)]
        found = [Verdict(text, None, int(n)) for text, n in zip(texts, common[0], strict=True)]
        return found, np.full_like(p, np.nan)
    ahead = _ahead(values, metric)
    found = [Verdict(FIRST if by_seed(groups[0], metric) else NOTHING)]
    for row in range(1, len(groups)):
        if np.isnan(values[row]).all():
            found.append(Verdict(NOTHING))
        elif isnan(p[0, row]):
            found.append(Verdict(FEW, None, int(common[0, row])))
        else:
            worse = AHEAD if ahead[row] else WORSE
            worse = worse if metric.startswith(DIRECTED) else DIFFERENT
            text = worse if p[0, row] <= LEVEL else NOT_SIGNIFICANT
            found.append(Verdict(text, float(p[0, row]), int(common[0, row])))
    others = [one.text for one in found[1:] if one.text != NOTHING]
    if others and set(others) == {WORSE}:
        found[0] = Verdict(BEST)
    return found, p


def _ignores_seeds(runs: Sequence[Recorded]) -> bool:
    """Tell if runs of several seeds have the same final training loss, to the last digit."""
    losses = by_seed(runs, "loss/train").values()
    return len(losses) > 1 and len(set(losses)) == 1


def _values(groups: Sequence[Sequence[Recorded]], metric: str) -> np.ndarray:
    """By group and seed (G, S); NaN where there is none."""
    found = [by_seed(runs, metric) for runs in groups]
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
