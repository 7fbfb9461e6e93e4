"""The tails of Student's t against scipy, mpmath and a table."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from mlr.analysis.compare.student import two_sided_p

T = np.concatenate([[0.0], np.logspace(-3, 6, 300)])


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 31, 99, 255, 1000])
def test_p_is_scipys(freedom):
    expected = 2 * stats.t.sf(T, freedom)
    there = expected > 1e-290
    found = two_sided_p(T, np.full(T.shape, freedom))
    np.testing.assert_allclose(found[there], expected[there], rtol=1e-12)
    assert (found[~there] < 1e-280).all()


def test_each_has_its_own_degrees_of_freedom():
    t, freedom = np.array([0.5, 2.0, 2.0, 30.0]), np.array([2, 2, 40, 7])
    np.testing.assert_allclose(two_sided_p(t, freedom), 2 * stats.t.sf(t, freedom), rtol=1e-12)


@pytest.mark.parametrize(("t", "freedom"), [(1e-8, 1), (1e-5, 3), (300.0, 12), (5.0, 10_000)])
def test_p_is_mpmaths(t, freedom):
    with mp.workdps(40):
        x = freedom / (freedom + mp.mpf(t) ** 2)
        expected = float(mp.betainc(mp.mpf(freedom) / 2, mp.mpf(1) / 2, 0, x, regularized=True))
    (found,) = two_sided_p(np.array([t]), np.array([freedom]))
    assert found == pytest.approx(expected, rel=1e-12 if freedom < 1000 else 1e-10)


def test_known_values():
    """Of every table: 5 % at 12.706, 4.303 and 2.042 for 1, 2 and 30 degrees of freedom."""
    found = two_sided_p(np.array([12.706, 4.303, 2.042]), np.array([1, 2, 30]))
    assert found == pytest.approx(0.05, rel=1e-3)
    assert two_sided_p(np.zeros(1), np.ones(1)) == 1
