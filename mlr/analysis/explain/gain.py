"""Gain by a remedy over several seeds: its significance, its size, and the words for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log, nan, sqrt
from typing import Any

import numpy as np

from mlr.analysis.compare.significance import FEWEST, LEVEL, holm
from mlr.analysis.compare.student import two_sided_p
from mlr.analysis.explain.diagnose import CURED
from mlr.analysis.ranking import mean_and_std

FEWEST_EXAMPLES = 4
"""Examples that a gain of accuracy must be. The seeds share one split, whose choice is chance, too:
models that differ by g examples disagree on g at least, which has a standard error of √g."""
ROUNDING = 0.01
"""Examples that rounding of a mean accuracy may cost."""
IN_VAIN, SO_FAR = "tried, does not help", "does not help so far"
"""Judgement after all updates of the run, and after a part of them."""
NO_BETTER = "hardly better than a constant prediction"
HARDLY, WORSE = "tried, hardly helps", "tried, makes it worse"
BySeed = Mapping[Any, float]
"""Keys are seeds, or what stands for them."""


def gains(before: BySeed, after: BySeed, share: bool) -> list[float]:
    """List the gains over the seeds of both; of losses, log of before / after.

    A few seeds can have very large losses, which hide the gain of all the others.

    Args:
        before: numbers as it is.
        after: numbers with the remedy.
        share: True for accuracies, which are to be high; a loss is to be low.
    """
    pairs = [(before[seed], after[seed]) for seed in before if seed in after]
    if share:
        return [new - old for old, new in pairs]
    if all(value > 0 for pair in pairs for value in pair):
        return [log(old / new) for old, new in pairs]
    return [old - new for old, new in pairs]


def corrected(before: BySeed, tried: Mapping[str, BySeed], share: bool) -> dict[str, float]:
    """Compute p by remedy, corrected for their number; NaN for too few common seeds."""
    p = holm(np.array([_p(gains(before, after, share)) for after in tried.values()]))
    return dict(zip(tried, p.tolist(), strict=True))


def _p(found: Sequence[float]) -> float:
    """Compute the p of a paired t-test; 0 for a difference that no seed changes."""
    if len(found) < FEWEST:
        return nan
    mean, std = mean_and_std(found)
    if std == 0:
        return 1.0 if mean == 0 else 0.0
    t, freedom = np.array([abs(mean) / std * sqrt(len(found))]), np.array([len(found) - 1.0])
    return float(two_sided_p(t, freedom)[0])


def is_much(before: float, after: float, share: bool, examples: float) -> bool:
    """Return True if a remedy leaves at most `CURED` of the errors, or of the loss.

    Args:
        before: mean as it is.
        after: mean with the remedy.
        share: True for accuracies.
        examples: that they were computed from.
    """
    if share:
        if after - before < (FEWEST_EXAMPLES - ROUNDING) / examples:
            return False
        before, after = 1 - before, 1 - after
    return before <= 0 or after <= CURED * before


def is_worse(found: Sequence[float], p: float) -> bool:
    """Return True for a loss beyond the noise of the seeds."""
    return p <= LEVEL and sum(found) < 0


def verdict(found: Sequence[float], p: float, much: bool, in_vain: str) -> tuple[bool, str]:
    """Judge gains; returns whether the remedy is recommended, and the words.

    Args:
        found: gains by seed.
        p: corrected, NaN for no test.
        much: whether it is large enough.
        in_vain: words for a remedy that makes no difference.
    """
    if p != p:
        return False, f"{in_vain}: too few seeds with a number"
    worse = is_worse(found, p)
    helps = p <= LEVEL and not worse and much
    text = "helps" if helps else WORSE if worse else HARDLY if p <= LEVEL else in_vain
    return helps, f"{text} (p {'< 1e-6' if p < 1e-6 else f'= {p:.1g}'})"
