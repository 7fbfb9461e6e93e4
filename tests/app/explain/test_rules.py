"""Each rule has numbers that trigger it and numbers, next to these, that do not."""

from __future__ import annotations

import numpy as np
import pytest

from mlr.app.explain import RULES, findings
from mlr.app.explain.facts import Facts
from tests.app.explain.made import METRICS, SOUND, changed, falling, run

ONE_OUTPUT = {
    "classes": {"count": [500, 500], "recall": [0.6, 0.6], "grad": [0.3, 0.3]},
    "start.loss": 0.3,
}
CHANCE = {"wrong": 0.9, "classes.recall": [0.0] * 9 + [1.0], "classes.grad": [0.9] * 10}
LIKE_CHANCE = {"loss/train": 2.3, "loss/val": 2.3, "accuracy/train": 0.1, "accuracy/val": 0.1}
LIKE_CHANCE |= {"accuracy/test": 0.1}


def only(**changes):
    """Curves of a sound run with some of them replaced."""
    return falling() | {key.replace("__", "/"): value for key, value in changes.items()}


def hidden(first, second=None):
    """Curves with a first layer whose gradient goes from one norm to another."""
    norms = np.full(20, first if second is None else second)
    norms[0] = first
    whole = falling(end=2.3)
    head, last = dict(list(whole.items())[:-1]), whole["grad_norm/output"]
    return head | {"grad_norm/hidden1": norms, "grad_norm/output": last}


def leaping(times):
    """Validation losses that go up and down by a factor in the second half."""
    losses = np.full(20, 1.0)
    losses[10::2] = times
    return losses


def steady(end):
    """A validation loss on a straight line."""
    return np.linspace(2.3, end, 20)


def settled(rate=0.5):
    """A loss that goes up and down by little, while batches still push."""
    losses = 2.3 + 0.002 * np.tile([1.0, -1.0], 10)
    pushed = {"learning_rate": np.full(20, rate), "grad_norm/total": np.ones(20)}
    return falling() | {"loss/train": losses, "loss/val": losses} | pushed


LEARNED = {"loss/train": 0.05, "accuracy/train": 1.0, "accuracy/val": 0.98, "accuracy/test": 0.98}
LARGE = {"data.mean": 4.9, "data.std": 6.0}

# rule, pair, and for both a run that has it and one that does not: anatomy, metrics, curves
CASES = [
    (
        "lr_too_high",
        "softmax+ce",
        ({}, {"loss/train": 0.6, "loss/val": 1.6}, only(loss__train=np.linspace(200, 0.6, 20))),
        ({}, {}, only(loss__train=np.linspace(200, 0.1, 20))),  # it has come to rest
    ),
    (
        "lr_too_high",
        "softmax+ce",
        ({}, {"loss/train": 1.0}, only(loss__val=leaping(3.0))),
        ({}, {"loss/train": 1.0}, only(loss__val=leaping(1.3))),
    ),
    (
        "lr_too_high",
        "softmax+ce",
        (CHANCE, LIKE_CHANCE, hidden(0.7, 0.0)),
        ({}, {}, hidden(0.7, 0.0)),
    ),
    (
        "lr_too_high",
        "softmax+se",
        (CHANCE | {"saturated": 1.0, "stuck": 0.9}, LIKE_CHANCE, falling(end=2.3)),
        (
            CHANCE | {"saturated": 1.0, "stuck": 0.9, "start.saturated": 0.8},
            LIKE_CHANCE,
            falling(end=2.3),
        ),
    ),
    (
        "not_finite",
        "softmax+ce",
        ({"start.loss": None}, {}, falling()),
        ({}, {}, falling()),
    ),
    (
        "initial_loss",  # it cost nothing, and the model knows what was not trained on
        "softmax+ce",
        ({"start.loss": 40.0}, LEARNED | {"accuracy/test": 0.9}, falling()),
        ({"start.loss": 40.0}, LEARNED, falling()),
    ),
    (
        "initial_loss",
        "softmax+ce",
        ({"start.loss": 40.0}, {}, None),
        ({"start.loss": 6.5}, {}, None),
    ),
    (
        "lr_too_low",
        "softmax+ce",
        (CHANCE, LIKE_CHANCE, only(loss__val=steady(2.2))),
        ({}, {}, only(loss__val=steady(0.2))),
    ),
]


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda n: f"{CASES[n][0]}-{n}")
def test_a_rule_is_triggered_by_its_fault_and_by_no_less(tmp_path, number):
    rule, pair, has_it, has_not = CASES[number]
    for name, (anatomy, metrics, curves), expected in (
        ("fault", has_it, True),
        ("sound", has_not, False),
    ):
        one = run(
            tmp_path / name,
            pair,
            anatomy=changed(SOUND, anatomy),
            metrics=METRICS | metrics,
            curves=curves,
            steps=200,
        )
        assert (RULES[rule](Facts(one)) is not None) is expected, name
        if expected:
            assert next(iter(findings(one))) == rule


