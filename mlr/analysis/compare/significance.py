"""Significance of differences between configurations, and a verdict on each.

Runs of one seed begin with the same weights and see the same data in the same order, so
configurations are compared seed by seed: a paired t-test, two-sided. For interchangeable
configurations it keeps its level of 5 % from 3 seeds on, also if numbers are coarse or some runs
get stuck (at most 6 % in the tests' simulations); exact permutations of signs could never separate
two configurations by 5 seeds.

The best configuration is the best partly by luck: of 20 interchangeable ones of 10 seeds it would
stand out in 18 % of all sweeps if only its own 19 comparisons were corrected for. So Holm's
correction is over all pairs of configurations.

Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal
of Statistics 6 (1979), 65–70.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import NamedTuple

import numpy as np

from mlr.analysis.compare.student import two_sided_p
from mlr.analysis.quantities import DIRECTED
from mlr.analysis.ranking import by_seed, is_higher_better
from mlr.records.reading import Recorded

LEVEL = 0.05
FEWEST = 3
"""Common seeds that two configurations need to be compared."""
FIRST, BEST, WORSE = "first", "best", "worse"
NOT_SIGNIFICANT, AHEAD, NOTHING = "not significant", "better, but loses runs", "no number"
FEW = f"needs {FEWEST} common seeds"
FIXED = "the seed changes nothing"
DIFFERENT = "different"
_AT_ONCE = 1 << 18
"""Differences that are tested at once: it bounds the memory."""
_EPSILON = float(np.finfo(np.float32).eps)


class Verdict(NamedTuple):
    """Verdict on one configuration."""

    text: str
    """best (all others are worse), first, worse, not significant, different (for a number that is
    neither good nor bad), or the reason why there is no test"""
    p: float | None = None
    """against the first; corrected for all pairs of configurations"""
    common: int = 0
    """seeds with a number in both configurations"""


def verdicts(groups: Sequence[Sequence[Recorded]], metric: str) -> tuple[list[Verdict], np.ndarray]:
    """Test each of some ranked configurations against the first one over common seeds.

    Returns:
        One verdict per configuration, and the corrected p of each two (G, G), NaN for no test.
    """
    values = _values(groups, metric)
    p, common = pairwise(values)
    fixed = all(map(_ignores_seeds, groups))
    if fixed:  # without chance there is nothing to test
        p = np.full_like(p, np.nan)
    gain = np.nan_to_num(values - values[0]).sum(axis=1) * (1 if is_higher_better(metric) else -1)
    first = NOTHING if np.isnan(values[0]).all() else FIRST
    found = [Verdict(first, common=int(common[0, 0]) if fixed else 0)]
    for row in range(1, len(groups)):
        if np.isnan(values[row]).all():
            text = NOTHING
        elif isnan(p[0, row]):
            text = FIXED if fixed else FEW
        elif p[0, row] > LEVEL:
            text = NOT_SIGNIFICANT
        elif not metric.startswith(DIRECTED):
            text = DIFFERENT
        else:  # one that is better on common seeds ranks behind for lost runs
            text = AHEAD if gain[row] > 0 else WORSE
        tested = None if isnan(p[0, row]) else float(p[0, row])
        found.append(Verdict(text, tested, int(common[0, row])))
    others = {one.text for one in found[1:]} - {NOTHING}
    return [Verdict(BEST) if others == {WORSE} else found[0], *found[1:]], p


def _ignores_seeds(runs: Sequence[Recorded]) -> bool:
    """Return True if runs of several seeds have exactly the same final training loss."""
    losses = by_seed(runs, "loss/train").values()
    return len(losses) > 1 and len(set(losses)) == 1


def _values(groups: Sequence[Sequence[Recorded]], metric: str) -> np.ndarray:
    found = [by_seed(runs, metric) for runs in groups]
    seeds = dict.fromkeys(seed for one in found for seed in one)
    places = {seed: place for place, seed in enumerate(seeds)}
    values = np.full((len(groups), len(places)), np.nan)
    for row, one in zip(values, found, strict=True):
        row[[places[seed] for seed in one]] = list(one.values())
    return values


def paired_p(differences: np.ndarray, resolution: float = 0.0) -> np.ndarray:
    """Compute two-sided p (M,) of paired t-tests: t = mean / (std / √n), n − 1 degrees of freedom.

    Differences that are all equal, up to rounding, have no spread; their p is that of equal signs
    by chance, 2/2ⁿ, or 1 if they are 0. NaN if fewer than `FEWEST` seeds are common.

    Args:
        differences: (M, S), one row per test; NaN if a seed is missing in one of both.
        resolution: largest difference that rounding can leave, taken as 0.
    """
    there = ~np.isnan(differences)
    count = there.sum(axis=1)
    if not (count >= FEWEST).any():
        return np.full(len(count), np.nan)
    some = np.maximum(count, FEWEST)
    mean = np.where(there, differences, 0).sum(axis=1) / some
    rest = np.where(there, differences - mean[:, None], 0)
    std = np.sqrt((rest**2).sum(axis=1) / (some - 1))
    alike = std <= resolution
    t = np.abs(mean) / np.where(alike, 1, std) * np.sqrt(some)
    signs = np.where(np.abs(mean) <= resolution, 1.0, 2.0 ** (1 - some))
    p = np.where(alike, signs, two_sided_p(t, some - 1))
    return np.where(count < FEWEST, np.nan, p)


def holm(p: np.ndarray) -> np.ndarray:
    """Correct p (M,) for their number m: max over i ≤ k of min(1, (m − i + 1) · p₍ᵢ₎).

    NaN, for no test, stays NaN.
    """
    corrected = np.full(len(p), np.nan)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]  # NaN is sorted to the end
    steps = np.arange(len(order), 0, -1) * p[order]
    corrected[order] = np.maximum.accumulate(np.minimum(steps, 1))
    return corrected


def pairwise(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Test each two configurations of values (G, S), corrected for their number.

    Returns:
        p (G, G), NaN on the diagonal and for too few common seeds, and common seeds (G, G).
    """
    groups, seeds = values.shape
    resolution = _EPSILON * float(np.nanmax(np.abs(values), initial=0))
    first, second = np.triu_indices(groups, k=1)
    some = max(1, _AT_ONCE // max(1, seeds))  # pairs
    parts = [
        paired_p(values[first[at : at + some]] - values[second[at : at + some]], resolution)
        for at in range(0, len(first), some)
    ]
    p = np.full((groups, groups), np.nan)
    p[first, second] = holm(np.concatenate([np.empty(0), *parts]))
    there = (~np.isnan(values)).astype(np.int64)
    return np.fmax(p, p.T), there @ there.T
