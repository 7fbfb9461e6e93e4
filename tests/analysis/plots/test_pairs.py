from __future__ import annotations

import numpy as np
import pytest

from mlr.analysis.plots import pair_curves
from mlr.analysis.plots.style import PAIRS, STYLES, pair_styles
from mlr.core.checks import InputError
from mlr.heads import HEADS
from mlr.losses import LOSSES
from mlr.objectives import Objective
from tests.analysis.plots.reading import assert_inside, curve, names

Z = np.linspace(-6, 6, 601)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def test_the_curves_are_those_of_the_formulas():
    figure = pair_curves(["sigmoid+se", "sigmoid+bce"])
    loss_1, gradient_1, loss_0, gradient_0 = figure.axes
    y = sigmoid(Z)
    for target, loss in ((1, loss_1), (0, loss_0)):
        told = curve(loss, "sigmoid + BCE")
        np.testing.assert_allclose(told[:, 0], Z, atol=1e-12)
        np.testing.assert_allclose(told[:, 1], -np.log(y if target else 1 - y), rtol=1e-9)
        np.testing.assert_allclose(
            curve(loss, "sigmoid + SE")[:, 1], (y - target) ** 2 / 2, rtol=1e-9
        )
        assert loss.get_ylabel() == f"loss, target {target}"
    for target, axes in ((1, gradient_1), (0, gradient_0)):
        se, bce = (np.asarray(line.get_ydata()) for line in axes.lines[:2])
        np.testing.assert_allclose(bce, y - target, rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(se, (y - target) * y * (1 - y), rtol=1e-9, atol=1e-15)
        assert axes.get_ylabel() == f"dL/dz, target {target}"
    assert names(figure) == ["sigmoid + SE", "sigmoid + BCE"]
    assert_inside(figure)


def test_the_curves_of_one_pair_fill_their_axes_and_of_several_stay_readable():
    alone = pair_curves("clipped_linear+bce").axes[0]
    assert alone.get_ylim()[1] > 100
    loss, gradient = pair_curves(["clipped_linear+bce", "sigmoid+bce"]).axes[:2]
    assert 6 < loss.get_ylim()[1] < 10
    assert gradient.get_ylim()[0] > -4


def test_objectives_may_be_given():
    given = pair_curves([Objective("softmax", "ce")]).axes[0]
    z = curve(given, "softmax + CE")
    np.testing.assert_allclose(z[:, 1], np.log1p(np.exp(-Z)), rtol=1e-9)


@pytest.mark.parametrize(
    ("pair", "told"),
    [
        ("sigmoid", "sigmoid is no pair; write head.loss"),
        ("sigmoid+", "is no pair"),
        ("sigmoyd+se", "Unknown head=sigmoyd"),
        ("linear+ce", "needs predictions that are probabilities"),
    ],
)
def test_no_pair_is_refused(pair, told):
    with pytest.raises(InputError, match=told):
        pair_curves(["sigmoid+se", pair])


def test_no_pairs_are_refused():
    with pytest.raises(InputError, match="There is no pair to draw"):
        pair_curves([])


def test_styles_differ_and_do_not_change_with_the_others():
    every = [f"{head.name}+{loss.name}" for head in HEADS for loss in LOSSES]
    assert len(set(PAIRS.values())) == len(PAIRS)
    assert len(set(STYLES)) == len(STYLES) == 28
    for start in range(0, len(every), 10):
        some = every[start : start + 10]
        assert len(set(pair_styles(some).values())) == len(some)
    assert pair_styles(every)["sigmoid+bce"] == pair_styles(["sigmoid+bce"])["sigmoid+bce"]
    focal = pair_styles(["sigmoid+focal"])
    assert pair_styles(["sigmoid+se", "sigmoid+focal"])["sigmoid+focal"] == focal["sigmoid+focal"]
