"""The network below the output: a run on each side of each threshold, and what is said of it.

Two classes of as many examples: softmax and squared error cost ½ (¼ + ¼) = ¼ at y = ½.
"""

from __future__ import annotations

import pytest

from mlr.analysis.explain.rules_network import starved, underfitting
from tests.analysis.explain.sides import check, facts, on_either_side

FIRST, LAST = "curve.grad_norm/hidden1", "curve.grad_norm/output"
RATES, NORMS, VALIDATED = "curve.learning_rate", "curve.grad_norm/total", "curve.loss/val"
USELESS = {
    **{"pair": "softmax+se", "examples": 1000, "classes.count": [500, 500]},
    **{"wrong": 0.5, "loss/train": 0.25, "accuracy/train": 0.5},
}

STARVED = USELESS | {
    FIRST: [0.5] * 7,
    "curve.grad_norm/hidden2": [3.0] * 7,
    LAST: [100.0] * 7,
}


@on_either_side(
    ("STARVED", STARVED, FIRST, [0.99] * 7, [1.0] * 7),
    # the median of seven
    ("most of the time", STARVED, FIRST, [9.0] * 3 + [0.5] * 4, [9.0] * 4 + [0.5] * 3),
    ("where the last has one", STARVED, LAST, [0, 0, 0, 0, 100, 100, 1], [0.0] * 7),
    ("nothing learned", STARVED, "wrong", 0.5, 0.1),
    ("a hidden layer", STARVED | {"curve.grad_norm/hidden2": None}, FIRST, [0.5] * 7, None),
)
def test_a_first_layer_without_gradient(side):
    check(starved, side)


def test_what_is_said_of_a_first_layer_without_gradient():
    # shares 0.001, 0.002, 0.004, 0.006 and 0.9; medians are those of the third row
    curves = {FIRST: [0.05, 0.2, 0.8, 0.6, 360.0], LAST: [50.0, 100.0, 200.0, 100.0, 400.0]}
    found = starved(facts(STARVED | curves | {"curve.grad_norm/hidden2": [3.0] * 5}))
    assert found.sentence == (
        "The gradient does not reach the hidden layers: that of hidden1 is 0.004 times that of "
        "output, so that only the last layers learn."
    )
    assert found.evidence == (
        "median grad_norm/hidden1 0.6, grad_norm/output 100; loss/train 0.25, of a constant "
        "prediction 0.25"
    )


@pytest.mark.parametrize(
    ("model", "remedy"),
    [
        (None, "model.init=he model.init_scale=1 model.activation=relu"),
        ({"_target_": "mlr.models.Cnn", "init": "zeros"}, "model.init=he"),
        ({"activation": "tanh", "init_scale": 0.1}, "model.init_scale=1 model.activation=relu"),
        ({"_target_": "own.Net"}, ""),
    ],
)
def test_a_remedy_names_only_settings_that_there_are(model, remedy):
    assert starved(facts(STARVED | {"config.model": model})).remedy == remedy


def quarters(third, last):
    """Twelve validation losses: means of a quarter of them are those of three neighbours."""
    return [5.0] * 6 + [third - 1, third, third + 1] + [last + 2, last, last - 2]


# 256 updates of 2^-10 · 1²
SETTLED = USELESS | {
    **{"steps": 4 * 256, "data.neighbours": 0.9, VALIDATED: quarters(100, 100)},
    **{RATES: [2**-10] * 12, NORMS: [1.0] * 12, "config.optimizer._target_": "torch.optim.SGD"},
}
LATE, ALL_WRONG = SETTLED | {"steps": 256}, SETTLED | {"accuracy/train": 0.0}
DEAD = SETTLED | {"classes.recall": [0.0, 1.0]}


