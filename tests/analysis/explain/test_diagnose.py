"""The order of findings, and the number of runs of a cell that each holds for."""

from __future__ import annotations

from itertools import pairwise
from time import process_time

import numpy as np
import pytest

from mlr.analysis.explain import RULES, explain, findings
from mlr.analysis.explain.command import reassurance
from mlr.analysis.explain.facts import Facts
from mlr.records.reading import read_runs
from tests.analysis.explain.made import METRICS, SOUND, changed, falling
from tests.analysis.explain.made import run as written
from tests.analysis.explain.sides import run, seeds
from tests.looping import looped

REGRESSION = {
    key: SOUND[key] for key in ("examples", "zero", "saturated", "start", "gradient", "data")
}
TWO = {"examples": 1000, "classes.count": [500, 500], "wrong": 0.5, "data.largest": 31.0}
FOUR = {"pair": "sigmoid+se", "examples": 1000, "classes.count": [250] * 4, "wrong": 0.1}
LEAPING = {"curve.loss/val": [1.0, 3.0] * 10, "loss/train": 1.0}
LARGE = {"data.mean": 0.0, "data.std": 10.0}
HIGH = TWO | {"pair": "softmax+ce", "start.loss": 40.0, "wrong": 0.1}
FAULTS = {
    "not_finite": TWO | {"pair": "softmax+ce", "refused": {"update": 1, "tensor": "a logit"}},
    "unscaled": TWO | LARGE | {"pair": "sigmoid+se", "stuck": 0.4},
    "clipped_dead": TWO | {"pair": "clipped_linear+ce", "stuck_zero": 0.4},
    "no_likelihood": FOUR
    | {"pair": "sigmoid+ce", "classes.recall": [0.9] * 4, "logits.count": [[0, 9], [0, 9]]},
    "lr_too_high": FOUR | LEAPING,
    "dead_class": FOUR
    | {"classes.recall": [0.0, 0.9, 0.9, 0.9], "classes.grad": [0.001, 0.5, 0.5, 0.5]},
    "saturated": TWO | {"pair": "sigmoid+se", "stuck": 0.2, "saturated": 0.95},
    "starved": TWO
    | {"pair": "linear+se", "curve.grad_norm/a": [0.001], "curve.grad_norm/b": [1.0]},
    "confident_right": TWO
    | {"pair": "linear+se", "boundary.wrong": 0.1, "logits.count": [[9, 0], [0, 9]]},
    "initial_loss": HIGH,
    "lr_too_low": TWO
    | {"pair": "softmax+se", "loss/train": 0.25, "curve.loss/val": np.linspace(2.3, 2.25, 20)},
    "underfitting": TWO
    | {
        **{"pair": "softmax+se", "loss/train": 0.25, "steps": 1000, "data.neighbours": 0.9},
        **{"accuracy/train": 0.5, "curve.loss/val": [1.0] * 20},
        **{"curve.learning_rate": [0.5] * 20, "curve.grad_norm/total": [1.0] * 20},
    },
    "rare_class": {
        **{"pair": "softmax+ce", "examples": 1000, "wrong": 0.02},
        **{"classes.count": [970, 30], "classes.recall": [0.999, 0.4]},
    },
    "label_noise": FOUR | {"accuracy/train": 0.7, "accuracy/val": 0.8},
    "overfitting": FOUR
    | {"accuracy/train": 1.0, "accuracy/val": 0.5, "loss/train": 0.1, "loss/val": 2.0},
}
"""A run of each fault that has no other: causes first."""


@looped("rule", FAULTS)
def test_a_fault_alone_is_found(rule):
    assert list(findings(run("a", FAULTS[rule]))) == [rule]


def test_causes_come_before_what_they_bring_about():
    assert list(RULES) == list(FAULTS)


OF_BOTH = {
    "unscaled": {"pair": "clipped_linear+ce"},
    "lr_too_high": {"pair": "sigmoid+se"},
    "confident_right": {"start.loss": 1000.0},
    "initial_loss": {"pair": "softmax+se", "wrong": 0.5},
    "underfitting": {
        **{"classes.count": [300, 300, 300, 50], "classes.recall": [0.5, 0.5, 0.5, 0.1]},
        "loss/train": 0.4,
    },
}
"""What else a run needs to have the fault and the one after it."""


@looped("cause, symptom", pairwise(list(FAULTS)[:-2]))
def test_of_two_faults_in_the_training_only_the_cause_is_told(cause, symptom):
    one = run("a", FAULTS[symptom] | FAULTS[cause] | OF_BOTH.get(cause, {}))
    assert RULES[symptom](Facts(one)) is not None
    assert list(findings(one)) == [cause]


