"""The learning rate: a run on each side of each threshold, and what is said of it.

All have two classes of as many examples: a softmax with squared error that answers ½ and ½ costs
½ (½·½ + ½·½) = 0.25 whatever the class, so that every share of it is exact in binary.
"""

from __future__ import annotations

import numpy as np
import pytest

from mlr.analysis.explain import findings
from mlr.analysis.explain.rules_rate import lr_too_high, lr_too_low
from tests.analysis.explain.sides import check, facts, on_either_side

ROWS = 22
PLAIN = {
    **{"pair": "softmax+se", "steps": 220, "examples": 1000, "classes.count": [500, 500]},
    **{"start.loss": 0.25, "start.saturated": 0.0},
    **{"wrong": 0.1, "stuck": 0.0, "saturated": 0.3},
    **{"loss/train": 0.2, "loss/val": 0.2, "accuracy/train": 0.9},
    "config.optimizer.lr": 0.5,
}
"""Has learned something, and is not done yet."""
UNKNOWN = {"pair": "softmax+hinge", "start.loss": 0.5}
"""A pair whose constant prediction has no formula: the loss at the start, twice as high, stands
for it."""
TRAINED, VALIDATED = "curve.loss/train", "curve.loss/val"
FIRST, LAST = "curve.grad_norm/hidden1", "curve.grad_norm/output"
RATE, WARM_UP = "curve.learning_rate", "config.schedule.warmup_steps"


def up_to(top):
    """A loss of 0.25 but for three rows."""
    return [0.25] * 5 + [top] * 3 + [0.25] * (ROWS - 8)


def up_and_down(log_factor, low=0.2):
    """A loss whose second half goes up and down by a factor, 5 times each: the standard deviation
    of the logarithms is that of the factor, and the median the lower value."""
    return [2.0] * 11 + [low, low * np.exp(log_factor)] * 5 + [low]


def between(first, last):
    """A curve that goes from one value to another, by the same factor from row to row."""
    return np.geomspace(first, last, ROWS)


def falls(early, late, ups=0):
    """A straight loss from 100, by so much in its first 50 moves and in its last 50, of which
    some go up: neighbours that have changed places."""
    curve = 100 - np.append(np.linspace(0, early, 51), early + np.linspace(0, late, 51)[1:])
    for row in range(3, 3 + 3 * ups, 3):
        curve[[row, row + 1]] = curve[[row + 1, row]]
    return curve


RISEN = PLAIN | {TRAINED: up_to(4.0)}
LEAPT = PLAIN | {VALIDATED: up_and_down(1.0)}
ALONE = LEAPT | {"loss/train": None}
KILLED = PLAIN | {FIRST: between(1000, 0.5), LAST: between(1000, 1000)}
FLAT = PLAIN | {"wrong": 0.5, "stuck": 0.4, "saturated": 0.95, "loss/train": 0.25}
LOST = PLAIN | {"status": "diverged"}
LOW = PLAIN | {VALIDATED: falls(20, 16), "loss/train": 0.24, "wrong": 0.4}
LITTLE = LOW | {VALIDATED: falls(20, 5)}
NO_CONSTANT = LOW | UNKNOWN | {"wrong": 0.2}
HELD_BACK = PLAIN | {WARM_UP: 2000, RATE: [0.1, 0.2, 0.1]}


@on_either_side(
    # 5 · 0.25, or 5 · 0.5
    ("PEAK", RISEN, TRAINED, up_to(1.25), up_to(1.24)),
    ("PEAK, high start", RISEN | {"start.loss": 0.5}, TRAINED, up_to(2.5), up_to(2.49)),
    ("PEAK, no constant", RISEN | UNKNOWN, TRAINED, up_to(2.5), up_to(2.49)),
    # 0.2 · 0.25 for the larger of the two losses, or 0.2 · 0.5
    ("UNSETTLED, validation", RISEN | {"loss/train": 0.01}, "loss/val", 0.05, 0.0499),
    ("UNSETTLED, training", RISEN | {"loss/val": 0.01}, "loss/train", 0.05, 0.0499),
    ("UNSETTLED, training alone", RISEN | {"loss/val": None}, "loss/train", 0.05, 0.0499),
    ("UNSETTLED, validation alone", RISEN | {"loss/train": None}, "loss/val", 0.05, 0.0499),
    ("UNSETTLED, no constant", RISEN | UNKNOWN | {"loss/train": 0}, "loss/val", 0.1, 0.0999),
    # a loss at the start that is 5 above 0.25 has much to come down from
    ("initial_loss", RISEN | {TRAINED: up_to(30)}, "start.loss", 5.24, 5.25),
)
def test_a_loss_that_rose(side):
    check(lr_too_high, side, "the loss rose to")


