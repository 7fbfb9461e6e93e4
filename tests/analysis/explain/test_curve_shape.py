"""Numbers that are read off curves, against literal ones with the numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mlr.analysis.explain import curve_shape
from tests.analysis.explain.sides import facts

INF, NAN = float("inf"), float("nan")
TRAINED, VALIDATED = "curve.loss/train", "curve.loss/val"
HALVES = {"pair": "softmax+se", "classes.count": [500, 500]}
"""½ (½·½ + ½·½) = 0.25 is the loss of a constant prediction."""


def about(expected):
    """Curves are read in float32."""
    return pytest.approx(expected, rel=1e-6, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([1, 1, 9, 1, 1, 1], 1),  # one odd batch, in the midst, at the start or at the end
        ([9, 1, 1, 1, 1, 1], 1),
        ([1, 1, 1, 1, 1, 9], 1),
        ([1, 1, 9, 8, 1, 1], 8),  # two of them
        ([9, 8, 1, 1, 1, 1], 8),
        ([1, 1, 1, 1, 8, 9], 8),
        ([1, 1, 2, 7, 9, 1], 7),  # the median of 2, 7 and 9
        ([9, 9, 9, 9, 9], NAN),  # too few
    ],
)
def test_a_peak_is_a_median_of_three(losses, expected):
    assert curve_shape.peak(facts({TRAINED: losses, "start.loss": 1.0})) == about(expected)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"start.loss": 0.5}, 8),  # 4 / 0.5
        ({"start.loss": 0.125}, 32),
        (HALVES, 16),  # 4 / 0.25
        (HALVES | {"start.loss": 0.125}, 16),
        (HALVES | {"start.loss": 0.5}, 8),
        ({}, 2),  # the first loss is 2
        ({"start.loss": 0.0}, 2),
        ({"start.loss": -1.0}, 2),
    ],
)
def test_a_peak_is_a_multiple_of_the_loss_at_a_sane_start(told, expected):
    assert curve_shape.peak(facts({TRAINED: [2, 4, 4, 4, 1, 1]} | told)) == about(expected)


@pytest.mark.parametrize("first", [0, -1])
def test_nothing_is_a_multiple_of_no_loss(first):
    assert curve_shape.peak(facts({TRAINED: [first, 4, 4, 4, 1, 1]})) == about(NAN)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([1] * 7 + [1, 4, 1, 4, 1, 4, 1], np.log(4)),  # log 4 and −log 4 in turn
        ([1] * 7 + [1, 2, 16, 32, 256, 512, 4096], np.log(2)),  # log 2 and log 8, about log 4
        # three of log 4 and two of −log 4, about a fifth of it
        ([1] * 5 + [1, 4, 1, 4, 1, 4], np.log(4) * np.sqrt(1 - 1 / 25)),
        ([9, 1, 9, 1, 9, 1, 1, 2, 4, 8, 16, 32], 0),  # a steady rise or fall is none
        ([9, 1, 9, 1, 9, 1, 32, 16, 8, 4, 2, 1], 0),
        ([INF, 0] + [1] * 5 + [1, 4, 1, 4, 1, 4, 1], np.log(4)),  # the first half does not count
        ([1] * 5 + [1, 4, 1, 4, 1], NAN),  # five values of it are too few
        ([1] * 7 + [1, 4, 1, INF, 1, 4, 1], NAN),
        ([1] * 7 + [1, 4, 1, 0, 1, 4, 1], NAN),
        ([1] * 7 + [1, 4, 1, -4, 1, 4, 1], NAN),
    ],
)
def test_leaps(losses, expected):
    assert curve_shape.leaps(facts({VALIDATED: losses})) == about(expected)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({TRAINED: [9, 9, 1, 9, 2, 1]}, 0.6),  # after 30 of 50 updates; 2 is not above 2
        ({TRAINED: [9, 9, 1, 1, 1, 9]}, 1),
        ({TRAINED: [2, 1, 1, 1, 1, 1]}, 0),
        ({TRAINED: [9, 1, 1, 1, 1, 1]}, 0),
        ({TRAINED: [9, 1, 1, 1, 1, 1], VALIDATED: [9] * 6}, 0),
        ({TRAINED: [1] * 5, VALIDATED: [9, 9, 9, 1, 1, 1]}, 0.4),  # too few, 20 of 50
        ({TRAINED: [1] * 5, VALIDATED: [9] * 5}, NAN),
    ],
)
def test_the_time_above_a_level(told, expected):
    assert curve_shape.time_above(facts(told), 2.0) == about(expected)


def test_a_table_that_counts_no_updates_tells_no_time():
    told = facts({TRAINED: [9, 9, 1, 9, 2, 1]})
    series = told.run.series
    vars(told.run)["series"] = series._replace(steps=0 * series.steps)  # others may have written it
    assert np.isnan(curve_shape.time_above(told, 2.0))


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([9] * 6 + [3, 4, 5] + [4, 6, 8], 0.5),  # 6 after 4
        ([9] * 6 + [3, 4, 5] + [4, 3, 2], 0.25),  # 3 after 4
        ([9] * 8 + [3, 4, 5, 4] + [4, 6, 8], 0.5),  # quarters of 4, 4, 4 and 3
        ([9] * 6 + [0.25] * 3 + [0.5] * 3, 1),
        ([9, 9, INF, 9, 9, 9, 3, 4, 5, 4, 3, 2], NAN),
        ([9] * 6 + [0, 0, 0] + [1, 1, 1], NAN),
        ([9] * 6 + [-4, -4, -4] + [1, 1, 1], NAN),
        ([9] * 11, NAN),
    ],
)
def test_what_has_settled(losses, expected):
    assert curve_shape.settled(facts({VALIDATED: losses})) == about(expected)


@pytest.mark.parametrize(
    ("losses", "steady", "late", "whole"),
    [
        # down by 4, and by 2, of 8: 4 of 6 moves
        ([8, 7, 7.5, 4, 3, 3, 2], 4 / 6, 0.5, 0.75),
        ([8, 7, 6, 4, 2, 1], 1, 0.75, 7 / 8),  # the middle of six is the fourth
        ([4, 5, 4, 4, 3, 2, 1], 4 / 6, INF, 0.75),  # nothing at first
        ([4, 5, 5, 5, 5, 4, 3], 2 / 6, INF, 0.25),
        ([4, 4, 4, 4, 4, 4, 4], 0, NAN, 0),
        ([4, 4, 4, 4, 5, 5, 8], 0, NAN, -1),
        ([8, 7, 6, 4, 5, 6, 6], 3 / 6, -0.5, 0.25),
        ([8, 7, 6, 4, 2, 1, 0], 1, 1, 1),
        ([0, 1, 1, 1, 1, 1, 1], NAN, NAN, NAN),
        ([-1, 1, 1, 1, 1, 0, -1], NAN, NAN, NAN),
        ([8, 7, 6, INF, 3, 2, 1], NAN, NAN, NAN),
        ([8, 7, 6, 4, 2], NAN, NAN, NAN),
    ],
)
def test_how_a_curve_falls(losses, steady, late, whole):
    found = curve_shape.fall(facts({VALIDATED: losses}))
    assert found[1:] == about((steady, late, whole))


def test_few_validations_are_replaced_by_sixths_of_the_training():
    # five of 5 and one of 4, with means 9, 8, 7, 5, 4, 3: down by 4 to the fourth, and by 2 then
    about_it = np.array([0.5, -0.5, 0.25, -0.25, 0])
    losses = np.concatenate([mean + about_it for mean in (9, 8, 7, 5, 4, 3)])[:29]
    found = curve_shape.fall(facts({TRAINED: losses, VALIDATED: [3, 2, 1, 1, 1]}))
    assert found[0] == "loss/train"
    assert found[1:] == about((1, 0.5, 6 / 9))
    assert curve_shape.fall(facts({TRAINED: losses[:24]})).steady == 1
    assert np.isnan(curve_shape.fall(facts({TRAINED: losses[:23]}))[1:]).all()
    assert (
        curve_shape.fall(facts({TRAINED: losses, VALIDATED: [6, 5, 4, 3, 2, 1]}))[0] == "loss/val"
    )


NORMS = "curve.grad_norm/"


@pytest.mark.parametrize(
    ("norms", "expected"),
    [
        ({"hidden1": [1, 2, 3], "hidden2": [9, 9, 9], "output": [4, 4, 2]}, [0.25, 0.5, 1.5]),
        ({"total": [5, 5], "hidden1": [1, 2], "output": [4, 0]}, [0.25, NAN]),
        ({"hidden1": [1, INF, 1], "output": [INF, 1, 2]}, [NAN, NAN, 0.5]),
        ({"hidden1": [1, 1], "output": [-1, 1]}, [NAN, 1]),
        ({"hidden1": [1, 2], "output": [1, 1, 1]}, []),
        ({"output": [1, 1, 1]}, []),
        ({}, []),
    ],
)
def test_the_first_layer_compared_with_the_last(norms, expected):
    share = facts({NORMS + name: curve for name, curve in norms.items()}).layer_share
    assert share == about(np.array(expected))


def led(validated, trained, every=3):
    """The lead of a run that is validated every few rows, the first time after two of them."""
    found = np.full(every * len(validated), NAN)
    found[every - 1 :: every] = validated
    return curve_shape.held_out_lead(
        facts({"curve.accuracy/val": found, "curve.accuracy/train": trained})
    )


def batches(*means):
    """Two rows of 0 before the first validation, and three an epoch, about their mean."""
    return [0, 0, *(mean + step for mean in means for step in (-0.25, 0, 0.25))]


SAME = [0.5] * 6


@pytest.mark.parametrize(
    ("validated", "trained", "expected"),
    [
        # leads of 0, 0.125; 0.25, 0.375; 0.125, 0: the mean of the second third
        ([0.5, 0.625, 0.75, 0.875, 0.625, 0.5, 1], batches(*SAME), 0.3125),
        # the validation after an epoch is not what its batches are compared with
        ([0.25, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5], batches(0.25, *SAME[1:]), 0),
        ([0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875], batches(*np.arange(2, 8) / 8), -0.125),
        ([0.5, 0.625, 0.75, INF, 0.625, 0.5, 1], batches(*SAME), NAN),
        ([1.0] * 7, [*batches(*SAME[:5]), 0.5, INF, 0.5], NAN),
        ([1.0] * 5, batches(*SAME[:4]), NAN),  # too few validations
        ([1.0] * 6, batches(0.5, 0.5, 0.5), 0.5),  # and epochs: three leads of 0.5, then two
        ([1.0] * 6, batches(0.5, 0.5), NAN),
        ([1.0] * 7, [], NAN),
    ],
)
def test_the_lead_of_examples_that_were_held_out(validated, trained, expected):
    assert led(validated, trained) == about(expected)


def test_of_the_lead_the_first_tenth_is_left_out():
    # leads of 1, and of 0.5, 0.25 and 0.125 for six epochs each; the first epoch of 20 is left out
    ahead = 0.25 + np.repeat([0.5, 0.25, 0.125], 6)
    trained = batches(0.0, *[0.25] * 18)
    assert led([1.0, *ahead, 1.0], trained) == about(0.5)
    # of 19 none is: (1 + 5 · 0.5) / 6
    assert led([1.0, *ahead[:-1], 1.0], trained[:-3]) == about(3.5 / 6)