def test_labels_and_overfitting_are_both_told():
    """Errors as sure as right answers, of 900 examples found and 500 of those held out."""
    sure = {"confidence.count_wrong": [10, 80, 10], "confidence.count_right": [90, 720, 90]}
    one = run("a", FAULTS["overfitting"] | sure | {"pair": "softmax+ce"})
    assert list(findings(one)) == ["label_noise", "overfitting"]
    assert [said.rule for said in explain([one])] == ["label_noise", "overfitting"]


@looped("rule", list(FAULTS)[2:])
def test_features_of_another_scale_are_the_cause_of_some(rule):
    symptoms = {
        *("lr_too_high", "clipped_dead", "dead_class", "saturated", "starved", "initial_loss"),
        "lr_too_low",
    }
    first = "unscaled" if rule in symptoms else rule
    assert list(findings(run("a", FAULTS[rule] | LARGE))) == [first]


def test_of_a_single_run_everything_is_told():
    (one,) = explain([run("softmax+ce", HIGH)])
    assert (one.rule, one.runs, one.cell, one.total) == (
        "initial_loss",
        ("softmax+ce",),
        "",
        1,
    )
    assert one.evidence.startswith("loss before the first update 40, ")
    assert one.remedy == "model.init=torch model.init_scale=1"


def told(runs):
    """Rule, cell and count of each diagnosis, in their order."""
    return [(one.rule, one.cell, one.count) for one in explain(runs)]


OVER, WELL = FAULTS["overfitting"], FOUR | {"loss/train": 0.1}


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([HIGH, WELL, WELL], [("initial_loss", "1 of 3 runs")]),
        ([OVER, OVER, HIGH], [("overfitting", "2 of 3 runs"), ("initial_loss", "1 of 3 runs")]),
        ([OVER, HIGH], [("initial_loss", "1 of 2 runs"), ("overfitting", "1 of 2 runs")]),
        ([OVER | {"status": "failed"}, OVER], [("overfitting", "1 of 1 runs")]),
        ([OVER | {"status": "diverged"}, WELL], [("lr_too_high", "1 of 2 runs")]),
        ([WELL, WELL], []),
        ([OVER | {"status": "running"}] * 2, []),
    ],
)
def test_runs_of_a_cell_are_counted_by_what_is_first_in_them(members, expected):
    same = [one | {"pair": "softmax+ce"} for one in members]
    found = [(rule, count) for rule, _, count in told(seeds("a", *same))]
    assert found == expected


def test_the_cell_with_most_of_its_runs_afflicted_comes_first():
    """Shares ½, ⅔, 1, ½ and 1: of equal ones the cause first, then the one trained first."""
    cells = {
        "a": [OVER, WELL],
        "b": [OVER, OVER, WELL],
        "c": [OVER],
        "d": [FAULTS["dead_class"], WELL],
        "e": [OVER],
    }
    runs = [
        run(f"{name}{seed}", one, f"batch_size={number}", f"seed={seed}")
        for number, (name, members) in enumerate(cells.items())
        for seed, one in enumerate(members)
    ]
    assert told(runs) == [
        ("overfitting", "sigmoid+se batch_size=2", "1 of 1 runs"),
        ("overfitting", "sigmoid+se batch_size=4", "1 of 1 runs"),
        ("overfitting", "sigmoid+se batch_size=1", "2 of 3 runs"),
        ("dead_class", "sigmoid+se batch_size=3", "1 of 2 runs"),
        ("overfitting", "sigmoid+se batch_size=0", "1 of 2 runs"),
    ]


def test_one_sentence_is_true_of_every_run_it_counts():
    starts = [HIGH | {"start.loss": loss} for loss in (50.0, 40.0, 60.0)]
    (one,) = explain(seeds("run", *starts, WELL | {"pair": "softmax+ce"}))
    assert one.runs == ["run,seed=0", "run,seed=1", "run,seed=2"]
    assert one.count == "3 of 4 runs"
    assert "the loss before the first update is 40 to 60, where" in one.sentence
    assert one.evidence.startswith("run,seed=0: loss before the first update 50, ")  # whose it is
    assert [found.numbers["start"] for found in one.findings] == [50, 40, 60]
    (alone,) = explain(seeds("run", HIGH, WELL | {"pair": "softmax+ce"}))
    assert alone.evidence.startswith("loss before the first update 40, ")
    assert alone.runs == ["run,seed=0"]


def test_runs_of_which_another_sentence_is_true_are_counted_apart():
    grown = FOUR | {"status": "diverged"}
    found = explain(seeds("run", grown, grown, FAULTS["lr_too_high"]))
    assert [(one.rule, one.count) for one in found] == [
        ("lr_too_high", "2 of 3 runs"),
        ("lr_too_high", "1 of 3 runs"),
    ]
    assert "without bound" in found[0].sentence
    assert "leaps" in found[1].sentence