@on_either_side(
    # by exp(0.5) at 0.2 · 0.25, of which both the final loss and the median have as much
    *[("0.5", LEAPT | {"loss/train": 0.1}, VALIDATED, up_and_down(0.505), up_and_down(0.495))],
    ("0.5 at 0.2", LEAPT, "loss/train", 0.05, 0.0499),
    ("0.5 at 0.2, median", LEAPT, VALIDATED, up_and_down(1, 0.0505), up_and_down(1, 0.0495)),
    # by exp(0.3) at 0.5 · 0.25
    ("0.3", LEAPT, VALIDATED, up_and_down(0.303), up_and_down(0.297)),
    ("0.3 at 0.5", LEAPT | {VALIDATED: up_and_down(0.4)}, "loss/train", 0.125, 0.124),
    ("0.3 at 0.5, median", LEAPT, VALIDATED, up_and_down(0.4, 0.126), up_and_down(0.4, 0.124)),
    ("0.5 at 0.2, median alone", ALONE, VALIDATED, up_and_down(1, 0.0505), up_and_down(1, 0.0495)),
    ("initial_loss", LEAPT, "start.loss", 5.24, 5.25),
)
def test_a_loss_that_leaps(side):
    check(lr_too_high, side, "the loss still leaps")


@on_either_side(
    # at the start 1000 / 100,000 of the last layer's gradient
    ("ALIVE", KILLED, LAST, between(1e5, 1e5), between(1.01e5, 1e5)),
    # 0.5 / 1000 is a thousandth of 1000 / 2000
    ("KILLED, share", KILLED, LAST, between(2000, 1020), between(2000, 1000)),
    (
        "KILLED, norm",
        KILLED | {LAST: between(1, 1e6)},
        FIRST,
        between(1000, 0.99),
        between(1000, 1),
    ),
    ("IN_VAIN", KILLED, "loss/train", 0.125, 0.124),  # 0.5 · 0.25
    ("no constant", KILLED | UNKNOWN, "loss/train", 0.25, 0.249),  # 0.5 · 0.5
    ("a layer below", KILLED, FIRST, between(1000, 0.5), None),
    ("initial_loss", KILLED | {"loss/train": 3}, "start.loss", 5.24, 5.25),
)
def test_hidden_units_that_were_killed(side):
    check(lr_too_high, side, "killed the hidden units")


@on_either_side(
    ("SOFT", FLAT, "start.saturated", 0.1, 0.101),
    ("HARD", FLAT, "saturated", 0.9, 0.899),
    ("stuck of wrong", FLAT, "stuck", 0.25, 0.249),  # 0.5 · 0.5
    ("unlearned, errors", FLAT, "wrong", 0.45, 0.449),  # 0.9 · 0.5
    ("unlearned, loss", FLAT, "loss/train", 0.225, 0.224),  # 0.9 · 0.25
    ("initial_loss", FLAT, "start.loss", 5.24, 5.25),
)
def test_outputs_that_were_saturated(side):
    check(lr_too_high, side, "saturated the outputs")


@on_either_side(
    ("status", PLAIN, "status", "diverged", "done"),
    ("NaN", PLAIN, "loss/train", float("nan"), 0.2),
    ("infinite", PLAIN, "loss/train", float("inf"), 0.2),
)
def test_a_loss_without_bound(side):
    check(lr_too_high, side, "the loss grew without bound")


COURSE = "loss/train 0.25 at the start, at most 4, 0.2 at the end"
SAID_HIGH = {
    "lost": (
        LOST | {TRAINED: up_to(4)},
        "the loss grew without bound",
        f"status diverged; {COURSE}",
    ),
    "risen": (  # 4 / 0.25
        RISEN | {"loss/val": 0.3},
        "the loss rose to 16 times its size at the start and did not settle",
        f"{COURSE}; the larger of loss/train and loss/val 0.3",
    ),
    "leapt": (
        PLAIN | {VALIDATED: up_and_down(np.log(3))},
        "from epoch to epoch the loss still leaps, typically by a factor of 3.0",
        "loss/val in the second half from 0.2 to 0.6",
    ),
    "killed": (
        KILLED,
        "the first updates have killed the hidden units, which no longer learn",
        "grad_norm/hidden1 from 1e+03 to 0.5; loss/train 0.25 at the start, 0.2 at the end",
    ),
    "flat": (
        FLAT | {"start.saturated": 0.05},
        "the first updates have saturated the outputs, which no longer learn",
        "saturated outputs 0.05 at the start, 0.95 at the end; "
        "loss/train 0.25 at the start, 0.25 at the end",
    ),
}


