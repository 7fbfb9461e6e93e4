"""Loss, derivatives, minima and integrals of one logit."""

from __future__ import annotations

from math import pi, sqrt

import pytest
import torch

from mlr.lecture.slides.one_logit import (
    costs,
    curvature,
    expected_size,
    integral,
    logit,
    logits,
    lowest,
    slopes,
)


def test_the_target_is_one_unless_said_otherwise():
    assert costs("linear", "se", logit(0.0, 10.0)).tolist() == [0.5, 40.5]
    assert slopes("linear", "se", logit(0.0, 10.0)).tolist() == [-1, 9]
    assert costs("linear", "se", logit(0.0, 10.0), target=0.0).tolist() == [0, 50]


def test_slopes_and_curvatures_are_derivatives():
    z, step = logits(-4, 4, 81), 1e-5
    for pair in (("sigmoid", "se"), ("sigmoid", "bce"), ("linear", "se")):
        rise = (costs(*pair, z + step) - costs(*pair, z - step)) / (2 * step)
        bend = (slopes(*pair, z + step) - slopes(*pair, z - step)) / (2 * step)
        torch.testing.assert_close(slopes(*pair, z), rise, rtol=0, atol=1e-9)
        torch.testing.assert_close(curvature(*pair, z), bend, rtol=0, atol=1e-9)


def test_lowest_finds_place_and_value():
    place, value = lowest(lambda z: (z[:, 0] - 1.234) ** 2 - 5, -8, 8)
    assert place == pytest.approx(1.234, abs=1e-7)
    assert value == pytest.approx(-5, abs=1e-14)


def test_the_integral_of_a_kink_at_a_whole_number_is_exact():
    assert integral(lambda z: (z[:, 0] - 1).abs(), -3, 4) == pytest.approx(8 + 4.5, abs=1e-13)


@pytest.mark.parametrize("deviation", [0.5, 1.0, 10.0])
def test_the_mean_over_normal_logits(deviation):
    # E|z − 1| of a folded normal, in closed form
    normal = torch.distributions.Normal(0.0, 1.0)
    ratio = torch.tensor(1 / deviation, dtype=torch.float64)
    tail = 2 * float(normal.cdf(ratio)) - 1
    exact = deviation * sqrt(2 / pi) * float(torch.exp(-(ratio**2) / 2)) + tail
    assert expected_size("linear", "se", deviation) == pytest.approx(exact, rel=1e-7)
