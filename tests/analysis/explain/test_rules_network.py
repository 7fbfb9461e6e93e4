"""The network below the output: a run on each side of each threshold, and what is said of it.

Two classes of as many examples: softmax and squared error cost ½ (¼ + ¼) = ¼ at y = ½.
"""

from __future__ import annotations

import numpy as np
import pytest

from mlr.analysis.explain import findings
from mlr.analysis.explain.rules_network import initial_loss, not_finite, starved, underfitting
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


PLAIN = {
    **{"pair": "softmax+se", "steps": 220, "examples": 1000, "classes.count": [500, 500]},
    **{"start.loss": 0.25, "start.wrong": 0.5, "wrong": 0.1, "loss/train": 0.2},
}
"""Two classes of as many examples, of which a constant ½ costs ½ (½·½ + ½·½) = 0.25."""
NEVER = {"start": {"loss": None}}
LOST = PLAIN | {"status": "diverged"}
LOGITS, PULLS = "curve.nonfinite/logits", "curve.nonfinite/logit_grad"


def refused(update, tensor):
    return {"update": update, "tensor": tensor, "examples": [0]}


@on_either_side(
    ("the loss at the start", PLAIN, "start", {"loss": None}, {"loss": 2.0}),
    ("OVERFLOW", LOST | NEVER, "data.largest", 0.99e15, 1e15),
    ("the first update", LOST, "refused", refused(1, "a logit"), refused(2, "a logit")),
    ("UPDATED", LOST, "refused", refused(1, "the gradient of w"), refused(1, "the updated w")),
    ("logits", LOST, LOGITS, [1, 0], [0, 1]),
    ("logits, no loss at the start", LOST | {"start": {"wrong": 0.5}}, LOGITS, [1], [0]),
    ("logits, no start", LOST | {"start.loss": None, "start.wrong": None}, LOGITS, [1], [0]),
    ("logits, no anatomy", {"pair": "softmax+se", "status": "diverged"}, LOGITS, [1], [0]),
    ("logits before any update", LOST, LOGITS, [1, 1], [np.nan, 1]),
    ("gradients", LOST, PULLS, [1, 0], [0, 1]),
    ("one that diverged", PLAIN | {PULLS: [1]}, "status", "diverged", "done"),
    ("one that learned", PLAIN | {PULLS: [1], "loss/train": 0.25}, "wrong", 0.45, 0.449),
)
def test_numbers_that_were_never_finite(side):
    check(not_finite, side, "is not finite before the first update")


PARTS = {
    "model": {"config.model": {"_target_": "own.Net"}},
    "loss": {"config.loss": {"_target_": "own.Loss"}},
}


@pytest.mark.parametrize(
    ("told", "where", "named"),
    [
        ({"refused": refused(1, "a logit")}, "A logit", "model (own.Net)"),
        ({"refused": refused(1, "the gradient of w")}, "The gradient of w", "model (own.Net)"),
        ({"refused": refused(1, "the gradient at a logit")}, "The gradient at a logit", "loss"),
        ({"refused": refused(1, "the loss")}, "The loss", "loss (own.Loss)"),
        ({LOGITS: [1]}, "A logit", "model"),
        (NEVER | {LOGITS: [1]}, "A logit", "model"),
        (NEVER | {LOGITS: [0], PULLS: [1]}, "The loss", "loss"),
        ({PULLS: [1]}, "The gradient at a logit", "loss (own.Loss)"),
    ],
)
def test_the_tensor_and_the_part_that_computes_it_are_named(told, where, named):
    own = PARTS[named.split()[0]] if "own" in named else {}
    found = not_finite(facts(LOST | told | own))
    assert found.sentence == (
        f"{where} is not finite before the first update, so that no learning rate can help: look "
        f"at what the {named} computes from the first examples."
    )
    assert found.remedy == ""


@pytest.mark.parametrize(
    ("told", "seen"),
    [
        (
            NEVER | {LOGITS: [3, 4], PULLS: [5]},
            "not finite, nonfinite/logits 3, nonfinite/logit_grad 5",
        ),
        ({PULLS: [5]}, "0.25, nonfinite/logit_grad 5"),
        (NEVER | {PULLS: [np.nan, 5]}, "not finite"),
    ],
)
def test_the_evidence_is_from_before_the_first_update(told, seen):
    expected = f"status diverged; before the first update loss {seen}"
    assert not_finite(facts(LOST | told)).evidence == expected


