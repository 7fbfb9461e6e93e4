"""The start: a run on each side of each threshold, and what is said of it."""

from __future__ import annotations

import numpy as np
import pytest

from mlr.analysis.explain import findings
from mlr.analysis.explain.rules_network import initial_loss, not_finite
from tests.analysis.explain.sides import check, facts, on_either_side

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
