"""Remedies for a rate are of the setting that a person can change."""

from __future__ import annotations

import numpy as np
import pytest

from mlr.app.explain import findings
from tests.app.conftest import train  # noqa: F401
from tests.app.explain.made import METRICS, SOUND, changed, falling, run
from tests.app.explain.test_rules import CHANCE, LIKE_CHANCE, steady

LOST = {"status": "diverged", "metrics": METRICS | {"loss/train": float("nan")}}


def config(rate, warm=0):
    return {"optimizer": {"lr": rate}, "schedule": {"warmup_steps": warm}}


def recorded(highest, **curves):
    return falling() | {"learning_rate": np.linspace(0, highest, 20)} | curves


def test_most_examples_being_wrong_is_far_to_go_where_no_constant_is_known(tmp_path):
    only_zero = {"count": [9, 0], "recall": [0.0, None], "grad": [0.8, None]}
    metrics = METRICS | {"loss/train": 1.0, "loss/val": 1.0}
    curves = recorded(0.005, **{"loss/val": np.linspace(4.0, 1.0, 20)})
    for name, wrong, expected in (("a", 1.0, ["lr_too_low"]), ("b", 0.0, [])):
        anatomy = changed(SOUND, {"start.loss": 4.0, "wrong": wrong}) | {"classes": only_zero}
        one = run(tmp_path / name, "sigmoid+bce", anatomy=anatomy, metrics=metrics, curves=curves)
        assert list(findings(one)) == expected


def test_the_configured_rate_is_multiplied_not_the_recorded_one(tmp_path):
    anatomy, metrics = changed(SOUND, CHANCE), METRICS | LIKE_CHANCE
    curves = recorded(0.4, **{"loss/val": steady(2.2)})
    low = run(tmp_path / "low", anatomy=anatomy, metrics=metrics, curves=curves, config=config(0.5))
    found = findings(low)["lr_too_low"]
    assert found.remedy == "optimizer.lr=5"
    assert found.sentence.startswith("The learning rate optimizer.lr=0.5 is too low")
    high = run(tmp_path / "high", curves=recorded(0.4), config=config(0.5), **LOST)
    found = findings(high)["lr_too_high"]
    assert found.remedy == "optimizer.lr=0.05"
    assert found.sentence.startswith("The learning rate optimizer.lr=0.5 is too high")


def test_a_warm_up_longer_than_the_run_is_the_cause(tmp_path):
    anatomy, metrics = changed(SOUND, CHANCE), METRICS | LIKE_CHANCE
    one = run(
        tmp_path / "run",
        anatomy=anatomy,
        metrics=metrics,
        curves=recorded(0.008, **{"loss/val": steady(2.2)}),
        config=config(0.5, warm=100_000),
        steps=1600,
    )
    found = findings(one)["lr_too_low"]
    assert found.sentence == (
        "The warm-up is longer than the training: after 1,600 of schedule.warmup_steps=100,000 "
        "updates the learning rate has come to 0.008, not to optimizer.lr=0.5, and most of the "
        "loss is still there."
    )
    assert found.remedy == "schedule.warmup_steps=160"
    few = {"curves": recorded(0.008), "config": config(0.5, warm=100_000), "steps": 120}
    soon = run(tmp_path / "soon", anatomy=anatomy, metrics=metrics, **few)  # too few to see it fall
    assert findings(soon)["lr_too_low"].sentence.startswith("The warm-up is longer")


def test_a_run_that_diverged_on_its_way_up_is_told_the_rate_it_had(tmp_path):
    one = run(tmp_path / "run", curves=recorded(0.02), config=config(0.5, warm=1000), **LOST)
    found = findings(one)["lr_too_high"]
    assert found.sentence.startswith(
        "The learning rate 0.02, on its way to optimizer.lr=0.5, is too high"
    )
    assert found.remedy == "optimizer.lr=0.002"  # a tenth of 0.5 would come by 0.02 again


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_the_command_of_the_report_is_told_so(train, schedule):  # noqa: F811
    line = ("data=digits", f"schedule={schedule}", "schedule.warmup_steps=100000", "epochs=20")
    out = train(*line, "head=softmax", "loss=ce", "optimizer.lr=0.02").out
    assert "The warm-up is longer than the training" in out
    assert "Try schedule.warmup_steps=80." in out