def high(rows):
    """A training loss that is above 0.25 in all but the rest of 1,001 rows."""
    return [10.0] * rows + [0.2] * (1001 - rows)


TEN = PLAIN | {"pair": "softmax+ce", "classes.count": [10, *[110] * 9]}
"""A constant costs less than ln 10, as the classes differ in size."""
LINEAR = PLAIN | {"pair": "linear+se"}
"""One output at 0, half of the targets 1: ½·½ = 0.25."""
RARE = LINEAR | {"classes.count": [920, 80]}
"""½·0.08 = 0.04."""
WELL = PLAIN | {
    **{"start.loss": 10.0, "loss/train": 0.02, "curve.loss/train": high(50)},
    **{"accuracy/train": 0.99, "accuracy/val": 0.97, "accuracy/test": 0.97},
}
BEHIND = WELL | {"accuracy/train": 1.0}


@on_either_side(
    ("HIGH_START of ce", TEN, "start.loss", 4 * np.log(10), 9.2),
    ("HIGHER_BY", PLAIN, "start.loss", 5.25, 5.24),
    ("HIGH_START of se", LINEAR, "start.loss", 25.0, 24.9),
    ("HIGH_START of se, no HIGHER_BY", RARE, "start.loss", 4.01, 3.99),
    ("clipped", LINEAR | {"pair": "clipped_linear+se"}, "start.loss", 25.0, 24.9),
    ("not linear", LINEAR | {"start.loss": 24}, "pair", "sigmoid+se", "linear+se"),
    # it cost nothing if a run ended well, and soon was where others begin
    ("LEARNED", WELL, "loss/train", 0.0251, 0.025),  # 0.1 · 0.25
    ("RIGHT", WELL, "accuracy/train", 0.979, 0.98),
    ("BEHIND", BEHIND, "accuracy/test", 0.949, 0.951),  # the mean with 0.97 is 0.9595 or 0.9605
    ("BEHIND, nothing", BEHIND | {"accuracy/test": None}, "accuracy/val", 0.959, None),
    ("SOON", WELL, "curve.loss/train", high(102), high(101)),  # rows 101 and 100 of 1,000
    ("SOON, no curve", WELL, "curve.loss/train", None, high(50)),
)
def test_a_start_that_is_confident_and_wrong(side):
    check(initial_loss, side)


@pytest.mark.parametrize(
    ("base", "known", "expected"),
    [
        (TEN, "ln K = 2.3", "2.3"),
        (PLAIN, "0.25", "0.25"),
        # with one output, half of the targets 1 and p = ½: ln 2
        (PLAIN | {"pair": "sigmoid+ce"}, "0.693", "0.693"),
        # with two 2 ln 2
        (PLAIN | {"pair": "softmax+bce"}, "1.39", "1.39"),
    ],
)
def test_what_is_said_of_such_a_start(base, known, expected):
    found = initial_loss(facts(base | {"start.loss": 41.23, "start.wrong": 0.64, "wrong": 0.1}))
    assert found.sentence == (
        "The initial predictions are confident and wrong: the loss before the first update is "
        f"41.2, where a constant prediction has {known}. The initial weights are too large."
    )
    assert found.evidence == (
        f"loss before the first update 41.2, expected at most {expected}; wrong 64 %"
    )


@pytest.mark.parametrize(
    ("model", "remedy"),
    [
        ({"weight": 2.0, "bias": None, "init": "he"}, "model.weight=null model.bias=null"),
        ({"weight": None, "bias": 2.0}, "model.weight=null model.bias=null"),
        ({"weight": None, "bias": None, "init": "he"}, "model.init=torch model.init_scale=1"),
        ({"init": "he"}, "model.init=torch model.init_scale=1"),
        ({"_target_": "own.Net"}, ""),
        (None, "model.init=torch model.init_scale=1"),
    ],
)
def test_smaller_weights_are_advised_where_a_model_has_such_settings(model, remedy):
    found = initial_loss(facts(PLAIN | {"start.loss": 40.0, "config.model": model}))
    assert found.remedy == remedy


def test_the_start_is_the_first_that_is_told():
    assert list(findings(facts(LOST | NEVER).run)) == ["not_finite"]
    assert list(findings(facts(PLAIN | {"start.loss": 40.0}).run)) == ["initial_loss"]
