from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mlr.analysis.compare.significance import FEWEST, LEVEL, holm, paired_p, pairwise


@pytest.mark.parametrize("seeds", [3, 4, 5, 12, 100])
def test_p_is_that_of_scipys_paired_t_test(seeds):
    rng = np.random.default_rng(seeds)
    first, second = rng.normal(size=(2, 30, seeds)), rng.normal(0.4, 1, size=(2, 30, seeds))
    for one, other in zip(first, second, strict=True):
        expected = stats.ttest_rel(one, other, axis=1).pvalue
        np.testing.assert_allclose(paired_p(one - other), expected, rtol=1e-12)


def test_a_known_value():
    """Student's own example, hours of sleep gained by ten patients: t = 4.0621, p = 0.00283."""
    first = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
    second = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
    (p,) = paired_p((second - first)[None])
    assert p == pytest.approx(0.00283289, rel=1e-5)


def test_seeds_that_one_group_lacks_do_not_count():
    differences = np.array([[0.1, 0.3, np.nan, 0.2, 0.25], [0.1, 0.2, np.nan, np.nan, np.nan]])
    p = paired_p(differences)
    assert p[0] == pytest.approx(stats.ttest_1samp([0.1, 0.3, 0.2, 0.25], 0).pvalue)
    assert np.isnan(p[1])
    assert FEWEST == 3


def test_equal_differences_are_judged_by_their_signs():
    """scipy says 0 or NaN there, which three coarse numbers would reach by chance."""
    assert paired_p(np.zeros((1, 5))) == 1
    assert paired_p(np.full((1, 5), 0.25)) == 2 / 2**5
    assert paired_p(np.full((1, 3), -0.25)) == 2 / 2**3


def test_equal_differences_are_found_through_the_rounding_of_float32():
    """Accuracies of 359 examples, one example apart each."""
    counts = np.array([[330, 341, 333, 338, 335], [331, 342, 334, 339, 336]])
    values = (counts / np.float32(359)).astype(np.float32).astype(np.float64)
    assert len(set(values[1] - values[0])) > 1
    p, _ = against(values, best=1)
    assert p[0] == 2 / 2**5


def test_holm_against_its_definition_and_known_values():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    rng = np.random.default_rng(1)
    p = np.round(rng.random(40) ** 4, 2)  # with ties
    ranks = stats.rankdata(p, method="ordinal")
    steps = {
        rank: min(1, (len(p) - rank + 1) * value) for rank, value in zip(ranks, p, strict=True)
    }
    expected = [max(steps[lower] for lower in range(1, rank + 1)) for rank in ranks]
    np.testing.assert_allclose(holm(p), expected)


def test_what_is_no_test_is_not_corrected_for():
    found = holm(np.array([0.02, np.nan, 0.01]))
    np.testing.assert_allclose(found, [0.02, np.nan, 0.02])
    assert len(holm(np.empty(0))) == 0


def test_each_is_compared_with_the_best_and_corrected_for_all_pairs():
    values = np.random.default_rng(2).normal([[2.0], [1.5], [0.0]], 0.5, size=(3, 6))
    values[2, 5] = np.nan
    pairs = [(0, 1), (0, 2), (1, 2)]
    raw = [stats.ttest_rel(values[a], values[b], nan_policy="omit").pvalue for a, b in pairs]
    corrected = holm(np.array(raw))
    p, common = against(values, best=0)
    np.testing.assert_allclose(p, [np.nan, corrected[0], corrected[1]])
    assert common.tolist() == [6, 6, 5]
    moved, _ = against(values[::-1], best=2)
    np.testing.assert_allclose(moved, p[::-1])
    every, _ = pairwise(values)
    assert every[1, 2] == every[2, 1] == pytest.approx(corrected[2])


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_units_change_no_p(scale):
    values = np.random.default_rng(3).normal([[2.0], [1.5], [0.0]], 0.5, size=(3, 6))
    np.testing.assert_allclose(pairwise(scale * values)[0], pairwise(values)[0], rtol=1e-9)


def test_one_group_or_no_number_is_no_comparison():
    assert np.isnan(against(np.ones((1, 4)), best=0)[0]).all()
    assert np.isnan(against(np.full((3, 2), np.nan), best=0)[0]).all()
    assert np.isnan(against(np.empty((2, 0)), best=0)[0]).all()


def against(values, best):
    """One row of all pairs."""
    p, common = pairwise(values)
    return p[best], common[best]


NULLS = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "skewed": lambda rng, shape: rng.exponential(size=shape),
    "a fifth stuck": lambda rng, shape: (
        np.where(rng.random(shape) < 0.2, 0.1, 0.95) + 0.01 * rng.normal(size=shape)
    ),
    "of 20 examples": lambda rng, shape: rng.binomial(20, 0.95, size=shape) / 20,
    "of 100 examples": lambda rng, shape: rng.binomial(100, 0.95, size=shape) / 100,
}


@pytest.mark.parametrize("seeds", [3, 5, 10, 100])
@pytest.mark.parametrize("name", NULLS)
def test_interchangeable_groups_are_told_apart_in_one_of_twenty_sweeps_at_most(name, seeds):
    rng = np.random.default_rng(0)
    first, second = NULLS[name](rng, (2, 10_000, seeds))
    assert (paired_p(first - second, 1e-9) <= LEVEL).mean() <= 0.06


def test_the_best_of_many_by_luck_is_not_called_better():
    """Corrected for its own comparisons only, it would be in 18 % of sweeps."""
    rng, sweeps, wrong, few = np.random.default_rng(0), 600, 0, 0
    for _ in range(sweeps):
        values = rng.normal(size=(20, 10))
        best = int(values.mean(axis=1).argmax())
        wrong += np.nanmin(against(values, best)[0]) <= LEVEL
        own = paired_p(np.delete(values[best] - values, best, axis=0))
        few += np.nanmin(holm(own)) <= LEVEL
    assert wrong / sweeps <= LEVEL
    assert few / sweeps == pytest.approx(0.18, abs=0.03)


def test_pairs_are_tested_in_parts_as_they_are_at_once(monkeypatch):
    values = np.random.default_rng(0).normal(size=(9, 5))
    p, common = pairwise(values)
    monkeypatch.setattr("mlr.analysis.compare.significance._AT_ONCE", 35)  # 7 pairs of 36
    np.testing.assert_array_equal(pairwise(values), (p, common))
    assert np.isfinite(p).sum() == 72


def test_five_seeds_tell_apart_what_differs_clearly():
    rng = np.random.default_rng(0)
    values = rng.normal([[0.96], [0.92], [0.3]], 0.005, size=(3, 5))
    assert (against(values, best=0)[0][1:] < LEVEL).all()