@pytest.mark.parametrize("case", SAID_HIGH)
def test_what_is_said_of_a_rate_that_is_too_high(case):
    told, why, evidence = SAID_HIGH[case]
    found = lr_too_high(facts(told))
    assert found.sentence == f"The learning rate optimizer.lr=0.5 is too high: {why}."
    assert found.evidence == evidence
    assert found.remedy == "optimizer.lr=0.05"
    assert found.spare == ["optimizer.lr=0.005", "optimizer.lr=0.0005"]


@pytest.mark.parametrize(
    ("rate", "recorded", "named", "remedies"),
    [
        # half of it, at its highest, is taken for all of it
        (0.5, [0.1, 0.25, 0.1], " optimizer.lr=0.5", (0.05, 0.005, 0.0005)),
        (
            0.5,
            [0.1, 0.248, 0.1],
            " 0.248, on its way to optimizer.lr=0.5,",
            (0.0248, 0.00248, 0.000248),
        ),
        (0.123456, None, " optimizer.lr=0.123456", (0.0123, 0.00123, 0.000123)),
        (None, [0.1, 0.25, 0.1], " optimizer.lr=0.25", (0.025, 0.0025, 0.00025)),
        (None, None, "", ()),
    ],
)
def test_the_rate_that_did_it(rate, recorded, named, remedies):
    found = lr_too_high(facts(LOST | {"config.optimizer.lr": rate, RATE: recorded}))
    assert found.sentence == f"The learning rate{named} is too high: the loss grew without bound."
    expected = [f"optimizer.lr={one}" for one in remedies] or [""]
    assert [found.remedy, *found.spare] == expected


@pytest.mark.parametrize(
    ("told", "course"),
    [
        ({TRAINED: up_to(4)}, "0.25 at the start, at most 4, 0.2 at the end"),
        ({TRAINED: between(2, 3), "start.loss": None}, "2 at the start, at most 3, 0.2 at the end"),
        (
            {TRAINED: between(3, 2), "loss/train": None},
            "0.25 at the start, at most 3, 2 at the end",
        ),
        ({}, "0.25 at the start, 0.2 at the end"),
        ({"start.loss": None, "loss/train": None}, "nan at the start, nan at the end"),
        ({"loss/train": float("inf")}, "0.25 at the start, inf at the end"),
    ],
)
def test_the_course_of_the_training_loss(told, course):
    assert lr_too_high(facts(LOST | told)).evidence == f"status diverged; loss/train {course}"


@on_either_side(
    ("FAR", LOW, "loss/train", 0.15, 0.149),  # 0.6 · 0.25
    ("LATE", LOW, VALIDATED, falls(20, 13), falls(20, 12.9)),  # 0.65 · 20
    ("STEADY", LOW, VALIDATED, falls(20, 16, ups=10), falls(20, 16, ups=11)),
    # 0.1 · 20 is enough for a loss as high as a constant's, and a run that has learned nothing
    ("LATE_IF_USELESS", LOW | {"loss/train": 0.25}, VALIDATED, falls(20, 2), falls(20, 1.96)),
    ("useless", LITTLE, "loss/train", 0.25, 0.249),
    ("unlearned, errors", LITTLE, "wrong", 0.45, 0.449),  # 0.9 · 0.5
    ("unlearned, loss", LITTLE | {"wrong": 0.5}, "loss/train", 0.225, 0.224),  # 0.9 · 0.25
    # without a constant the loss at the start, 0.5, stands for it, or half of the examples do
    ("FAR, no constant", NO_CONSTANT, "loss/train", 0.3, 0.299),
    ("MOSTLY", NO_CONSTANT | {"loss/train": 0.1}, "wrong", 0.5, 0.499),
    ("MOSTLY is for those", LOW | {"wrong": 0.6}, "loss/train", 0.15, 0.149),
)
def test_a_loss_that_falls_still(side):
    check(lr_too_low, side, "is too low, or the training too short")


