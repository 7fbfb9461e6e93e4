from __future__ import annotations

from math import inf, isnan, nan

import numpy as np
import pytest

from mlr.app.compare.measures import Reached, median_of, time_to_share, wrong_gradient
from mlr.records.aggregate import Series


def series(tag: str, *values: float) -> Series:
    """A tag once in two logged steps, beside a loss that is there at every step."""
    count = 2 * len(values)
    table = np.full((count, 2), nan, dtype=np.float32)
    table[::2, 0], table[:, 1] = values, np.linspace(2, 1, count)
    steps = np.arange(count) * 5
    return Series((tag, "loss/other"), steps, table, steps / 40)


def test_the_first_point_with_nine_tenths_of_the_last_accuracy():
    found = time_to_share(series("accuracy/val", 0.1, 0.71, 0.72, 0.85, 0.8))
    assert found == Reached(updates=20, epochs=0.5)
    assert time_to_share(series("accuracy/val", 0.8, 0.1, 0.8)) == Reached(0, 0.0)
    assert time_to_share(series("accuracy/val", 0.1, 0.5, 0.8), share=0.5) == Reached(10, 0.25)


def test_nine_tenths_of_the_fall_of_the_loss_where_there_is_no_accuracy():
    assert time_to_share(series("loss/train", 11.0, 5.0, 2.1, 1.9, 1.0)) == Reached(30, 0.75)


@pytest.mark.parametrize(
    "nothing",
    [
        None,
        series("accuracy/val", 0.9),
        series("accuracy/val", 0.1, 0.9, inf),
        series("loss/train", 1.0, 1.0),
        series("loss/train", 1.0, 2.0),
        series("loss/train", 1.0, 0.5, inf),
        series("grad_norm/total", 1.0, 0.5),
        series("accuracy/val"),
    ],
    ids=str,
)
def test_no_time_where_there_is_nothing_to_reach_or_no_point_before_the_last(nothing):
    assert time_to_share(nothing) is None


def test_a_number_that_was_not_finite_on_the_way_is_not_reached():
    assert time_to_share(series("loss/train", 10.0, inf, 1.0)) == Reached(20, 0.5)


def test_epochs_that_nobody_counted():
    found = time_to_share(series("accuracy/val", 0.1, 0.8, 0.8)._replace(epochs=None))
    assert found.updates == 10
    assert isnan(found.epochs)


def test_the_median_gradient_on_wrong_samples_is_over_the_steps_that_have_some():
    assert wrong_gradient(series("logit_grad/wrong", 0.5, 0.25, nan, 2.0, inf)) == 0.5
    assert wrong_gradient(series("logit_grad/wrong", nan, nan)) is None
    assert wrong_gradient(series("logit_grad/right", 1.0)) is None
    assert wrong_gradient(None) is None


def test_medians_are_over_what_is_there():
    assert median_of([3, None, 1]) == 2
    assert median_of([None]) is None
