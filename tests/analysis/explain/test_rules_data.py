"""The data: a run on each side of each threshold, and what is said of it."""

from __future__ import annotations

import pytest

from mlr.analysis.explain.rules_data import label_noise, overfitting, rare_class, unscaled
from tests.analysis.explain.sides import check, facts, on_either_side

LARGE = {
    **{"pair": "sigmoid+se", "examples": 1000, "wrong": 0.5, "stuck": 0.4, "loss/train": 0.2},
    **{"data.mean": 0.0, "data.std": 10.0, "data.largest": 31.0, "start.loss": 0.3},
    "classes.count": [500, 500],
}
OFF_CENTRE, TINY = LARGE | {"data.std": 0.0}, LARGE | {"data.std": 0.001, "stuck": 0.0}
COPES = LARGE | {"wrong": 0.02, "stuck": 0.02}


@on_either_side(
    ("LARGE", LARGE, "data.std", 4.0001, 4.0),
    ("LARGE, mean", OFF_CENTRE, "data.mean", -4.0001, -4.0),
    ("LARGE, both", LARGE | {"data.std": 3.0}, "data.mean", 2.65, 2.64),  # √(16 − 9) = 2.646
    ("SMALL", LARGE, "data.std", 0.0199, 0.02),
    ("SMALL, mean", OFF_CENTRE, "data.mean", 0.0199, 0.02),
    ("FEW_WRONG", COPES, "wrong", 0.02, 0.0199),
    ("stuck of wrong", LARGE, "stuck", 0.25, 0.2499),
    ("small and useless", TINY, "wrong", 0.5, 0.4),
    ("a symptom", LARGE | {"stuck": 0.0}, "status", "diverged", "done"),
    ("small, not large", LARGE | {"stuck": 0.0}, "data.std", 0.001, 10.0),
)
def test_features_of_another_scale(side):
    check(unscaled, side)


@pytest.mark.parametrize(
    ("told", "what", "size", "features"),
    [
        ({"data.mean": 3.0, "data.std": 4.0}, "large", "5", "mean 3, std 4"),
        ({"data.mean": -0.003, "data.std": 0.004}, "small", "0.005", "mean -0.003, std 0.004"),
    ],
)
def test_what_is_said_of_features_of_another_scale(told, what, size, features):
    found = unscaled(facts(LARGE | told))
    assert found.sentence == (
        f"The features are far too {what} for these weights and this learning rate: their typical "
        f"size is {size}, where about 1 is expected."
    )
    assert found.evidence == (
        f"features: {features}, largest 31; loss before the first update 0.3, at the end 0.2"
    )


@pytest.mark.parametrize(
    ("data", "remedy"),
    [
        (None, "data.scale=standardize"),
        ({"scale": None}, "data.scale=standardize"),
        ({"path": "own.csv"}, ""),
    ],
)
def test_features_are_scaled_where_their_source_can(data, remedy):
    assert unscaled(facts(LARGE | {"config.data": data})).remedy == remedy


TRAINED, VALIDATED = "curve.accuracy/train", "curve.accuracy/val"
FOUR = {"pair": "softmax+ce", "examples": 1000, "classes.count": [250] * 4, "loss/train": 0.5}
CONTRADICTED = FOUR | {
    **{"wrong": 0.3, "accuracy/train": 0.7, "accuracy/val": 0.8, "accuracy/test": 0.9},
}
AS_GOOD = CONTRADICTED | {"accuracy/val": 0.7, "accuracy/test": 0.7, TRAINED: [0.5] * 12}
NONE_RIGHT = CONTRADICTED | {"accuracy/train": 0.0, "accuracy/test": None}


@on_either_side(
    ("ENOUGH", CONTRADICTED, "examples", 200, 199),
    ("ENOUGH, known", CONTRADICTED, "examples", 200, None),
    ("learned", CONTRADICTED | {"loss/train": None}, "wrong", 0.67, 0.68),  # 0.9 · ¾
    ("TRAILS", NONE_RIGHT, "accuracy/val", 0.06, 0.0599),
    ("TRAILS, mean", NONE_RIGHT | {"accuracy/test": 0.02}, "accuracy/val", 0.1, 0.0999),
    ("LEAD", AS_GOOD, VALIDATED, [0.6001] * 12, [0.5999] * 12),
)
def test_labels_that_are_contradicted(side):
    check(label_noise, side, "of the training labels are wrong, it seems")