@on_either_side(
    ("warm-up", HELD_BACK, WARM_UP, 221, 220),
    ("REACHED", HELD_BACK, RATE, [0.1, 0.249, 0.1], [0.1, 0.25, 0.1]),
    ("FAR", HELD_BACK, "loss/train", 0.15, 0.149),
    ("a warm-up at all", HELD_BACK, WARM_UP, 2000, None),
)
def test_a_warm_up_that_holds_back(side):
    check(lr_too_low, side, "The warm-up is longer than the training")


def test_what_is_said_of_a_rate_that_is_too_low():
    found = lr_too_low(facts(LOW | {TRAINED: between(0.25, 0.24)}))
    assert found.sentence == (
        "The learning rate optimizer.lr=0.5 is too low, or the training too short: the loss still "
        "falls steadily, and most of it is still there."
    )
    assert found.evidence == (  # (20 + 16) / 100, and 16 / 20
        "loss/val fell by 36 % in all, in the second half 0.8 times as much as in the first; "
        "loss/train 0.25 at the start, at most 0.25, 0.24 at the end"
    )
    assert found.remedy == "optimizer.lr=5"
    assert found.spare == ["optimizer.lr=50", "optimizer.lr=500"]


def test_a_second_half_that_alone_fell_is_compared_with_nothing():
    late = [100, *range(109, 99, -1), *range(98, 78, -2)]  # one rise takes all of the first half
    found = lr_too_low(facts(LOW | {VALIDATED: late, TRAINED: between(0.25, 0.24)}))
    assert found.evidence == (
        "loss/val fell by 20 % in all; loss/train 0.25 at the start, at most 0.25, 0.24 at the end"
    )


def test_hardly_all_is_not_all():
    found = lr_too_low(facts(LOW | {VALIDATED: falls(55, 44.8)}))
    assert found.evidence.startswith("loss/val fell by 99.8 % in all, ")


def test_the_curve_that_fell_is_named():
    losses = 0.25 - 0.01 * np.repeat([0, 1, 2, 3, 4, 5], 4)  # a sixth of it after another
    found = lr_too_low(facts(LOW | {VALIDATED: None, TRAINED: losses}))
    assert found.evidence == (  # 0.05 / 0.25, and 0.02 / 0.03
        "loss/train fell by 20 % in all, in the second half 0.667 times as much as in the first; "
        "loss/train 0.25 at the start, at most 0.25, 0.24 at the end"
    )


@pytest.mark.parametrize(
    ("rate", "recorded", "named", "remedies"),
    [
        (0.123456, [0.1, 0.2, 0.1], " optimizer.lr=0.123456", ("1.23456", "12.3", "123")),
        (None, [0.1, 0.25, 0.1], " optimizer.lr=0.25", ("2.5", "25", "250")),
        (None, None, "", ()),
    ],
)
def test_the_rate_that_is_to_rise(rate, recorded, named, remedies):
    found = lr_too_low(facts(LOW | {"config.optimizer.lr": rate, RATE: recorded}))
    assert found.sentence.startswith(f"The learning rate{named} is too low, or")
    expected = [f"optimizer.lr={one}" for one in remedies] or [""]
    assert [found.remedy, *found.spare] == expected


@pytest.mark.parametrize(("updates", "shorter"), [(1649, 164), (20, 2), (19, 1), (5, 1)])
def test_what_is_said_of_a_warm_up(updates, shorter):
    found = lr_too_low(facts(HELD_BACK | {"steps": updates, TRAINED: [0.3, 0.2]}))
    assert found.sentence == (
        f"The warm-up is longer than the training: after {updates:,} of "
        "schedule.warmup_steps=2,000 updates the learning rate has come to 0.2, not to "
        "optimizer.lr=0.5, and most of the loss is still there."
    )
    assert found.evidence == (
        "learning_rate at most 0.2; loss/train 0.25 at the start, at most 0.3, 0.2 at the end"
    )
    assert found.remedy == f"schedule.warmup_steps={shorter}"


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        *(("lr_too_high", told) for told in (LOST, RISEN, LEAPT, KILLED, FLAT)),
        *(("lr_too_low", told) for told in (LOW, HELD_BACK)),
    ],
)
def test_the_rate_is_the_first_that_is_told(rule, told):
    assert next(iter(findings(facts(told).run))) == rule


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_the_command_of_the_report_is_told_so(train, schedule):
    line = ("data=digits", f"schedule={schedule}", "schedule.warmup_steps=100000", "epochs=2")
    out = train(*line, "head=softmax", "loss=ce", "optimizer.lr=0.02").out
    assert "The warm-up is longer than the training" in out
    assert "Try schedule.warmup_steps=8." in out
