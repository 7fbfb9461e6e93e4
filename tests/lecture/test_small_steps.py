"""Gradient descent on one bias, and its limit of small steps."""

from __future__ import annotations

from itertools import pairwise
from math import exp

import pytest
import torch

from mlr.lecture.slides.one_logit import slopes
from mlr.lecture.slides.small_steps import descend_bias, flow_time, updates_until_right


@pytest.mark.parametrize(("loss", "updates"), [("se", [7, 16, 168]), ("bce", [2, 3, 6])])
def test_updates_until_right(loss, updates):
    assert updates_until_right(descend_bias("sigmoid", loss, (-1.0, -2.0, -5.0))) == updates


def test_each_update_follows_the_objective():
    path = descend_bias("sigmoid", "se", (-2.0,), lr=0.5)[:, 0]
    for before, after in pairwise(path[:21]):
        moved = before - 0.5 * slopes("sigmoid", "se", before.reshape(1, 1))[0]
        assert float(after) == pytest.approx(float(moved), abs=1e-15)


def test_a_start_that_is_right_needs_no_update():
    path = descend_bias("sigmoid", "se", (0.5, 1.0))
    assert path.shape == (1, 2)
    assert updates_until_right(path) == [0, 0]


def test_starts_do_not_move_each_other():
    alone = descend_bias("sigmoid", "bce", (-3.0,))
    both = descend_bias("sigmoid", "bce", (-3.0, -4.0))
    assert torch.equal(alone[:, 0], both[: len(alone), 0])


@pytest.mark.parametrize("start", [-1, -5, -10])
def test_gradient_flow_has_its_closed_form(start):
    def cross(z: float) -> float:
        return z + exp(z)

    def squared(z: float) -> float:
        return 3 * z + 3 * exp(z) + exp(2 * z) / 2 - exp(-z)

    assert flow_time("sigmoid", "bce", start) == pytest.approx(cross(0) - cross(start), rel=1e-13)
    assert flow_time("sigmoid", "se", start) == pytest.approx(
        squared(0) - squared(start), rel=1e-13
    )