@pytest.mark.parametrize(
    ("curves", "noise", "lead"),
    [
        ({}, "15 %", "nan"),  # (0.8 + 0.9) / 2 − 0.7
        ({TRAINED: [0.5] * 12, VALIDATED: [0.625] * 12}, "15 %", "0.125"),
        ({TRAINED: [0.5] * 12, VALIDATED: [0.75] * 12}, "25 %", "0.25"),
    ],
)
def test_what_is_said_of_labels_that_are_contradicted(curves, noise, lead):
    found = label_noise(facts(CONTRADICTED | curves))
    assert found.sentence == (
        f"About {noise} of the training labels are wrong, it seems: validation and test examples "
        "are predicted better than those of the training."
    )
    assert found.evidence == (
        "accuracy/train 0.7, mean of accuracy/val and accuracy/test 0.85; largest lead of "
        f"accuracy/val over the batches {lead}"
    )
    assert found.remedy == "head=softmax loss=gce"


def test_a_lead_tells_where_nothing_was_held_out_in_the_end():
    """Half of what the validation found before each epoch was found in its batches."""
    told = {"accuracy/val": None, "accuracy/test": None, VALIDATED: [1.0] * 12}
    found = label_noise(facts(AS_GOOD | told))
    assert found.sentence.startswith("About 50 % of the training labels")


WRONG, RIGHT = "confidence.count_wrong", "confidence.count_right"
AS_SURE = FOUR | {
    **{"wrong": 0.2, "surprise": 0.0},
    **{WRONG: [20, 160, 20], RIGHT: [80, 640, 80]},
}
"""Confidence is below 0.6, below 0.9, and above: alike of wrong and of right examples."""


@on_either_side(
    ("ENOUGH", AS_SURE, "examples", 200, 199),
    ("learned", AS_SURE | {"loss/train": None}, "wrong", 0.67, 0.68),  # 0.9 · ¾
    ("WRONG", AS_SURE, "wrong", 0.05, 0.0499),
    ("TOO_SURE", AS_SURE, "surprise", 0.1, 0.1001),  # half of the wrong fifth
    ("SURE", AS_SURE | {WRONG: [30, 120, 50]}, RIGHT, [150, 600, 250], [151, 600, 249]),
    # ½ (|p − 0| + 0 + |0 − p|) for p in doubt
    ("ALIKE", AS_SURE | {RIGHT: [0, 900, 100]}, WRONG, [20, 180, 0], [202, 1798, 0]),
    ("ALIKE, surer", AS_SURE | {RIGHT: [100, 900, 0]}, WRONG, [0, 180, 20], [0, 1798, 202]),
    ("20 wrong", AS_SURE, WRONG, [2, 16, 2], [2, 15, 2]),
    ("20 right", AS_SURE, RIGHT, [2, 16, 2], [2, 15, 2]),
    ("a share in 1", AS_SURE, "pair", "softmax+ce", "sigmoid+ce"),
    *(
        (loss, AS_SURE, "pair", f"probit+{loss}", "probit+focal")
        for loss in ("se", "bce", "matching")
    ),
    (
        "separate outputs",
        AS_SURE | {"pair": "sigmoid+ce", "wrong": 0.1},
        "classes.count",
        [500, 500],
        [400, 400, 200],
    ),
)
def test_errors_made_in_confidence(side):
    check(label_noise, side, "Many labels are wrong, it seems")


def test_what_is_said_of_errors_made_in_confidence():
    # shares 0.1, 0.7, 0.2 and 0.15, 0.65, 0.2: ½ (0.05 + 0.05)
    found = label_noise(facts(AS_SURE | {WRONG: [20, 140, 40], RIGHT: [120, 520, 160]}))
    assert found.sentence == (
        "Many labels are wrong, it seems: errors are made with as much confidence as right "
        "answers, while between classes that overlap they are made in doubt."
    )
    assert found.evidence == (
        "accuracy/train 0.8; total variation between the confidence of wrong and right examples "
        "0.05"
    )


@pytest.mark.parametrize(
    ("pair", "counts", "data", "remedy"),
    [
        ("softmax+ce", [250] * 4, {"label_noise": 0.2}, "data.label_noise=0"),
        ("softmax+ce", [250] * 4, {"label_noise": 0}, "head=softmax loss=gce"),
        ("softmax+ce", [250] * 4, {"path": "own.csv"}, "head=softmax loss=gce"),
        ("softmax+ce", [250] * 4, "blobs", "head=softmax loss=gce"),
        ("sigmoid+bce", [400, 400, 200], None, "head=softmax loss=gce"),
        ("softmax+ce", [500, 500], None, "head=softmax loss=gce"),
        ("sigmoid+bce", [500, 500], None, "loss=gce"),
    ],
)
def test_noise_is_left_out_where_it_was_asked_for(pair, counts, data, remedy):
    told = {"pair": pair, "classes.count": counts, "wrong": 0.1, "config.data": data}
    assert label_noise(facts(AS_SURE | told)).remedy == remedy


