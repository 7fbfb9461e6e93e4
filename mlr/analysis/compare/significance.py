"""Significance of differences between configurations, and a verdict on each.

Runs of one seed begin with the same weights and see the same data in the same order, so
configurations are compared seed by seed: a paired t-test, two-sided. If two configurations were
interchangeable, their differences would be symmetric about 0, and for such the test keeps its
level of 5 % from 3 seeds on, also if numbers are coarse or some runs get stuck (at most 6 % in the
tests' simulations). Exact permutations of signs need no assumption at all, but 5 seeds could then
never separate two configurations: their smallest p is 2/2⁵.

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
    """Test each configuration against the first one over common seeds.

    Args:
        groups: configurations that can be compared, ranked.
        metric: a final number.

    Returns:
        One verdict per configuration, and the corrected p of each two (G, G), NaN for no test.
    """
    values = _values(groups, metric)
    p, common = pairwise(values)
    if all(map(_ignores_seeds, groups)):  # without chance there is nothing to test
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
    """Return True if runs of several seeds have exactly the same final training loss."""
    losses = by_seed(runs, "loss/train").values()
    return len(losses) > 1 and len(set(losses)) == 1


def _values(groups: Sequence[Sequence[Recorded]], metric: str) -> np.ndarray:
    """Tabulate the metric by configuration and seed (G, S); NaN for none."""
    found = [by_seed(runs, metric) for runs in groups]
    seeds = dict.fromkeys(seed for one in found for seed in one)
    places = {seed: place for place, seed in enumerate(seeds)}
    values = np.full((len(groups), len(places)), np.nan)
    for row, one in zip(values, found, strict=True):
        row[[places[seed] for seed in one]] = list(one.values())
    return values


def _ahead(values: np.ndarray, metric: str) -> np.ndarray:
    """Find configurations (G,) that are better on common seeds and rank behind for lost runs."""
    gain = np.nan_to_num(values - values[0]).sum(axis=1)
    return gain > 0 if is_higher_better(metric) else gain < 0


def paired_p(differences: np.ndarray, resolution: float = 0.0) -> np.ndarray:
    """Compute two-sided p of paired t-tests: t = mean / (std / √n), n − 1 degrees of freedom.

    Differences that are all equal have no spread; their p is that of equal signs by chance,
    2/2ⁿ, or 1 if they are 0.

    Args:
        differences: (M, S), one row per test; NaN if a seed is missing in one of both.
        resolution: largest difference that rounding can leave, taken as 0.

    Returns:
        (M,); NaN if fewer than `FEWEST` seeds are common.
    """
    there = ~np.isnan(differences)
    count = there.sum(axis=1)
    if not (count >= FEWEST).any():
        return np.full(len(count), np.nan)
    # takes a quarter of a second
    from scipy.special import stdtr  # type: ignore[import-untyped]

    some = np.maximum(count, FEWEST)
    mean = np.where(there, differences, 0).sum(axis=1) / some
    rest = np.where(there, differences - mean[:, None], 0)
    std = np.sqrt((rest**2).sum(axis=1) / (some - 1))
    alike = std <= resolution
    t = np.abs(mean) / np.where(alike, 1, std) * np.sqrt(some)
    signs = np.where(np.abs(mean) <= resolution, 1.0, 2.0 ** (1 - some))
    p = np.where(alike, signs, 2 * stdtr(some - 1, -t))
    return np.where(count < FEWEST, np.nan, p)


def holm(p: np.ndarray) -> np.ndarray:
    """Correct p-values for their number m: max over i ≤ k of min(1, (m − i + 1) · p₍ᵢ₎).

    Args:
        p: (M,); NaN, for no test, stays NaN.
    """
    corrected = np.full(len(p), np.nan)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]  # NaN is sorted to the end
    steps = np.arange(len(order), 0, -1) * p[order]
    corrected[order] = np.maximum.accumulate(np.minimum(steps, 1))
    return corrected


def pairwise(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Test each configuration against each other, corrected for all pairs of configurations.

    Args:
        values: (G, S), by configuration and seed; NaN for none.

    Returns:
        p-values (G, G) and common seeds int (G, G); p is NaN on the diagonal and for too few
        common seeds.
    """
    groups = len(values)
    resolution = _EPSILON * float(np.nanmax(np.abs(values), initial=0))
    rows = [paired_p(values[at] - values[at + 1 :], resolution) for at in range(groups - 1)]
    p = np.full((groups, groups), np.nan)
    p[np.triu_indices(groups, k=1)] = holm(np.concatenate([np.empty(0), *rows]))
    there = (~np.isnan(values)).astype(np.int64)
    return np.fmax(p, p.T), there @ there.T