def test_runs_that_need_another_remedy_are_counted_apart():
    """A tenth of the rate that each has recorded."""
    lost = [FOUR | {"status": "diverged", "curve.learning_rate": [rate]} for rate in (1, 4, 1)]
    found = explain(seeds("run", *lost))
    assert [(one.remedy, one.runs) for one in found] == [
        ("optimizer.lr=0.1", ["run,seed=0", "run,seed=2"]),
        ("optimizer.lr=0.4", ["run,seed=1"]),
    ]
    assert found[0].sentence == (
        "The learning rate optimizer.lr=1 is too high: the loss grew without bound."
    )


def test_a_cell_has_the_configuration_of_its_first_run():
    lost = FOUR | {"status": "diverged"}
    configured = [lost | {"config.optimizer.lr": rate} for rate in (0.5, 7.0)]
    (one,) = explain(seeds("run", *configured))
    assert (one.remedy, one.count) == ("optimizer.lr=0.05", "2 of 2 runs")


def test_dead_classes_of_one_seed_are_not_said_to_be_those_of_all():
    recalls = [0.0, 0.9, 0.9, 0.9], [0.9, 0.0, 0.0, 0.9]
    both = [
        FAULTS["dead_class"] | {"classes.recall": recall, "classes.grad": [0.001] * 4}
        for recall in recalls
    ]
    (one,) = explain(seeds("run", *both))
    assert one.sentence.startswith("Some classes (1 to 2 of 4 in each run) are never found")
    assert one.evidence.startswith("run,seed=0: recall of class 0 0, ")
    (alone,) = explain(seeds("run", both[1]))
    assert alone.sentence.startswith("Classes 1 and 2 are never found")


KINDS = {
    "without anatomy": {"anatomy": None},
    "without numbers": {"anatomy": None, "metrics": {}, "status": "failed"},
    "interrupted": {"anatomy": None, "metrics": {}, "status": "interrupted", "curves": falling()},
    "running": {"anatomy": None, "metrics": {}, "status": "running"},
    "of an empty anatomy": {"anatomy": {}},
    "of NaN": {"metrics": {key: float("nan") for key in METRICS}},
    "of a regression": {"anatomy": REGRESSION, "metrics": {"loss/train": 0.01, "loss/val": 0.01}},
    "with curves of NaN": {"curves": {tag: np.full(20, np.nan) for tag in falling()}},
    "with infinite curves": {"curves": {tag: np.full(20, np.inf) for tag in falling()}},
    "with a single row": {"curves": {tag: values[:1] for tag, values in falling().items()}},
    "with other tags": {"curves": {"my/tag": np.ones(20)}},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pair", ["softmax+ce", "sigmoid+se", "clipped_linear+se", "linear+se"])
def test_a_run_is_judged_by_what_it_has(tmp_path, kind, pair):
    one = written(tmp_path / "run", pair, **KINDS[kind])
    assert set(findings(one)) <= {"lr_too_high"}  # of the numbers that were lost, at most
    assert explain([one, one]) is not None
    assert reassurance([one])


@pytest.mark.parametrize("odd", [3, "text", [1]])
def test_configurations_of_another_kind_bring_no_rule_down(odd):
    groups = ("model", "optimizer", "schedule", "data", "loss")
    configured = {f"config.{group}": odd for group in groups}
    for rule, told in FAULTS.items():
        assert list(findings(run("a", told | configured))) == [rule]


def test_one_class_alone_says_nothing_of_a_constant_prediction():
    told = {"pair": "clipped_linear+matching", "classes.count": [1, 0], "start.loss": 3.5}
    assert findings(run("a", told | {"classes.recall": [1.0, None], "wrong": 0.0})) == {}


def test_a_run_that_names_no_pair_is_judged():
    assert findings(run("a", HIGH | {"pair": None})) == {}


def test_a_regression_that_diverged_has_too_high_a_rate(tmp_path):
    metrics = {"loss/train": float("inf")}
    one = written(
        tmp_path / "run", "linear+se", anatomy=REGRESSION, metrics=metrics, status="diverged"
    )
    assert [one.rule for one in explain([one])] == ["lr_too_high"]


def test_five_hundred_runs_are_explained_in_a_second(tmp_path):
    anatomy = changed(SOUND, {"wrong": 0.5, "stuck": 0.4, "saturated": 0.95})
    metrics = METRICS | {"accuracy/val": 0.5, "accuracy/test": 0.5}
    for seed in range(64):
        kinds = {"overrides": [f"seed={seed}"], "config": {"optimizer": {}}}
        kinds |= {"anatomy": anatomy, "metrics": metrics, "curves": falling(200)}
        written(tmp_path / f"seed={seed}", "sigmoid+se", **kinds)
    started = process_time()
    (one,) = explain(read_runs(tmp_path))
    took = process_time() - started
    assert one.count == "64 of 64 runs"
    assert took * 512 / 64 < 3  # 0.6 s where nothing else runs