REST = "curve.loss/val"
OVERFITTED = {
    **{"accuracy/train": 1.0, "accuracy/val": 0.6, "accuracy/test": 0.7},
    **{"loss/train": 0.125, "loss/val": 0.625, REST: [0.3, 0.25, 0.625]},
}
BY_LITTLE = OVERFITTED | {"accuracy/val": 0.9, "accuracy/test": 0.9}
NONE_FOUND = OVERFITTED | {"accuracy/val": 0.0, "accuracy/test": None}


@on_either_side(
    # nothing is found of the rest, so that the training accuracy is the gap
    ("SMALLER_GAP", NONE_FOUND, "accuracy/train", 0.08, 0.0799),
    ("GAP", NONE_FOUND | {REST: [0.5, 0.6, 0.625]}, "accuracy/train", 0.15, 0.1499),
    (
        "GAP, some found",
        NONE_FOUND | {REST: [0.5, 0.6, 0.625], "accuracy/val": 0.8},
        "accuracy/train",
        0.951,
        0.949,
    ),
    ("GAP, no curve", NONE_FOUND | {REST: None}, "accuracy/train", 0.15, 0.1499),
    ("RISE over training", OVERFITTED, "loss/val", 0.25, 0.2499),
    ("RISE from the lowest", BY_LITTLE | {REST: [0.5, 0.3125]}, "loss/val", 0.625, 0.6249),
    ("BY_HEART", BY_LITTLE | {REST: [1.25, 1.25]}, "loss/val", 1.25, 1.2499),
)
def test_a_model_that_overfits(side):
    check(overfitting, side)


@pytest.mark.parametrize(("curve", "lowest"), [([0.3, 0.25, 0.625], "0.25"), (None, "0.625")])
def test_what_is_said_of_a_model_that_overfits(curve, lowest):
    found = overfitting(facts(OVERFITTED | {REST: curve}))
    assert found.sentence == (
        "The model overfits: its training accuracy is 100 %, the mean of its validation and test "
        "accuracy 65 %."
    )
    assert found.evidence == (
        "accuracy/train 1, mean of accuracy/val and accuracy/test 0.65; loss/train 0.125, loss/val "
        f"0.625 (lowest {lowest})"
    )
    assert found.remedy == "patience=5 optimizer.weight_decay=0.001"


MISSED = {
    **{"pair": "softmax+ce", "examples": 1000, "wrong": 0.1, "config.loss": {"weight": None}},
    **{"classes.count": [500, 100, 400], "classes.recall": [0.99, 0.5, 0.98]},
}


@on_either_side(
    ("RARE", MISSED, "classes.count", [500, 100, 400], [499, 100, 400]),
    ("FEWEST_RARE", MISSED, "classes.count", [500, 10, 400], [500, 9, 400]),
    ("MISSED", MISSED, "classes.recall", [0.99, 0.599, 0.98], [0.99, 0.6, 0.98]),
    ("BEHIND", MISSED, "wrong", 0.25, 0.2501),
    ("recall", MISSED, "classes.recall", [0.99, 0.5, 0.98], [0.99, None, 0.98]),
    ("balanced", MISSED, "classes.count", [500, 100, 400], [300, 300, 400]),
)
def test_a_rare_class_that_is_missed(side):
    check(rare_class, side)


def test_what_is_said_of_a_rare_class():
    found = rare_class(facts(MISSED))
    assert found.sentence == (
        "Class 1 has only 10 % of the training examples, of which 50 % are found: the accuracy of "
        "90 % does not show it."
    )
    assert found.evidence == (
        "training examples by class 500, 100, 400; recall 0.99, 0.5, 0.98; accuracy/train 0.9"
    )
    assert found.remedy == "loss.weight=balanced"
    assert not found.certain
    named = rare_class(facts(MISSED | {"classes.labels": ["a", "b", "c"]}))
    assert named.sentence.startswith("Class 'b' has only 10 %")
    # a loss without that option
    assert rare_class(facts(MISSED | {"config.loss": {"gamma": 2.0}})).remedy == ""
