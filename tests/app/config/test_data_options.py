"""Options of the data and of evaluation, from the command line to what is recorded."""

from __future__ import annotations

import csv
import json

import pytest
from omegaconf import OmegaConf
from torch import Tensor

from mlr import records
from mlr.analysis.compare.command import main as compare
from mlr.analysis.explain.command import main as explain
from mlr.analysis.report.command import main as report
from mlr.app.config.run_spec import make_run_spec
from mlr.data.base import Split
from tests.data.support import mnist_folder

FAST = ("data=moons", "data.n=200", "epochs=7")


def rows(folder):
    with (folder / "metrics.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def flowers(tmp_path_factory):
    """A headerless table whose classes are words."""
    path = tmp_path_factory.mktemp("flowers") / "own.csv"
    lines = [f"{i / 7},{i % 5},red,{('lily', 'rose', 'tulip')[i % 3]}" for i in range(60)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_run_without_validation_has_no_number_of_it(train):
    finished = train(*FAST, "data.val_fraction=0")
    assert finished.code == 0, finished.err
    assert not [tag for tag in finished.status()["metrics"] if "/val" in tag]
    assert not [tag for tag in finished.table()[0] if "/val" in tag]
    assert ["train", "test"] in [line.split() for line in finished.out.splitlines()]
    loss = next(line.split() for line in finished.out.splitlines() if line.startswith("loss"))
    assert len(loss) == 3


def test_a_sweep_of_runs_with_and_without_validation_is_read_everywhere(train, tmp_path, capfd):
    finished = train("-m", *FAST, "data.val_fraction=0,0.2", "head=sigmoid", "loss=bce,se")
    assert finished.code == 0, finished.err
    (sweep,) = {run.parent for run in finished.runs}
    frame = records.load(sweep)
    without = frame[frame["data.val_fraction"] == 0]
    assert without["loss/val"].isna().all()
    assert frame[frame["data.val_fraction"] == 0.2]["loss/val"].notna().all()
    assert without["loss/test"].notna().all()
    for run in finished.runs:
        assert explain(str(run), as_json=False) == 0
    assert explain(str(sweep), as_json=True) == 0
    assert compare([str(sweep)], by="head,loss,data.val_fraction") == 0
    assert "nan" not in capfd.readouterr().out.lower()
    page = tmp_path / "report.html"
    assert report(str(sweep), str(page)) == 0
    assert page.stat().st_size > 10_000


def test_patience_without_validation_is_refused(train):
    finished = train(*FAST, "data.val_fraction=0", "patience=3")
    assert finished.code == 2
    assert "patience=3 needs validation examples" in finished.err
    assert not finished.runs


def test_a_recipe_in_order_goes_on_to_the_bit(train, tmp_path):
    recipe = (*FAST, "data.order=given", "data.drop_last=true", "evaluate.test_every_epoch=true")
    part, whole = tmp_path / "part", tmp_path / "whole"
    assert train(*recipe, "epochs=3", f"hydra.run.dir={part}").code == 0
    assert train(f"resume={part}", "epochs=7").code == 0
    assert train(*recipe, f"hydra.run.dir={whole}").code == 0
    assert rows(part) == rows(whole)
    tested = [int(row["step"]) for row in rows(whole) if row["accuracy/test"]]
    assert tested == [3 * epoch for epoch in range(1, 8)]  # 120 examples, 32 a batch
    refused = train(f"resume={part}", "epochs=8", "data.order=shuffled")
    said = (
        "was begun with data.order=given, not shuffled: use given again, or allow other results by"
    )
    assert said in refused.err


def test_a_sweep_has_a_program_for_each_order(train):
    finished = train(
        "-m", *FAST, "data.order=given,shuffled", "data.drop_last=true,false", "seed=0,1"
    )
    assert finished.code == 0, finished.err
    steps = {}
    for run in finished.runs:
        status = json.loads((run / "status.json").read_text())
        data = OmegaConf.load(run / ".hydra" / "config.yaml").data
        kind = data.order == "given", data.drop_last
        steps.setdefault(kind, set()).add((status["steps"], status["metrics"]["loss/test"]))
    assert {kind: {step for step, _ in own} for kind, own in steps.items()} == {
        (given, dropped): {7 * (3 if dropped else 4)}
        for given in (True, False)
        for dropped in (True, False)
    }
    assert len(set.union(*steps.values())) == 8  # seeds draw other data, and orders are others


def test_classes_keep_the_names_of_the_file(train, flowers):
    finished = train("data=csv", f"data.path={flowers}", "data.header=false", "epochs=2")
    assert finished.code == 0, finished.err
    assert finished.status()["anatomy"]["classes"]["labels"] == ["lily", "rose", "tulip"]
    assert finished.err.count("not used as features: '2' (text)") == 1
    finished = train(*FAST, f"hydra.run.dir={finished.folder / 'moons'}")
    status = json.loads((finished.folder / "moons" / "status.json").read_text())
    assert "labels" not in status["anatomy"]["classes"]


def test_a_sweep_tells_once_what_its_data_leave_out(train, flowers, monkeypatch):
    monkeypatch.setattr("mlr.core.console._said", set())
    line = ("data=csv", f"data.path={flowers}", "data.header=false", "epochs=2")
    finished = train("-m", *line, "seed=0,1,2", "data.split_seed=0,1")
    assert finished.code == 0, finished.err
    assert finished.err.count("not used as features") == 1


def test_a_run_of_an_older_version_can_still_be_judged(train):
    (run,) = train(*FAST, "epochs=1").runs
    config = OmegaConf.to_container(OmegaConf.load(run / ".hydra" / "config.yaml"))
    del config["evaluate"], config["stopping"]
    for option in ("order", "drop_last"):
        del config["data"][option]
    experiment = make_run_spec(config).build()
    assert (experiment.shuffle, experiment.drop_last, experiment.test_every_epoch) == (
        True,
        False,
        False,
    )


def test_a_value_that_is_no_flag_is_refused(train):
    for line in ("evaluate.test_every_epoch=2.5", "data.drop_last=maybe", "data.order=random"):
        finished = train(line)
        assert finished.code == 2
        assert line.partition("=")[0] in finished.err
        assert not finished.runs


@pytest.mark.slow
@pytest.mark.long
def test_the_published_softmax_regression_to_the_last_digit():
    """Theano's tutorial prints the errors after epochs 72 and 73, of 9,600 images each.

    Batches of 600 in file order, rate 0.13, weights from 0, pixels divided by 256; judged by
    whole batches of 600, and so by 9,600 of 10,000.

    Source: DeepLearningTutorials, doc/logreg.txt and code/logistic_sgd.py.
    """
    folder = mnist_folder()
    if not folder.exists():
        pytest.skip(f"the real MNIST files are not in {folder}; name their folder in MLR_MNIST")
    from hydra import compose, initialize_config_dir

    from mlr.app.cli.command import CONFIGS, VERSION_BASE
    from mlr.app.config.schema import register_schema
    from mlr.training import train

    register_schema()
    line = (
        "data=mnist data.val_size=10000 data.scale=unit256 data.order=given data.drop_last=true "
        "model.init=zeros batch_size=600 optimizer.lr=0.13 epochs=73 probes=off"
    )
    with initialize_config_dir(str(CONFIGS), **VERSION_BASE):
        config = OmegaConf.to_container(compose("train", [*line.split(), f"data.root={folder}"]))
    experiment = make_run_spec(config).build()
    assert experiment.steps_per_epoch == 83
    (result,) = train([experiment], snapshots=[[72 * 83]])

    def wrong(parameters: dict[str, Tensor], split: Split) -> str:
        weight, bias = parameters["output.weight"], parameters["output.bias"]
        logits = split.features[:9600].flatten(1) @ weight.T + bias
        return f"{(logits.argmax(1) != split.targets[:9600]).double().mean():.6%}"

    val, test = experiment.data.val, experiment.data.test
    ((_, before, _),) = result.snapshots
    assert (wrong(before, val), wrong(before, test)) == ("7.510417%", "7.510417%")
    last = result.parameters
    assert (wrong(last, val), wrong(last, test)) == ("7.500000%", "7.489583%")