SENTENCES = {
    "initial_loss": (
        "softmax+ce",
        {"start.loss": 40.0},
        {},
        "The initial predictions are confident and wrong: the loss before the first update is 40, "
        "where a constant prediction has ln K = 2.3. The initial weights are too large.",
    ),
}


@pytest.mark.parametrize("rule", SENTENCES)
def test_a_sentence_says_what_its_numbers_are(tmp_path, rule):
    pair, anatomy, metrics, sentence = SENTENCES[rule]
    one = run(tmp_path / "a", pair, anatomy=changed(SOUND, anatomy), metrics=METRICS | metrics)
    assert sentence in findings(one)[rule].sentence


@pytest.mark.parametrize("odd", [3, "text", [1], None])
def test_configurations_of_another_kind_bring_no_rule_down(tmp_path, odd):
    groups = dict.fromkeys(("model", "optimizer", "schedule", "data", "loss"), odd)
    anatomy = changed(SOUND, CHANCE | {"data.neighbours": 0.98, "start.loss": None})
    for number, curves in enumerate((settled(), hidden(1e-6), only(loss__val=steady(2.2)))):
        one = run(
            tmp_path / str(number),
            anatomy=anatomy,
            metrics=METRICS | LIKE_CHANCE,
            curves=curves,
            config=groups,
            steps=200,
        )
        for rule in RULES.values():
            rule(Facts(one))


def test_one_class_alone_says_nothing_of_a_constant_prediction(tmp_path):
    only_zero = {"count": [1, 0], "recall": [1.0, None], "grad": [0.0, None]}
    anatomy = changed(SOUND, {"start.loss": 3.5}) | {"classes": only_zero, "wrong": 0.0}
    one = run(tmp_path / "a", "clipped_linear+matching", anatomy=anatomy)
    assert Facts(one).constant != Facts(one).constant
    assert not Facts(one).unlearned
    assert not findings(one)


def test_a_run_that_diverged_has_too_high_a_rate_unless_its_features_are_unscaled(tmp_path):
    lost = {"status": "diverged", "metrics": METRICS | {"loss/train": float("nan")}}
    curves = only(loss__train=np.array([1.0, *[np.inf] * 19]))
    one = run(tmp_path / "a", "linear+se", anatomy=changed(SOUND, {}), curves=curves, **lost)
    found = findings(one)
    assert list(found) == ["lr_too_high"]
    assert found["lr_too_high"].remedy == "optimizer.lr=0.05"  # a tenth of what was recorded
    large = changed(SOUND, LARGE)
    assert list(findings(run(tmp_path / "b", "linear+se", anatomy=large, **lost))) == ["unscaled"]


def test_squared_error_may_start_higher_as_it_grows_with_the_square(tmp_path):
    anatomy = changed(SOUND, ONE_OUTPUT | {"start.loss": 12.0})  # 48 times that of y = 0
    assert not findings(run(tmp_path / "a", "linear+se", anatomy=anatomy))
    anatomy = changed(SOUND, ONE_OUTPUT | {"start.loss": 30.0})
    assert list(findings(run(tmp_path / "b", "linear+se", anatomy=anatomy))) == ["initial_loss"]
