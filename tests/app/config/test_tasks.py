"""Several labels or targets, and tables with weights, from the command line to what is read."""

from __future__ import annotations

import numpy as np
import pytest

from mlr.analysis.compare.command import main as compare
from mlr.analysis.explain.command import main as explain
from mlr.analysis.report.command import main as report

LABELS = ("data=multilabel", "data.n=200", "head=sigmoid", "epochs=3")


@pytest.fixture(scope="module")
def houses(tmp_path_factory):
    """Two targets in very different units, a category, weights and a hole."""
    path = tmp_path_factory.mktemp("houses") / "own.csv"
    rng = np.random.default_rng(0)
    lines = ["rooms,garden,age,price,quality,w,owner"]
    for i in range(120):
        rooms, garden = rng.integers(1, 9), ("none", "small", "large")[i % 3]
        price = 2e5 + 5e4 * rooms + 1e4 * rng.normal()
        age = "" if i == 7 else i % 50
        quality = rooms / 10 + 0.05 * rng.normal()
        lines.append(f"{rooms},{garden},{age},{price:.0f},{quality:.3f},{1 + i % 2},o{i // 4}")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_run_of_several_labels_says_its_numbers(train):
    finished = train(*LABELS, "probes=full")
    assert finished.code == 0, finished.err
    rows = {line.split("  ")[0]: line.split()[-3:] for line in finished.out.splitlines()}
    assert {"loss", "F1 (micro)", "F1 (macro)", "label accuracy", "exact match"} <= set(rows)
    metrics = finished.status()["metrics"]
    assert rows["exact match"] == [
        f"{metrics[f'exact_match/{split}']:.2%}" for split in ("train", "val", "test")
    ]
    assert not [tag for tag in metrics if tag.startswith(("accuracy/", "rmse/"))]
    assert finished.status()["anatomy"]["targets"]["count"]
    last = finished.table()[-1]
    assert float(last["f1_micro/test"]) == pytest.approx(metrics["f1_micro/test"], rel=1e-6)


def test_a_sweep_of_several_labels_is_read_everywhere(train, tmp_path, capfd):
    finished = train("-m", *LABELS, "loss=bce,se", "seed=0,1", "optimizer.lr=1")
    assert finished.code == 0, finished.err
    assert "test F1 (micro) ↑" in finished.out
    (sweep,) = {run.parent for run in finished.runs}
    capfd.readouterr()
    assert compare([str(sweep)], by="head,loss") == 0
    printed = capfd.readouterr().out
    assert "test F1 (micro) ↑" in printed
    assert explain(str(sweep), as_json=True) == 0
    page = tmp_path / "report.html"
    assert report(str(sweep), str(page)) == 0
    assert "test F1 (micro)" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ((*LABELS, "head=softmax"), "several labels at once. Use head=sigmoid loss=bce."),
        ((*LABELS, "loss=ce"), "loss=ce takes one class for each example"),
        ((*LABELS, "objective_metric=accuracy/val"), "use label_accuracy/val"),
        (("data=moons", "objective_metric=f1_micro/val"), "needs data with several labels"),
        ((*LABELS, "stopping.by=error"), "stopping.by=error needs one class an example"),
        ((*LABELS, "stopping.factor=0.5"), "stopping.factor=0.5 must be at least 1"),
        (("data=line", "head=linear", "objective_metric=f1_micro/val"), "are a regression"),
    ],
)
def test_what_does_not_fit_the_task_is_refused(train, line, message):
    finished = train(*line)
    assert finished.code == 2
    assert message in finished.err
    assert not finished.runs


def test_targets_in_large_units_are_learned(train, houses):
    line = ("data=csv", f"data.path={houses}", "data.task=regression", "data.missing=median")
    line += ("data.label=[price,quality]", "data.categorical=[garden]", "data.groups=owner")
    line += ("data.weights=w", "head=gaussian", "optimizer.lr=0.05", "epochs=60")
    finished = train(*line)
    assert finished.code == 0, finished.err
    assert "RMSE" in finished.out
    metrics, anatomy = finished.status()["metrics"], finished.status()["anatomy"]
    # the noise of the price is 10,000
    assert 5e3 < metrics["rmse/test"] < 3e4
    assert anatomy["targets"]["labels"] == ["price", "quality"]
    assert anatomy["targets"]["rmse"][1] < 0.1
    scaling = anatomy["targets"]
    assert scaling["offset"][0] == pytest.approx(4.25e5, rel=0.2)
    assert scaling["divisor"][0] == pytest.approx(1.2e5, rel=0.3)


def test_targets_in_large_units_are_lost_as_they_are(train, houses):
    """Without scaling, a σ of a few meets targets around 400,000."""
    line = ("data=csv", f"data.path={houses}", "data.task=regression", "data.label=price")
    line += ("data.features=[rooms]", "head=gaussian", "optimizer.lr=0.05", "epochs=5")
    status = train(*line, "data.target_scale=none").status()
    assert status["status"] == "diverged" or status["metrics"]["rmse/test"] > 1e5


@pytest.mark.parametrize(
    ("scale", "scaled"), [((), True), (("none",), False), (("standardize",), True)]
)
def test_targets_are_scaled_where_the_loss_takes_any_number(train, houses, scale, scaled):
    line = ("data=csv", f"data.path={houses}", "data.task=regression", "data.label=quality")
    line += ("data.features=[rooms]", "epochs=2", "head=linear")
    finished = train(*line, *(f"data.target_scale={one}" for one in scale))
    about = finished.status()["anatomy"]
    assert ("targets" in about) is scaled
    if scaled:
        assert about["targets"]["divisor"] == [pytest.approx(0.24, abs=0.05)]


def test_generated_targets_stay_as_they_are(train):
    finished = train("data=line", "head=linear", "epochs=2")
    assert "targets" not in finished.status()["anatomy"]


def test_weights_and_split_columns_reach_the_training(train, tmp_path):
    path = tmp_path / "own.csv"
    parts = ("train", "train", "val", "test")
    rows = [f"{i % 7},{'ab'[i % 2]},{i % 2},{parts[i // 2 % 4]}" for i in range(64)]
    path.write_text("x,label,w,part\n" + "\n".join(rows) + "\n")
    line = ("data=csv", f"data.path={path}", "epochs=20", "head=sigmoid")
    finished = train(*line, "data.weights=w", "data.split_column=part")
    assert finished.code == 0, finished.err
    # only class b counts: all are predicted so
    assert finished.status()["anatomy"]["classes"]["recall"] == [0, 1]
    assert finished.status()["anatomy"]["examples"] == 32