@on_either_side(
    ("AT_CONSTANT", SETTLED, "loss/train", 0.95 * 0.25, 0.237),
    ("LEVEL", SETTLED, VALIDATED, quarters(100, 98), quarters(100, 97.99)),
    ("LEVEL, rising", SETTLED, VALIDATED, quarters(100, 102), quarters(100, 102.01)),
    # 256 · 2^-10 is the ¼ of a constant prediction
    ("ENOUGH", SETTLED, "steps", 256, 255),
    ("ENOUGH, uncounted", SETTLED, "steps", 256, None),
    ("ENOUGH, of norms", LATE, NORMS, [1.0] * 12, [1.0] * 11 + [0.99]),
    ("ENOUGH, squared", SETTLED | {"steps": 64}, NORMS, [2.0] * 12, [1.99] * 12),
    ("a rate for each norm", SETTLED, RATES, [1.0] * 12, [1.0] * 11),
    ("TOLD_APART", ALL_WRONG, "data.neighbours", 0.15, 0.1499),
    ("TOLD_APART, right", SETTLED | {"data.neighbours": 1.0}, "accuracy/train", 0.85, 0.8501),
    ("no dead class", DEAD, "classes.grad", [0.01, 0.5], [0.00999, 0.5]),
    ("no lost class", DEAD | {"classes.grad": [0.0, 0.0]}, "classes.recall", [0.1, 1], [0.0999, 1]),
)
def test_a_model_that_is_too_small(side):
    check(underfitting, side)


def test_updates_of_which_nothing_was_recorded_did_nothing():
    assert underfitting(facts(SETTLED | {RATES: None, NORMS: None})) is None


def test_adam_needs_no_large_gradient():
    """64 updates of 2^-10 · 2² are enough, of 2^-10 · 2 twice as many."""
    steep = SETTLED | {NORMS: [2.0] * 12, "config.optimizer._target_": "mlr.training.AdamW"}
    assert underfitting(facts(steep | {"steps": 128})) is not None
    assert underfitting(facts(steep | {"steps": 127})) is None


@pytest.mark.parametrize(
    ("optimizer", "gain"),
    [
        # (3·0.1·1² + 3·0.1·2² + 6·0.2·3²) / 12 · 104
        ("torch.optim.SGD", "learning_rate times squared grad_norm/total adds up to 107"),
        # (3·0.1·1 + 3·0.1·2 + 6·0.2·3) / 12 · 104
        ("torch.optim.Adam", "learning_rate times grad_norm/total adds up to 39"),
    ],
)
def test_what_is_said_of_a_model_that_is_too_small(optimizer, gain):
    curves = {RATES: [0.1] * 6 + [0.2] * 6, NORMS: [1.0] * 3 + [2.0] * 3 + [3.0] * 6}
    told = {"steps": 104, VALIDATED: quarters(100, 101.5), "config.optimizer._target_": optimizer}
    found = underfitting(facts(SETTLED | curves | told | {"loss/train": 0.24}))
    assert found.sentence == (
        "The model underfits: its training loss has settled at 0.24, no better than the 0.25 of a "
        "constant prediction, though the features tell the classes apart: for 90 % of the training "
        "examples the nearest other one has the same class."
    )
    assert found.evidence == (
        "loss/train 0.24, accuracy/train 0.5; loss/val of the last quarter within 1.5 % of the "
        f"quarter before, while {gain}"
    )


@pytest.mark.parametrize(
    ("model", "remedy"),
    [
        (None, "model=mlp"),
        ({"_target_": "mlr.models.Linear"}, "model=mlp"),
        ({"_target_": "mlr.models.Mlp", "widths": [4, 8]}, "model.widths=[16,32]"),
        ({"_target_": "mlr.models.Mlp", "widths": [4, "n"]}, ""),
        ({"_target_": "mlr.models.Mlp", "widths": 4}, ""),
        ({"_target_": "own.Net"}, ""),
    ],
)
def test_a_model_that_is_too_small_gets_more_units_where_it_has_some(model, remedy):
    assert underfitting(facts(SETTLED | {"config.model": model})).remedy == remedy
