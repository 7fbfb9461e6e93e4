"""The output: a run on each side of each threshold, and what is said of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlr.analysis.explain.rules_output import (
    clipped_dead,
    confident_right,
    dead_class,
    no_likelihood,
    saturated,
)
from mlr.diagnosis.findings import sentence
from tests.analysis.explain.sides import check, facts, on_either_side

NAN = float("nan")


def bins(**counts):
    """Counts of logits in 22 bins: below −10, from each whole number on, and from 10 on.

    `below_3=7` are 7 from −4 to −3, `from_3=7` are 7 from 3 to 4.
    """
    row = [0] * 22
    for name, count in counts.items():
        side, _, edge = name.partition("_")
        row[11 + int(edge) if side == "from" else 10 - int(edge)] = count
    return row


GRADIENT, COUNTS, LOSS = "curve.logit_grad/wrong", "logits.count", "curve.loss/train"
IN_DOUBT, RECALL, SIZES = "confidence.count_wrong", "classes.recall", "classes.count"
CLIPPED = {
    **{"pair": "clipped_linear+se", "examples": 1000, "wrong": 0.7, "stuck_zero": 0.68},
    "start.stuck_zero": 0.25,
}


@on_either_side(
    ("STUCK", CLIPPED | {"wrong": 0.1}, "stuck_zero", 0.05, 0.0499),
    ("STUCK_OF_WRONG", CLIPPED | {"wrong": 0.5}, "stuck_zero", 0.1, 0.0999),  # a fifth
    ("a run that ended", CLIPPED, "status", "done", "diverged"),
    ("hard_sigmoid", CLIPPED, "pair", "hard_sigmoid+se", "sigmoid+se"),
    ("sparsemax", CLIPPED, "pair", "sparsemax+se", "softmax+se"),
)
def test_a_clipped_output(side):
    check(clipped_dead, side)


@pytest.mark.parametrize(
    ("head", "why", "remedy"),
    [
        (
            "clipped_linear",
            "the clipped-linear unit is outside [0, 1] for them",
            "head=sigmoid loss=bce, or loss=matching",
        ),
        (
            "hard_sigmoid",
            "the hard sigmoid is outside [−3, 3] for them",
            "head=sigmoid loss=bce, or loss=matching",
        ),
        (
            "sparsemax",
            "sparsemax gives each class exactly 0 or 1 for them",
            "head=softmax loss=ce, or loss=matching",
        ),
    ],
)
def test_what_is_said_of_a_clipped_output(head, why, remedy):
    found = clipped_dead(facts(CLIPPED | {"pair": f"{head}+se"}))
    assert found.sentence == (
        f"68 % of the training examples are predicted wrongly and receive no gradient: {why}."
    )
    assert found.evidence == "stuck/zero 0.68, before the first update 0.25; accuracy/train 0.3"
    assert found.remedy == remedy


RAISED = {
    **{"pair": "sigmoid+ce", "wrong": 0.8, "classes.recall": [0.2] * 3},
    "logits.count": [bins(below_3=100, from_2=900), bins(from_9=500)],
}


@on_either_side(
    ("UNSHARED", RAISED, "wrong", 0.05, 0.0499),
    (
        "FLAT",
        RAISED,
        COUNTS,
        [bins(below_0=500, from_0=500), bins(from_9=500)],
        [bins(below_0=501, from_0=500), bins(from_9=500)],
    ),
    ("classes", RAISED, RECALL, [0.2] * 3, [0.2] * 2),
    ("logits", RAISED, COUNTS, [bins(from_0=1), bins()], [bins(), bins()]),
    ("logits that were counted", RAISED, COUNTS, [bins(from_0=1), bins()], None),
    *(
        (head, RAISED, "pair", f"{head}+ce", "softmax+ce")
        for head in ("sigmoid", "probit", "cloglog", "hard_sigmoid", "clipped_linear")
    ),
    *(
        (loss, RAISED, "pair", f"sigmoid+{loss}", "sigmoid+bce")
        for loss in ("ce", "smoothed_ce", "focal")
    ),
)
def test_no_likelihood(side):
    check(no_likelihood, side)


def test_what_is_said_of_no_likelihood():
    # of 500 outputs of target 0 there are 300 from 0 on: 60 %
    rows = [bins(below_0=200, from_0=180, from_5=120), bins(below_0=500)]
    found = no_likelihood(facts(RAISED | {"logits.count": rows}))
    assert found.sentence == (
        "sigmoid with ce is no likelihood: the outputs do not sum to 1, so that the loss only "
        "raises the output of each example's class and lowers none; 60 % of the outputs whose "
        "target is 0 have a logit above 0, and 80 % of the training examples are predicted wrongly."
    )
    assert found.evidence == "logits of target 0 from 0 on: 0.6; accuracy/train 0.2"
    assert found.remedy == "head=softmax, or loss=bce"


SATURATED = {
    **{"pair": "sigmoid+se", "examples": 1000, "wrong": 0.5, "stuck": 0.4, "saturated": 0.95},
    **{"accuracy/val": 0.5, "accuracy/test": 0.5, "logit_grad/wrong": 0.0041},
    **{"confidence.count_wrong": [400, 60, 40], "confidence.grad_wrong": [0.1, 0.1, 0.1]},
}


OF_SOFTMAX = SATURATED | {"pair": "softmax+se"}


@on_either_side(
    ("FLAT", SATURATED, "saturated", 0.5, 0.4999),
    ("STUCK", SATURATED | {"wrong": 0.1}, "stuck", 0.05, 0.0499),
    ("STUCK_OF_WRONG", SATURATED, "stuck", 0.1, 0.0999),  # a fifth of the half that is wrong
    # half of the 500 wrong ones are in doubt, or more
    ("FLAT, in doubt", OF_SOFTMAX, IN_DOUBT, [250, 150, 100], [251, 150, 99]),
    ("in doubt, not of a softmax", SATURATED, "pair", "sigmoid+se", "softmax+se"),
    ("in doubt, unknown", OF_SOFTMAX, IN_DOUBT, None, [400, 60, 40]),
    # all are wrong in training, so that what others have is the distance
    ("TRAILS", SATURATED | {"wrong": 1.0, "accuracy/test": None}, "accuracy/val", 0.0599, 0.06),
    *(
        (head, SATURATED, "pair", "probit+se", f"{head}+se")
        for head in ("clipped_linear", "hard_sigmoid", "sparsemax")
    ),
)
def test_an_output_that_is_saturated(side):
    check(saturated, side, "receive next to no gradient")


@pytest.mark.parametrize(
    ("pair", "why", "remedy"),
    [
        ("sigmoid+se", "sigmoid is saturated, and squared error", "loss=bce"),
        ("probit+mae", "probit is saturated, and absolute error", "loss=bce"),
        ("softmax+gce", "softmax is saturated, and generalised cross-entropy", "loss=ce"),
        ("softmax+hinge", "softmax is saturated, and hinge", "loss=ce"),
    ],
)
def test_what_is_said_of_a_saturated_output(pair, why, remedy):
    sure = {"confidence.count_wrong": [40, 60, 400]}
    found = saturated(facts(SATURATED | sure | {"pair": pair}))
    assert found.sentence == (
        "40 % of the training examples are predicted wrongly and receive next to no gradient: the "
        f"{why} does not make up for its small slope."
    )
    assert found.evidence == (
        "stuck/fraction 0.4; accuracy/train 0.5; saturation/fraction 0.95; logit_grad/wrong 0.0041"
    )
    assert found.remedy == remedy


def course(level, rows):
    """A loss that is 3 at first, at a level up to a row of 400, and 1 from then on."""
    return [3.0] + [level] * rows + [1.0] * (400 - rows)


def pulls(first):
    """‖dL/dz‖ of wrong examples: the first, and what came of it."""
    return [first] + [0.3] * 400


LATE = {
    **{"pair": "sigmoid+se", "steps": 4000, "examples": 1000, "classes.count": [500, 500]},
    **{"start.wrong": 0.9, "start.stuck": 0.6, "start.loss": 3.0, "loss/train": 1.0},
    **{"wrong": 0.1, "stuck": 0.0, "saturated": 0.3},
    **{"curve.loss/train": course(2.5, 200), "curve.logit_grad/wrong": pulls(0.01)},
}


@on_either_side(
    ("FLAT", LATE, "start.wrong", 0.5, 0.4999),
    # above (3 + 1) / 2 until a quarter of the updates, or one row less
    ("HELD_UP", LATE, LOSS, course(2.5, 100), course(2.5, 99)),
    ("half-way", LATE, LOSS, course(2.02, 200), course(1.98, 200)),
    ("FAINT", LATE, GRADIENT, pulls(0.0299), pulls(0.0301)),
    ("FAINT, 10 classes", LATE | {SIZES: [100] * 10}, GRADIENT, pulls(0.0299), pulls(0.0301)),
    ("FAINT, 20 classes", LATE | {SIZES: [50] * 20}, GRADIENT, pulls(0.0149), pulls(0.0151)),
    ("FAINT, no classes", LATE | {SIZES: None}, GRADIENT, pulls(0.0299), pulls(0.0301)),
    ("before the first update", LATE, GRADIENT, [0.01] * 401, [NAN] + [0.01] * 400),
    ("gradients", LATE, GRADIENT, pulls(0.01), None),
    # for long above where it began and came back to
    ("a loss that fell", LATE | {LOSS: course(3.5, 300)}, "loss/train", 2.99, 3.0),
    *(
        (head, LATE, "pair", "softmax+se", f"{head}+se")
        for head in ("linear", "clipped_linear", "hard_sigmoid", "sparsemax")
    ),
)
def test_an_output_that_was_saturated_for_long(side):
    check(saturated, side, "at the start, with next to no gradient")


def test_what_is_said_of_a_start_on_the_flat_part():
    found = saturated(facts(LATE | {"curve.loss/train": course(2.5, 300)}))  # of 400 rows
    assert found.sentence == (
        "90 % of the training examples were predicted wrongly at the start, with next to no "
        "gradient: the sigmoid was saturated, and squared error does not make up for its small "
        "slope; the loss was half-way down only after 75 % of the updates."
    )
    assert found.evidence == (
        "before the first update logit_grad/wrong 0.01, stuck/fraction 0.6, loss 3; after 4,000 "
        "updates loss/train 1"
    )
    assert found.remedy == "loss=bce"


DEAD = {
    "pair": "sigmoid+se",
    "classes.recall": [0.05, 0.8, 0.9, 0.7],
    "classes.grad": [0.001, 0.5, 0.3, 0.1],
}
SOME = DEAD | {RECALL: [0.0, 0.0, 0.8, 0.4], "classes.grad": [0.001, 0.001, 0.5, 0.5]}


@on_either_side(
    ("LOST", DEAD, RECALL, [0.0999, 0.8, 0.9, 0.7], [0.1, 0.8, 0.9, 0.7]),
    ("DEAD_GRADIENT", DEAD, "classes.grad", [0.00999, 0.5, 0.3, 0.1], [0.01, 0.5, 0.3, 0.1]),
    ("FOUND", DEAD, RECALL, [0.0, 0.5, 0.2, 0.2], [0.0, 0.4999, 0.2, 0.2]),
    (
        "FOUND, clipping head",
        DEAD | {"pair": "sparsemax+se"},
        RECALL,
        [0.0, 0.5, 0.2, 0.2],
        [0.0, 0.4999, 0.2, 0.2],
    ),
    ("as many found", SOME, RECALL, [0.0, 0.0, 0.8, 0.5], [0.0, 0.0, 0.8, 0.4999]),
    *(
        (f"fewer found, {head}", SOME, "pair", f"{head}+se", "sigmoid+se")
        for head in ("clipped_linear", "hard_sigmoid", "sparsemax")
    ),
    ("gradients", DEAD, "classes.grad", [0.001, 0.5, 0.3, 0.1], None),
)
def test_a_dead_class(side):
    check(dead_class, side)


def test_one_of_two_classes_is_not_dead_by_its_own_output():
    both = {RECALL: [0.0, 0.9], "classes.grad": [0.001, 0.5]}
    three = {RECALL: [0.0, 0.9, 0.9], "classes.grad": [0.001, 0.5, 0.5]}
    assert dead_class(facts(DEAD | both)) is None
    assert dead_class(facts(DEAD | three)) is not None


@pytest.mark.parametrize(
    ("head", "remedy"),
    [
        ("sigmoid", "loss=bce"),
        ("cloglog", "loss=bce"),
        ("softmax", "loss=ce"),
        ("sparsemax", "head=softmax loss=ce, or loss=matching"),
        ("hard_sigmoid", "head=sigmoid loss=bce, or loss=matching"),
        ("clipped_linear", "head=sigmoid loss=bce, or loss=matching"),
    ],
)
def test_what_is_said_of_a_dead_class(head, remedy):
    found = dead_class(facts(DEAD | {"pair": f"{head}+se"}))
    assert found.sentence == (
        "Class 0 is never found, and their own gradient is too small to learn them: the output of "
        f"the {head} is near 0 even where it should be 1, and squared error gives no gradient "
        "there."
    )
    # (0.5 + 0.3 + 0.1) / 3 of the others
    assert found.evidence == (
        "recall of class 0 0.05, mean |dL/dz_0| over its examples 0.001; of the classes found: 0.3"
    )
    assert found.remedy == remedy
    assert sentence([found, replace(found, numbers={"dead": 2})]).startswith(
        "Some classes (1 to 2 of 4 in each run) are never found, and their own gradient"
    )


def test_of_dead_classes_the_one_with_the_least_gradient_is_shown():
    recall = [0.9, 0.02, 0.8, 0.01, 0.6, 0.03]
    told = DEAD | {RECALL: recall, "classes.grad": [0.5, 3e-3, 0.1, 2e-3, 0.3, 4e-3]}
    found = dead_class(facts(told | {"classes.labels": ["a", "b", "c", "d", "e", "{odd}"]}))
    assert found.sentence.startswith("Classes 'b', 'd' and '{odd}' are never found")
    # (0.5 + 0.1 + 0.3) / 3 of the others
    assert found.evidence == (
        "recall of class 'd' 0.01, mean |dL/dz_3| over its examples 0.002; of the classes found: "
        "0.3"
    )
    assert found.numbers == {"dead": 3}
    assert dead_class(facts(told)).sentence.startswith("Classes 1, 3 and 5 are never found")
    alone = DEAD | {"classes.labels": ["{odd}", "b", "c", "d"]}
    assert dead_class(facts(alone)).sentence.startswith("Class '{odd}' is never found")


DRAGGED = {
    **{"pair": "linear+se", "wrong": 0.4, "boundary.at": 0.43, "boundary.wrong": 0.1},
    "logits.count": [bins(below_0=30, from_0=470), bins(from_0=420, from_1=80)],
}


@on_either_side(
    ("DRAGGED", DRAGGED | {"boundary.wrong": 0}, "wrong", 0.05, 0.0499),
    ("DRAGGED, left", DRAGGED | {"wrong": 0.08}, "boundary.wrong", 0.0299, 0.0301),
    ("half of the wrong", DRAGGED, "boundary.wrong", 0.2, 0.2001),
    # 30 of 1,000, or 29
    (
        "PAST_TARGET",
        DRAGGED,
        COUNTS,
        [bins(below_0=20, from_0=480), bins(from_0=490, from_1=10)],
        [bins(below_0=20, from_0=480), bins(from_0=491, from_1=9)],
    ),
    ("beyond 1", DRAGGED, COUNTS, [bins(), bins(from_1=9)], [bins(), bins(from_0=9)]),
    ("below 0", DRAGGED, COUNTS, [bins(below_0=9), bins()], [bins(from_0=9), bins()]),
    ("a linear unit", DRAGGED, "pair", "linear+matching", "sigmoid+matching"),
    ("squared error", DRAGGED, "pair", "linear+se", "linear+huber"),
    ("logits", DRAGGED, COUNTS, [bins(below_0=1), bins()], [bins(), bins()]),
    ("logits that were counted", DRAGGED | {"logits.edges": [0]}, COUNTS, [[1, 0], [0, 0]], None),
)
def test_a_boundary_out_of_place(side):
    check(confident_right, side)


def test_what_is_said_of_a_boundary_out_of_place():
    # 30 below 0 and 80 from 1 on, of 1,000
    found = confident_right(facts(DRAGGED))
    assert found.sentence == (
        "11 % of the training examples have an output beyond their target; squared error counts "
        "this as an error and shifts the boundary so that 40 % are predicted wrongly; another "
        "threshold on the same output would leave 10 %."
    )
    assert found.evidence == (
        "wrong 0.4 at the threshold 0.5, 0.1 at 0.43; y > 1 for target 1 or y < 0 for target 0: "
        "0.11"
    )
    assert found.remedy == "head=sigmoid loss=bce"
