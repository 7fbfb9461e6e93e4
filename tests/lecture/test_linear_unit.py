"""The boundary of four points, and of one more."""

from __future__ import annotations

import numpy as np
import pytest

from mlr.lecture.slides.linear_unit import CLASSES, POINTS, fit_unit


@pytest.mark.parametrize("more", [(), (20.0,), (100.0,), (5.0, 7.0)])
def test_least_squares_is_solved(more):
    found = fit_unit("linear", "se", more, updates=1)
    x, t = np.array([*POINTS, *more]), np.array([*CLASSES, *(1.0 for _ in more)])
    (weight, bias), residues, *_ = np.linalg.lstsq(np.stack([x, np.ones_like(x)], 1), t)
    assert found.weight == pytest.approx(weight, rel=1e-12)
    assert found.bias == pytest.approx(bias, rel=1e-10)
    assert found.boundary == pytest.approx((0.5 - bias) / weight, rel=1e-12)
    assert found.loss == pytest.approx(residues[0] / 2 / len(x), rel=1e-12)
    assert list(found.right) == [
        (weight * a + bias >= 0.5) == bool(c) for a, c in zip(x, t, strict=True)
    ]


def test_one_outlier_makes_one_point_wrong():
    assert fit_unit("linear", "se").accuracy == 1
    assert fit_unit("linear", "se", (20.0,)).accuracy == 0.8


def test_logistic_regression_keeps_its_boundary_between_the_classes():
    for more in ((), (20.0,), (100.0,)):
        found = fit_unit("sigmoid", "bce", more)
        assert found.accuracy == 1
        assert 1 < found.boundary < 2
