"""Runs of any kind are judged, alone and cell by cell; none brings explain down."""

from __future__ import annotations

from time import process_time

import numpy as np
import pytest

from mlr.app.explain import RULES, explain, findings
from mlr.app.explain.health import reassurance
from mlr.records.reading import Recorded, read_runs
from tests.app.explain.made import METRICS, SOUND, changed, falling, run

STUCK = {"wrong": 0.5, "stuck": 0.4, "saturated": 0.95}
WITHOUT = {"accuracy/train": 0.5, "accuracy/val": 0.5, "accuracy/test": 0.5}
REGRESSION = {
    key: SOUND[key] for key in ("examples", "zero", "saturated", "start", "gradient", "data")
}


def stuck(folder, seed=0, **more):
    return run(
        folder,
        "sigmoid+se",
        anatomy=changed(SOUND, STUCK),
        metrics=METRICS | WITHOUT,
        overrides=["head=sigmoid", "loss=se", f"seed={seed}"],
        **more,
    )


def test_a_sound_run_gets_no_advice(tmp_path):
    one = run(tmp_path / "run", curves=falling())
    assert explain([one]) == []
    assert reassurance([one]) == (
        "No fault found: the training loss went from 2.34 to 0.14, 97 % of the training examples "
        "are right and 96 % of the validation and test examples, the wrong ones have a mean "
        "‖dL/dz‖ of 0.8, and none are wrong without gradient."
    )


KINDS = {
    "without anatomy": {"anatomy": None},
    "without numbers": {"anatomy": None, "metrics": {}, "status": "failed"},
    "interrupted": {"anatomy": None, "metrics": {}, "status": "interrupted", "curves": falling()},
    "running": {"anatomy": None, "metrics": {}, "status": "running"},
    "of an empty anatomy": {"anatomy": {}},
    "of nulls": {"anatomy": dict.fromkeys(SOUND)},
    "of half an anatomy": {"anatomy": changed(SOUND, {"classes": {}, "start": {}})},
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
    one = run(tmp_path / "run", pair, **KINDS[kind])
    assert set(findings(one)) <= {"lr_too_high"}  # of the numbers that were lost, at most
    assert explain([one, one]) is not None
    assert reassurance([one])


def test_a_run_that_names_no_pair_is_judged(tmp_path):
    one = run(tmp_path / "run", anatomy=changed(SOUND, {"start.loss": 50.0}))
    nameless = Recorded(one.folder, dict(one.entries) | {"pair": None})
    assert findings(nameless) == {}


@pytest.mark.parametrize(
    ("learned", "useless", "subject"),
    [(0, 1, "the model does"), (1, 1, "1 of 2 runs does"), (1, 2, "2 of 3 runs do")],
)
def test_runs_that_learned_nothing_are_counted(tmp_path, learned, useless, subject):
    chance = {"anatomy": changed(SOUND, {"wrong": 0.9}), "metrics": METRICS | {"loss/train": 2.31}}
    runs = [run(tmp_path / f"sound-{number}") for number in range(learned)]
    runs += [run(tmp_path / f"chance-{number}", **chance) for number in range(useless)]
    assert reassurance(runs).startswith(
        f"No rule explains it, but {subject} hardly better than a constant prediction; "
    )


def test_a_run_that_was_never_finished_is_not_called_sound(tmp_path):
    one = run(tmp_path / "run", anatomy=None, metrics={}, status="interrupted")
    assert reassurance([one]) == (
        "There are no final numbers to judge (interrupted); train to an end first."
    )


def test_a_regression_that_diverged_has_too_high_a_rate(tmp_path):
    metrics = {"loss/train": float("inf")}
    one = run(tmp_path / "run", "linear+se", anatomy=REGRESSION, metrics=metrics, status="diverged")
    assert [one.rule for one in explain([one])] == ["lr_too_high"]


def test_of_a_sweep_each_cell_is_told_once_and_counted(tmp_path):
    runs = [stuck(tmp_path / f"sigmoid+se,seed={seed}", seed) for seed in range(9)]
    runs.append(
        run(
            tmp_path / "sigmoid+se,seed=9",
            "sigmoid+se",
            overrides=["head=sigmoid", "loss=se", "seed=9"],
        )
    )
    runs += [run(tmp_path / f"softmax+ce,seed={seed}") for seed in range(3)]
    (one,) = explain(runs)
    assert (one.rule, one.cell, one.count) == ("saturated", "sigmoid+se", "9 of 10 runs")
    assert one.sentence.startswith("40 % of the training examples")
    assert len(one.runs) == 9
    assert "sigmoid+se,seed=9" not in one.runs


def test_the_cell_with_most_of_its_runs_afflicted_comes_first(tmp_path):
    runs = [stuck(tmp_path / f"a{seed}", seed) for seed in range(2)]
    for seed in range(2, 4):
        overrides = ["head=sigmoid", "loss=se", f"seed={seed}"]
        runs.append(run(tmp_path / f"a{seed}", "sigmoid+se", overrides=overrides))
    for seed in range(2):
        anatomy = changed(SOUND, {"start.loss": 50.0})
        runs.append(run(tmp_path / f"b{seed}", anatomy=anatomy))
    found = explain(runs)
    assert [(one.rule, one.count) for one in found] == [
        ("initial_loss", "2 of 2 runs"),
        ("saturated", "2 of 4 runs"),
    ]


def test_unfinished_runs_of_a_sweep_are_passed_over(tmp_path):
    stuck(tmp_path / "a", 0)
    run(tmp_path / "b", status="failed", metrics={}, anatomy=None)
    assert [one.count for one in explain(read_runs(tmp_path))] == ["1 of 1 runs"]


def test_of_faults_in_the_training_only_the_first_is_told(tmp_path):
    anatomy = changed(SOUND, STUCK | {"start.loss": 50.0})
    one = run(tmp_path / "run", "sigmoid+se", anatomy=anatomy, metrics=METRICS | WITHOUT)
    present = [name for name, rule in RULES.items() if name != "unscaled" and rule(_facts(one))]
    assert present == ["saturated", "initial_loss"]
    assert list(findings(one)) == ["saturated"]


def _facts(one):
    from mlr.app.explain.facts import Facts

    return Facts(one)


def test_five_hundred_runs_are_explained_in_a_second(tmp_path):
    few = falling(200)
    for seed in range(64):
        stuck(tmp_path / f"sigmoid+se,seed={seed}", seed, curves=few, config={"optimizer": {}})
    started = process_time()
    (one,) = explain(read_runs(tmp_path))
    took = process_time() - started
    assert one.count == "64 of 64 runs"
    assert took * 512 / 64 < 3  # 0.6 s where nothing else runs
