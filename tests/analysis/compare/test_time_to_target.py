from __future__ import annotations

from math import inf, nan
from pathlib import Path

import numpy as np
import pytest

from mlr.analysis.compare.time_to_target import (
    NEVER,
    Reached,
    Target,
    median_of,
    reached,
    shared_target,
)
from mlr.records.reading import Recorded
from mlr.records.series import Series


def series(tag: str, *values: float) -> Series:
    """A tag once in two logged steps, with a loss that is there at every step."""
    count = 2 * len(values)
    table = np.full((count, 2), nan, dtype=np.float32)
    table[::2, 0], table[:, 1] = values, np.linspace(2, 1, count)
    steps = np.arange(count) * 5
    return Series((tag, "loss/other"), steps, table, steps / 40)


def cell(tag: str, *ends: float, pair: str = "a+se", classes=None, lost: int = 0):
    about = {"pair": pair, "anatomy": {"classes": {"count": classes}} if classes else None}
    done = [{"status": "done", "metrics": {tag: end}, "seed": at} for at, end in enumerate(ends)]
    gone = [{"status": "diverged", "metrics": {tag: nan}, "seed": -at} for at in range(lost)]
    return [Recorded(Path("x"), about | one) for one in (*done, *gone)]


def test_the_mark_is_90_percent_of_the_way_from_a_constant_prediction_to_the_best():
    groups = [cell("accuracy/val", 0.8, 1.0, classes=[30, 10]), cell("accuracy/val", 0.5)]
    target = shared_target(groups)
    assert target == Target("accuracy/val", 0.9, 0.75)
    assert target.accuracy == pytest.approx(0.885)


def test_one_class_or_none_known_begins_at_nothing():
    for classes in (None, [5, 0], [5]):
        target = shared_target([cell("accuracy/val", 0.9, classes=classes)])
        assert target.accuracy == pytest.approx(0.81)


def test_nothing_is_worth_reaching_where_none_is_better_than_a_constant():
    assert shared_target([cell("accuracy/val", 0.52, classes=[5, 5])]) is None
    assert shared_target([cell("accuracy/val", 0.59, classes=[5, 5])]) is None
    assert shared_target([cell("accuracy/val", 0.61, classes=[5, 5])]) is not None
    assert shared_target([cell("accuracy/val", 0.6, classes=[5, 5])]) is not None  # 0.5 + 0.2 · 0.5
    assert shared_target([cell("accuracy/val", 0.0)]) is None
    assert shared_target([cell("loss/other", 0.1)]) is None


def test_who_lost_its_runs_sets_no_mark():
    found = shared_target([cell("accuracy/val", 0.99, lost=2), cell("accuracy/val", 0.5)])
    assert found.best == 0.5


def test_a_regression_has_a_mark_where_all_have_one_loss():
    """linear+gaussian_nll learns bit for bit as linear+se, and gaussian ends lower than it can."""
    linear, gaussian = (
        cell("loss/train", 1.1, pair="linear+nll"),
        cell("loss/train", 0.3, pair="gaussian+nll"),
    )
    assert shared_target([linear, gaussian]).best == 0.3
    assert shared_target([linear, gaussian, cell("loss/train", 0.2, pair="linear+se")]) is None


TARGET = Target("accuracy/val", 0.8)


def test_the_first_point_at_the_mark():
    found = reached(series("accuracy/val", 0.1, 0.71, 0.72, 0.85, 0.8), TARGET)
    assert found == Reached(updates=20, epochs=0.5)
    assert reached(series("accuracy/val", 0.8, 0.1, 0.8), TARGET) == Reached(0, 0.0)


def test_a_unit_that_never_learns_never_gets_there():
    """Of its own end, 0 %, it had 90 % at once: the fastest of all."""
    assert reached(series("accuracy/val", 0.0, 0.0, 0.0), TARGET) == NEVER


def test_a_loss_has_to_fall_as_far_as_the_best_of_its_kind():
    target = Target("loss/train", 1.0)
    assert reached(series("loss/train", 11.0, 5.0, 2.1, 1.9, 1.0), target) == Reached(30, 0.75)
    assert reached(series("loss/train", 11.0, 10.0, 9.0), target) == NEVER
    assert reached(series("loss/train", 1.0, 1.0), target) == NEVER
    assert reached(series("loss/train", 11.0, 2.5, 2.0), target) == Reached(20, 0.5)
    low = Target("loss/train", 0.25)
    assert reached(series("loss/train", 0.75, 0.375, 0.28125), low) == Reached(20, 0.5)
    assert reached(series("loss/train", 10.0, inf, 1.0), target) == Reached(20, 0.5)


@pytest.mark.parametrize(
    "nothing",
    [None, series("accuracy/val", 0.9), series("grad_norm/total", 1.0, 0.5)],
    ids=str,
)
def test_no_time_where_there_is_no_point_before_the_last(nothing):
    assert reached(nothing, TARGET) is None


def test_a_number_that_was_not_finite_on_the_way_is_not_reached():
    assert reached(series("accuracy/val", inf, 0.1, 0.9), TARGET) == Reached(20, 0.5)


def test_epochs_that_nobody_counted():
    found = reached(series("accuracy/val", 0.1, 0.8, 0.8)._replace(epochs=None), TARGET)
    assert found.updates == 10
    assert found.epochs is None


def test_medians_count_who_never_gets_there():
    assert median_of([3, None, 1]) == 2
    assert median_of([None]) is None
    assert median_of([10.0, inf, 20.0]) == 20
    assert median_of([10.0, inf, inf]) is None
