"""Each rule has numbers that trigger it and numbers, next to these, that do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlr.app.explain import RULES, findings
from mlr.app.explain.facts import Facts
from tests.app.explain.made import METRICS, SOUND, changed, falling, run

CLIPPED = {"wrong": 0.7, "stuck": 0.68, "stuck_zero": 0.68, "saturated": 0.9}
SATURATED = {"wrong": 0.5, "stuck": 0.4, "saturated": 0.95}
DEAD = {
    **{"wrong": 0.13, "stuck": 0.1, "saturated": 0.9},
    "classes.recall": [0.0, *[0.97] * 9],
    "classes.grad": [7e-6, *[0.005] * 9],
}
ONE_OUTPUT = {
    "classes": {"count": [500, 500], "recall": [0.6, 0.6], "grad": [0.3, 0.3]},
    "start.loss": 0.3,
}
DRAGGED = {
    **ONE_OUTPUT,
    **{"wrong": 0.34, "saturated": 0.0},
    "boundary": {"at": 0.43, "wrong": 0.0},
    "logits.count": [[0] * 10 + [500] + [0] * 11, [0] * 11 + [390, 110] + [0] * 9],
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


def steady(end):
    """A validation loss on a straight line."""
    return np.linspace(2.3, end, 20)


def late(pull):
    """A loss that stays where it was for most of the training, and then falls."""
    losses = np.concatenate([np.full(14, 2.3), np.linspace(2.0, 0.14, 6)])
    pulls = np.linspace(pull, 0.3, 20)
    return falling() | {"loss/train": losses, "loss/val": losses, "logit_grad/wrong": pulls}


def settled(rate=0.5):
    """A loss that goes up and down by little, while batches still push."""
    losses = 2.3 + 0.002 * np.tile([1.0, -1.0], 10)
    pushed = {"learning_rate": np.full(20, rate), "grad_norm/total": np.ones(20)}
    return falling() | {"loss/train": losses, "loss/val": losses} | pushed


CHANCES = {"accuracy/val": 0.5, "accuracy/test": 0.5}
UNSEEN = {
    **{"wrong": 0.5, "stuck": 0.0, "saturated": 0.0},
    "confidence.count_wrong": [480, 10, 10],
    "confidence.grad_wrong": [0.004, 0.2, 0.3],
    "logits.count": [[500] + [0] * 21, [50] + [0] * 21],
}
RISEN = [[0] * 12 + [900] + [0] * 9, [0] * 20 + [100] + [0]]
NOISY = {
    "wrong": 0.2,
    "confidence.count_wrong": [30, 160, 10],
    "confidence.count_right": [120, 640, 40],
}
SURE_OF_RIGHT = {**NOISY, "confidence.count_right": [50, 350, 400]}
LARGE = {"data.mean": 4.9, "data.std": 6.0}

# rule, pair, and for both a run that has it and one that does not: anatomy, metrics, curves
CASES = [
    (
        "unscaled",
        "sigmoid+se",
        (LARGE | SATURATED, {"accuracy/train": 0.5}, falling()),
        (LARGE, {}, falling()),  # it copes
    ),
    (
        "unscaled",
        "softmax+ce",
        ({"data.std": 1e-4} | CHANCE, LIKE_CHANCE, falling(end=2.3)),
        ({"data.std": 0.3} | CHANCE, LIKE_CHANCE, falling(end=2.3)),
    ),
    (
        "clipped_dead",
        "clipped_linear+se",
        (CLIPPED, {}, falling()),
        (CLIPPED | {"stuck": 0.02, "stuck_zero": 0.02, "wrong": 0.03}, {}, falling()),
    ),
    ("dead_class", "sigmoid+se", (DEAD, {}, None), (DEAD | {"classes.grad": [0.8] * 10}, {}, None)),
    (
        "saturated",
        "sigmoid+se",
        (SATURATED, {"accuracy/val": 0.5, "accuracy/test": 0.5}, falling()),
        (SATURATED | {"stuck": 0.02}, {"accuracy/val": 0.5, "accuracy/test": 0.5}, falling()),
    ),
    (
        "saturated",  # for a threshold so small that only mean gradients and logits tell
        "sigmoid+se",
        (UNSEEN, {"accuracy/val": 0.5, "accuracy/test": 0.5}, falling()),
        (
            UNSEEN | {"confidence.grad_wrong": [0.7, 0.9, 1.2]},
            {"accuracy/val": 0.5, "accuracy/test": 0.5},
            falling(),
        ),
    ),
    (
        "saturated",  # for two thirds of the training
        "sigmoid+se",
        ({}, {}, late(0.01)),
        ({}, {}, late(0.2)),  # no faint gradient: it was slow for another reason
    ),
    (
        "saturated",  # nobody is sure of anything: no output is near 0 or 1
        "softmax+se",
        (SATURATED | {"confidence.count_wrong": [100, 100, 300]}, CHANCES, falling()),
        (SATURATED | {"confidence.count_wrong": [500, 0, 0]}, CHANCES, falling()),
    ),
    (
        "saturated",  # of a hundred classes a softmax that knows nothing has so little
        "softmax+se",
        ({}, {}, late(0.01)),
        ({"classes": dict.fromkeys(("count", "recall", "grad"), [1.0] * 100)}, {}, late(0.01)),
    ),
    (
        "no_likelihood",
        "sigmoid+ce",
        ({"wrong": 0.8, "logits.count": RISEN}, {}, falling()),
        ({"wrong": 0.8}, {}, falling()),
    ),
    (
        "underfitting",
        "softmax+ce",
        (CHANCE | {"data.neighbours": 0.98}, LIKE_CHANCE, settled()),
        (CHANCE | {"data.neighbours": 0.12}, LIKE_CHANCE, settled()),  # labels are all noise
    ),
    (
        "underfitting",
        "softmax+ce",
        (CHANCE | {"data.neighbours": 0.98}, LIKE_CHANCE, settled()),
        (
            CHANCE | {"data.neighbours": 0.98},
            LIKE_CHANCE,
            settled(rate=1e-6),
        ),  # no updates to speak of
    ),
    (
        "starved",
        "softmax+ce",
        (CHANCE, LIKE_CHANCE, hidden(1e-6)),
        (CHANCE, LIKE_CHANCE, hidden(0.3)),
    ),
    (
        "confident_right",
        "linear+se",
        (DRAGGED, {}, None),
        (DRAGGED | {"boundary": {"at": 0.49, "wrong": 0.33}}, {}, None),
    ),
    (
        "label_noise",
        "softmax+ce",
        ({"wrong": 0.3}, {"accuracy/train": 0.7, "loss/train": 1.4}, falling()),
        ({"wrong": 0.08}, {"accuracy/train": 0.92}, falling()),
    ),
    ("label_noise", "softmax+ce", (NOISY, {}, None), (SURE_OF_RIGHT, {}, None)),
    (
        "overfitting",
        "softmax+ce",
        ({}, {"accuracy/train": 1.0, "accuracy/val": 0.7, "loss/val": 1.8}, None),
        ({}, {"accuracy/train": 1.0, "accuracy/val": 0.95, "loss/val": 1.8}, None),
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


def test_every_rule_has_its_cases():
    here = Path(__file__).parent.glob("test_rules_*.py")
    written = "".join(path.read_text(encoding="utf-8") for path in here)
    sides = {rule for rule in RULES if f"check({rule}," in written}
    assert sides | {rule for rule, *_ in CASES} == set(RULES)


def test_the_example_of_the_lecture_is_said_as_it_stands_there(tmp_path):
    one = run(tmp_path / "a", "clipped_linear+se", anatomy=changed(SOUND, CLIPPED))
    found = findings(one)["clipped_dead"]
    assert found.sentence == (
        "68 % of the training examples are predicted wrongly and receive no gradient: the "
        "clipped-linear unit is outside [0, 1] for them."
    )
    assert found.remedy == "head=sigmoid loss=bce, or loss=matching"
    assert "stuck/zero 0.68" in found.evidence


SENTENCES = {
    "confident_right": (
        "linear+se",
        DRAGGED,
        {},
        "of the training examples have an output beyond their target; squared error counts this as "
        "an error and shifts the boundary so that",
    ),
    "overfitting": (
        "softmax+ce",
        {},
        {"accuracy/train": 1.0, "accuracy/val": 0.75, "accuracy/test": 0.65, "loss/val": 1.8},
        "The model overfits: its training accuracy is 100 %, the mean of its validation and test "
        "accuracy 70 %.",
    ),
}


@pytest.mark.parametrize("rule", SENTENCES)
def test_a_sentence_says_what_its_numbers_are(tmp_path, rule):
    pair, anatomy, metrics, sentence = SENTENCES[rule]
    one = run(tmp_path / "a", pair, anatomy=changed(SOUND, anatomy), metrics=METRICS | metrics)
    assert sentence in findings(one)[rule].sentence


def test_a_dead_digit_is_named(tmp_path):
    found = findings(run(tmp_path / "a", "sigmoid+se", anatomy=changed(SOUND, DEAD)))["dead_class"]
    assert found.sentence.startswith("Class 0 is never found")
    assert "|dL/dz_0| over its examples 7e-06" in found.evidence
    two = changed(SOUND, DEAD) | {"stuck": 0.2}
    two["classes"]["recall"][3], two["classes"]["grad"][3] = 0.0, 1e-5
    found = findings(run(tmp_path / "b", "sigmoid+se", anatomy=two))["dead_class"]
    assert found.sentence.startswith("Classes 0 and 3 are never found")


def test_a_dead_class_is_named_by_its_label(tmp_path):
    names = [f"kind {k}" for k in range(9)] + ["{odd}"]
    labels = changed(SOUND, DEAD | {"classes.labels": names})
    found = findings(run(tmp_path / "a", "sigmoid+se", anatomy=labels))["dead_class"]
    assert found.sentence.startswith("Class 'kind 0' is never found")
    assert found.evidence.startswith("recall of class 'kind 0' 0")
    labels["classes"]["recall"][9], labels["classes"]["grad"][9] = 0.0, 1e-5
    found = findings(run(tmp_path / "b", "sigmoid+se", anatomy=labels))["dead_class"]
    assert found.sentence.startswith("Classes 'kind 0' and '{odd}' are never found")


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


@pytest.mark.parametrize(
    ("model", "remedy"),
    [
        ({"_target_": "mlr.models.Linear"}, "model=mlp"),
        ({"_target_": "mlr.models.Mlp", "widths": [4, 8]}, "model.widths=[16,32]"),
        ({"_target_": "own.Net"}, ""),
    ],
)
def test_a_model_that_underfits_gets_more_units_where_it_has_some(tmp_path, model, remedy):
    anatomy, metrics = changed(SOUND, CHANCE | {"data.neighbours": 0.98}), METRICS | LIKE_CHANCE
    config = {"model": model, "optimizer": {"_target_": "mlr.training.SGD", "lr": 0.5}}
    one = run(
        tmp_path / "a",
        anatomy=anatomy,
        metrics=metrics,
        curves=settled(),
        config=config,
        steps=200,
    )
    assert findings(one)["underfitting"].remedy == remedy


def test_a_run_that_diverged_has_too_high_a_rate_unless_its_features_are_unscaled(tmp_path):
    lost = {"status": "diverged", "metrics": METRICS | {"loss/train": float("nan")}}
    curves = only(loss__train=np.array([1.0, *[np.inf] * 19]))
    one = run(tmp_path / "a", "linear+se", anatomy=changed(SOUND, {}), curves=curves, **lost)
    found = findings(one)
    assert list(found) == ["lr_too_high"]
    assert found["lr_too_high"].remedy == "optimizer.lr=0.05"  # a tenth of what was recorded
    large = changed(SOUND, LARGE)
    assert list(findings(run(tmp_path / "b", "linear+se", anatomy=large, **lost))) == ["unscaled"]


def test_noise_that_was_asked_for_can_be_left_out(tmp_path):
    anatomy = changed(SOUND, NOISY)
    asked = run(tmp_path / "a", anatomy=anatomy, config={"data": {"label_noise": 0.2}})
    assert findings(asked)["label_noise"].remedy == "data.label_noise=0"
    own = run(tmp_path / "b", anatomy=anatomy, config={"data": {"path": "own.csv"}})
    assert findings(own)["label_noise"].remedy == "head=softmax loss=gce"


def test_a_remedy_names_only_settings_that_there_are(tmp_path):
    anatomy, metrics = changed(SOUND, CHANCE), METRICS | LIKE_CHANCE
    cnn = {"model": {"_target_": "mlr.models.Cnn", "init": "zeros", "init_scale": 1.0}}
    one = run(tmp_path / "a", anatomy=anatomy, metrics=metrics, curves=hidden(1e-6), config=cnn)
    assert findings(one)["starved"].remedy == "model.init=he model.init_scale=1"


def test_robust_losses_may_leave_wrong_labels_alone(tmp_path):
    metrics = METRICS | {"accuracy/train": 0.6}
    anatomy = changed(SOUND, SATURATED | {"wrong": 0.4})
    assert "saturated" not in findings(
        run(tmp_path / "a", "softmax+gce", anatomy=anatomy, metrics=metrics)
    )
