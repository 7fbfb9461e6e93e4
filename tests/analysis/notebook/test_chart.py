"""Small charts: their points are the values."""

from __future__ import annotations

import re
from math import inf, log10, nan

import numpy as np
import pytest

from mlr.analysis.notebook.chart import SmallCurve, chart
from tests.analysis.notebook.parsed import Parsed

LEFT, RIGHT, TOP, BOTTOM = 88, 388, 26, 138


def curve(tag: str, values: list[float], step: int = 10) -> SmallCurve:
    return SmallCurve(tag, step * np.arange(len(values)), np.array(values))


def lines(*curves: SmallCurve) -> list[list[tuple[float, float]]]:
    """Points of each curve; a gap begins a new list."""
    page = Parsed(chart(curves))
    paths = [own["d"] for own in page.of("path") if own.get("stroke-width") and "L" in own["d"]]
    return [
        [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", part)]
        for path in paths
        for part in path.split("M")[1:]
    ]


@pytest.mark.parametrize("least", [1.0, -1.0])
def test_points_lie_between_0_or_a_smaller_value_and_the_largest(least):
    values = [3.0, 2.0, 1.5, least]
    low = min(least, 0.0)
    (points,) = lines(curve("loss/train", values))
    for at, ((x, y), value) in enumerate(zip(points, values, strict=True)):
        assert x == pytest.approx(LEFT + (RIGHT - LEFT) * at / 3, abs=0.051)
        assert y == pytest.approx(BOTTOM - (BOTTOM - TOP) * (value - low) / (3 - low), abs=0.051)


def test_two_curves_share_the_axes():
    one, other = lines(curve("a", [0.0, 1.0]), curve("b", [2.0, 4.0], step=5))
    assert one == [(LEFT, BOTTOM), (RIGHT, 110.0)]
    assert other == [(LEFT, 82.0), (LEFT + 150, TOP)]


def test_many_decades_are_logarithmic():
    values = [1.0, 0.1, 0.001]
    (points,) = lines(curve("logit_grad/wrong", values))
    assert [y for _, y in points] == pytest.approx(
        [BOTTOM - (BOTTOM - TOP) * (log10(value) + 3) / 3 for value in values], abs=0.051
    )
    assert "log" in Parsed(chart([curve("a", values)])).texts
    assert "log" not in Parsed(chart([curve("a", [1.0, 0.01])])).texts
    assert "log" not in Parsed(chart([curve("a", [1.0, 0.001, 0.0])])).texts


def test_ends_are_written_and_told():
    page = Parsed(chart([curve("loss/train", [2.302585, 0.125]), curve("loss/val", [nan, 0.5])]))
    assert {"2.303", "0", "10 updates", "loss/train", "loss/val"} <= {*page.texts}
    title = "loss/train from 2.303 to 0.125; loss/val from 0.5 to 0.5"
    assert page.texts[0] == title
    solid, dashed = [own for own in page.of("path") if "h24" in own["d"]]
    assert "stroke-dasharray" not in solid
    assert "stroke-dasharray" in dashed
    assert solid["stroke"] != dashed["stroke"]


def test_values_that_are_not_finite_leave_a_gap():
    found = lines(curve("a", [1.0, 2.0, inf, nan, 3.0, 5.0]))
    assert [len(points) for points in found] == [2, 2]
    assert found[1][1] == (RIGHT, TOP)


def test_equal_values_are_a_level_line():
    assert lines(curve("a", [0.5, 0.5])) == [[(LEFT, TOP), (RIGHT, TOP)]]
    assert lines(curve("a", [0.0, 0.0])) == [[(LEFT, 82.0), (RIGHT, 82.0)]]


@pytest.mark.parametrize("curves", [[], [curve("a", [])], [curve("a", [nan, inf])]])
def test_without_a_number_there_is_no_chart(curves):
    assert chart(curves) == ""


def test_a_long_curve_is_thinned_to_its_last_point():
    drawn = chart([curve("a", [float(at % 7) for at in range(100_001)])])
    assert len(drawn) < 10_000
    (points,) = lines(curve("a", [float(at % 7) for at in range(100_001)]))
    assert len(points) <= 300
    assert points[-1][0] == RIGHT
