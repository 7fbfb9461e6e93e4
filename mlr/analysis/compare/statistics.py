"""Which differences between groups of runs could be chance.

Runs of one seed begin with the same weights and see the same data in the same order, so groups
are compared seed by seed: a paired t-test, two-sided. Were two groups interchangeable, their
differences would be symmetric about 0, and for such the test keeps its level of 5 % from 3
seeds on, also where numbers are coarse or some runs get stuck (at most 6 % in the tests'
simulations). Exact permutations of signs need no assumption at all, but 5 seeds could then
never tell two groups apart: their smallest p is 2/2⁵.

The best group is the best partly by luck, which makes it look better than each other one: of 20
interchangeable groups of 10 seeds it would stand out in 18 % of all sweeps if only its own 19
comparisons were corrected for. So Holm's correction is over all pairs of groups.

Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal
of Statistics 6 (1979), 65–70.
"""

from __future__ import annotations

import numpy as np

LEVEL = 0.05
FEWEST = 3
"""Common seeds that two groups need to be compared."""
_EPSILON = float(np.finfo(np.float32).eps)


def paired_p(differences: np.ndarray, resolution: float = 0.0) -> np.ndarray:
    """Two-sided p-values of paired t-tests: t = mean / (std / √n), n − 1 degrees of freedom.

    Differences that are all equal have no spread to be measured by; their p is that of
    equal signs by chance, 2/2ⁿ, or 1 where they are 0.

    Args:
        differences: (M, S), one row a test; NaN where a seed is missing in one of both.
        resolution: what is not above it is 0, as rounding leaves it.

    Returns:
        (M,); NaN where fewer than `FEWEST` seeds are common.
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
    """p-values corrected for their number m: max over i ≤ k of min(1, (m − i + 1) · p₍ᵢ₎).

    Args:
        p: (M,); NaN is no test and stays.
    """
    corrected = np.full(len(p), np.nan)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]  # NaN is sorted to the end
    steps = np.arange(len(order), 0, -1) * p[order]
    corrected[order] = np.maximum.accumulate(np.minimum(steps, 1))
    return corrected


def pairwise(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each group against each other, corrected for all pairs of groups.

    Args:
        values: (G, S), by group and seed; NaN where there is none.

    Returns:
        p-values (G, G) and common seeds int (G, G); the p of a group and itself, and of groups
        with too few common seeds, is NaN.
    """
    groups = len(values)
    resolution = _EPSILON * float(np.nanmax(np.abs(values), initial=0))
    rows = [paired_p(values[at] - values[at + 1 :], resolution) for at in range(groups - 1)]
    p = np.full((groups, groups), np.nan)
    p[np.triu_indices(groups, k=1)] = holm(np.concatenate([np.empty(0), *rows]))
    there = (~np.isnan(values)).astype(np.int64)
    return np.fmax(p, p.T), there @ there.T
