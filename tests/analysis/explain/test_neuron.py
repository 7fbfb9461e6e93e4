"""The first lesson, by the commands that teach it: what is promised can be read off the runs."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest

from mlr.figures import canvas, outputs
from mlr.figures.seen import Moment

UPDATES = 300


def neuron(loss: str, rate: float = 0.15) -> list[float]:
    """The output y before each update and after the last: input 1, target 0, w = b = 2."""
    w = b = 2.0
    seen = []
    for _ in range(UPDATES + 1):
        y = 1 / (1 + math.exp(-(w + b)))
        seen.append(y)
        pull = y * y * (1 - y) if loss == "se" else y  # (y − t) dy/dz, and y − t
        w, b = w - rate * pull, b - rate * pull
    return seen


@pytest.fixture
def lesson(train):
    return train("-m", "experiment=neuron", "loss=se,bce")


def test_the_outputs_are_those_of_a_loop_by_hand(lesson):
    (se,), (bce,) = (
        [run for run in lesson.runs if run.name.startswith(f"sigmoid+{loss}")]
        for loss in ("se", "bce")
    )
    for run, loss, after_50, after_300 in ((se, "se", 0.9759, 0.2028), (bce, "bce", 0.0985, 0.012)):
        with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
            rows = {int(row["step"]): row for row in csv.DictReader(file)}
        found = [float(rows[step]["prediction/target_0"]) for step in range(UPDATES + 1)]
        assert found == pytest.approx(neuron(loss), rel=1e-12)
        assert found[50] == pytest.approx(after_50, abs=5e-5)
        assert found[UPDATES] == pytest.approx(after_300, abs=5e-5)
        assert not any(row["prediction/target_1"] for row in rows.values())  # there is none
        final = json.loads((run / "status.json").read_text())["metrics"]
        assert final["prediction/target_0"] == pytest.approx(found[UPDATES], rel=1e-12)


def test_the_sweep_says_where_the_outputs_ended_and_what_held_one_up(lesson):
    lines = lesson.out.splitlines()
    for loss, last in (("se", "0.2028"), ("bce", "0.01201")):
        early = f"{neuron(loss)[50]:.4g} after 50 updates"
        told = f"mean output y in training data: for target 0, 0.982 at the start, {early}"
        assert f"sigmoid+{loss}: {told}, {last} at the end" in lines
    (told,) = [line for line in lines if "training examples were" in line]
    assert told.startswith("sigmoid+se: 100 % of the training examples were")
    assert "the sigmoid was saturated" in told
    assert told.endswith("Try loss=bce.")
    assert "learning rate" not in lesson.out


def test_a_single_run_says_where_its_output_ended(train):
    out = train("experiment=neuron", "loss=se").out
    assert "mean output y in training data: 0.2028 for target 0\n" in out
    assert "mean output" not in train("data=blobs", "epochs=1", "hydra.run.dir=other").out


def test_saturation_is_named_whatever_counts_as_stuck(train):
    out = train("experiment=neuron", "loss=se", "probes=basic").out  # the slope is above its 0.01
    assert "the sigmoid was saturated" in out


def test_the_picture_shows_the_outputs_over_the_updates(lesson):
    (se,) = [run for run in lesson.runs if run.name.startswith("sigmoid+se")]
    end = Moment(None, UPDATES + 1, {}, se / "metrics.csv")
    (curve,) = outputs.collect(end, {"prediction/target_0": 0.5})
    assert curve.tag == "prediction/target_0"
    assert curve.steps.tolist() == [*range(UPDATES + 1), UPDATES + 1]
    assert curve.outputs[:-1] == pytest.approx(neuron("se"), rel=1e-6)
    figure = outputs.draw([curve], "Output")
    (axes,) = figure.axes
    target, drawn = axes.lines
    assert set(np.asarray(target.get_ydata()).tolist()) == {0.0}
    assert np.asarray(drawn.get_ydata()) == pytest.approx(curve.outputs)
    assert canvas.png(figure)


def test_runs_with_such_a_series_are_drawn_with_it(train):
    from tests.records.reading import accumulate

    tags = accumulate(train("experiment=neuron", "loss=se", "epochs=2").runs[0]).Tags()
    assert "figure/output" in tags["images"]
    plain = train("data=blobs", "epochs=1", "hydra.run.dir=other").folder / "other"
    assert "figure/output" not in accumulate(plain).Tags()["images"]
