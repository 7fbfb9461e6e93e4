"""Containment, closures and words of the sets that heads and losses state."""

from __future__ import annotations

from itertools import product
from math import inf

import pytest

from mlr.core.domains import GAUSSIANS, OPEN_UNIT, REALS, SIMPLEX, UNIT, Interval

CONTAINED = {
    (REALS, REALS), (REALS, UNIT), (REALS, OPEN_UNIT), (REALS, SIMPLEX),
    (UNIT, UNIT), (UNIT, OPEN_UNIT), (UNIT, SIMPLEX), (OPEN_UNIT, OPEN_UNIT), (SIMPLEX, SIMPLEX),
    *((GAUSSIANS, inner) for inner in (REALS, UNIT, OPEN_UNIT, SIMPLEX, GAUSSIANS)),
}  # fmt: skip


@pytest.mark.parametrize(
    ("outer", "inner"), list(product([REALS, UNIT, OPEN_UNIT, SIMPLEX, GAUSSIANS], repeat=2))
)
def test_contains(outer, inner):
    assert outer.contains(inner) == ((outer, inner) in CONTAINED)


def test_half_open_intervals():
    positive = Interval(0, inf, includes_high=False)
    assert positive.contains(UNIT)
    assert not Interval(0, inf, False, False).contains(UNIT)
    assert not UNIT.contains(positive)
    assert positive.closure() == positive


@pytest.mark.parametrize(
    ("region", "closed"),
    [*((one, one) for one in (REALS, UNIT, SIMPLEX, GAUSSIANS)), (OPEN_UNIT, UNIT)],
)
def test_closure(region, closed):
    assert region.closure() == closed


@pytest.mark.parametrize(
    ("region", "words", "predictions"),
    [
        (REALS, "any real number", "any real number"),
        (UNIT, "values in [0, 1]", "predictions in [0, 1]"),
        (OPEN_UNIT, "values in (0, 1)", "predictions in (0, 1)"),
        (SIMPLEX, "probabilities that sum to 1",
         "predictions that are probabilities and sum to 1"),
        (GAUSSIANS, "a mean and a standard deviation",
         "predictions that are means and standard deviations"),
    ],
)  # fmt: skip
def test_words(region, words, predictions):
    assert str(region) == words
    assert region.describe("predictions") == predictions


def test_entries_and_least_outputs():
    assert SIMPLEX.entries == UNIT
    assert UNIT.entries == UNIT
    assert GAUSSIANS.entries == GAUSSIANS
    regions = (UNIT, SIMPLEX, GAUSSIANS)
    assert [one.least_outputs for one in regions] == [1, 2, 1]
    assert [one.per_target for one in regions] == [1, 1, 2]
