"""The command line as a user has it."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mlr.training.checkpoint import load_checkpoint

ROOT = Path(__file__).parents[3]


def test_the_default_run_learns_the_digits(train):
    finished = train()
    assert finished.code == 0
    assert finished.series("accuracy/test").popitem()[1] >= 0.95
    for word in (
        "accuracy",
        "train",
        "val",
        "test",
        "where wrong",
        "where right",
        "board.py runs/",
    ):
        assert word in finished.out
    assert finished.status()["status"] == "done"
    assert finished.status()["seed"] == 0


def test_a_run_leaves_what_the_design_says(train):
    finished = train("epochs=2", "head=sigmoid", "loss=se", "seed=3")
    (run,) = finished.runs
    names = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    events = {name for name in names if name.startswith("events.out.tfevents.")}
    assert len(events) == 1
    assert names - events == {
        ".hydra/config.yaml",
        ".hydra/overrides.yaml",
        ".hydra/hydra.yaml",
        "metrics.csv",
        "inputs.json",
        "status.json",
        "checkpoint.safetensors",
        ".lock",
    }
    overrides = OmegaConf.load(run / ".hydra" / "overrides.yaml")
    assert list(overrides) == ["epochs=2", "head=sigmoid", "loss=se", "seed=3"]
    assert OmegaConf.load(run / ".hydra" / "hydra.yaml").hydra.runtime.output_dir == str(run)
    state, about = load_checkpoint(run / "checkpoint.safetensors")
    assert state.state_dict["output.weight"].shape == (10, 64)
    assert about["config"]["seed"] == 3


def test_events_and_table_hold_the_same_numbers(train):
    finished = train("epochs=3")
    (run,) = finished.runs
    events = EventAccumulator(str(run), size_guidance={"scalars": 0, "histograms": 0}).Reload()
    table = finished.table()
    assert set(events.Tags()["scalars"]) == set(table[0]) - {"step", "epoch"}
    for tag in events.Tags()["scalars"]:
        shown = {event.step: event.value for event in events.Scalars(tag)}
        assert shown == pytest.approx(finished.series(tag), rel=1e-6)
    assert set(events.Tags()["histograms"]) == {"histogram/logits", "histogram/logit_grad"}
    assert len(finished.series("loss/train")) == 3 * 40 + 1
    assert len(finished.series("loss/val")) == 3


def test_a_sweep_reports_refused_pairs_and_finishes_the_others(train):
    finished = train("-m", "head=sigmoid,softmax", "loss=se,bce,ce", "epochs=1")
    assert finished.code == 0
    assert len(finished.runs) == 5
    assert "1 of 6 refused" in finished.out
    (table,) = finished.folder.rglob("runs.csv")
    with table.open(newline="", encoding="utf-8") as file:
        rows = {row["run"]: row for row in csv.DictReader(file)}
    assert rows["sigmoid+ce"]["status"] == "refused"
    assert "loss=ce needs" in rows["sigmoid+ce"]["reason"]
    assert float(rows["softmax+ce"]["accuracy/test"]) > 0.7
    assert {run.name for run in finished.runs} == set(rows) - {"sigmoid+ce"}


def test_a_crashing_job_is_reported_and_the_others_finish(train, tmp_path):
    (tmp_path / "breaking.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Linear):\n"
        "    def __init__(self): super().__init__(1, 1)\n"
        "class Boom(Net):\n"
        "    def forward(self, x):\n"
        "        if self.training and x.shape[0] == 1: raise RuntimeError('boom')\n"
        "        return super().forward(x)\n"
    )
    line = ("-m", "model=custom", "model._target_=breaking.Boom,breaking.Net", "data=neuron")
    finished = train(*line, "batch_size=1", "head=sigmoid", "loss=bce", "allow_targets=[breaking]")
    assert finished.code == 5
    (table,) = finished.folder.rglob("runs.csv")
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["failed", "done"]
    assert rows[0]["reason"] == "RuntimeError: boom"
    statuses = [json.loads((run / "status.json").read_text())["status"] for run in finished.runs]
    assert sorted(statuses) == ["done", "failed"]


def test_a_sweep_of_refused_jobs_only_fails(train):
    assert train("-m", "head=linear", "loss=bce,ce").code == 2


@pytest.mark.slow
def test_a_reader_who_leaves_does_not_end_the_sweep(tmp_path):
    script = ROOT / "scripts" / "train.py"
    options = "-m seed=0,1,2 epochs=1 data=blobs probes.figures=0"
    line = f"{sys.executable} {script} {options} | head -1"
    shown = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert shown.stderr.strip() == ""
    (table,) = tmp_path.rglob("runs.csv")
    assert table.read_text().count("done") == 3


def test_folders_that_a_person_made_stay(train, tmp_path):
    (tmp_path / "own" / "a").mkdir(parents=True)
    assert train("head=linear", "loss=bce", f"hydra.run.dir={tmp_path}/own/a/x").code == 2
    assert [path.name for path in (tmp_path / "own").rglob("*")] == ["a"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("y = y * 2 - 1", "label -1 at index"),
        ("x[3] = float('nan')", "not finite in float32 in 1 of 20 rows, the first in row 3"),
        ("y = y.int()", "type torch.int32"),
        ("x, y = x[:0], y[:0]", "at least one example"),
        ("y = y[:-1]", "20 examples but 19 targets"),
    ],
)
def test_a_users_own_data_are_checked(train, tmp_path, monkeypatch, change, message):
    monkeypatch.setattr(sys, "path", [*sys.path])  # which gets the folder of the user's module
    (tmp_path / "my_data.py").write_text(
        "import torch\n"
        "from mlr.data import Dataset, Source, Split\n"
        "class Mine(Source):\n"
        "    name, classes = 'mine', 2\n"
        "    def load(self, seed):\n"
        "        x = torch.randn(20, 2)\n"
        "        y = (x[:, 0] > 0).long()\n"
        f"        {change}\n"
        "        return Dataset('mine', Split(x, y), Split(x, y), Split(x, y), 2)\n"
    )
    line = ("data=custom", "data._target_=my_data.Mine", "allow_targets=[my_data]", "batch_size=5")
    finished = train(*line)
    sys.modules.pop("my_data")
    assert finished.code == 3
    assert message in finished.err


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ("name = 'mine'", "data=mine declares no classes; write classes = K in class Mine, or"),
        ("name, classes = 'mine', '2'", "data=mine declares classes='2'"),
        ("classes = 2", 'data Mine has no name; write name = "mine" in the class'),
        ("name, classes = 'mine', 3", "declares classes=3 and loads data with classes=2"),
    ],
)
def test_a_users_own_data_declare_their_classes(train, tmp_path, monkeypatch, declared, message):
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "my_data.py").write_text(
        "import torch\n"
        "from mlr.data import Dataset, Source, Split\n"
        "class Mine(Source):\n"
        f"    {declared}\n"
        "    def load(self, seed):\n"
        "        own = Split(torch.randn(20, 2), torch.arange(20) % 2)\n"
        "        return Dataset('mine', own, own, own, 2)\n"
    )
    line = ("data=custom", "data._target_=my_data.Mine", "allow_targets=[my_data]", "head=softmax")
    finished = train(*line, "loss=ce", "batch_size=5")
    sys.modules.pop("my_data")
    assert finished.code == 2
    assert message in finished.err


def test_strict_false_lets_a_senseless_pair_be_watched(train):
    finished = train("head=sigmoid", "loss=ce", "objective.strict=false", "epochs=2")
    assert finished.code == 0
    assert finished.status()["metrics"]["accuracy/test"] < 0.9


def test_divergence_is_reported_as_a_result(train):
    finished = train("head=linear", "loss=se", "optimizer.lr=1e10", "epochs=5")
    assert finished.code == 4
    status = finished.status()
    assert status["status"] == "diverged"
    update = status["refused"]["update"]
    assert f"update {update} was refused: " in finished.out
    assert "nan" not in finished.out
    assert status["steps"] == update - 1
    # the row of the refused update is the last, and has no finite loss
    assert finished.table()[-1]["step"] == str(update)
    assert finished.table()[-1]["loss/train"] == "nan"
    state, _ = load_checkpoint(finished.runs[0] / "checkpoint.safetensors")
    assert all(own.isfinite().all() for own in state.state_dict.values())


def test_help_is_readable(train, tmp_path):
    shown = train("--help")
    assert shown.code == 0
    for text in ("head=sigmoid loss=bce", "  clipped_linear  ", "batch_size=32  ", "--cfg job"):
        assert text in shown.out
    assert not list(tmp_path.iterdir())


def test_cfg_shows_the_configuration(train):
    shown = train("head=sigmoid", "--cfg", "job")
    assert shown.code == 0
    assert OmegaConf.create(shown.out).head._target_ == "mlr.heads.Sigmoid"


def test_a_users_own_module_is_trained(train, tmp_path):
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, feature_shape, outputs, width=8):\n"
        "        super().__init__()\n"
        "        self.a, self.b = nn.Linear(feature_shape[0], width), nn.Linear(width, outputs)\n"
        "    def forward(self, x):\n"
        "        return self.b(self.a(x).tanh()) \n"
    )
    line = ("model=custom", "model._target_=my_package.Net", "data=xor", "epochs=40")
    refused = train(*line)
    assert refused.code == 2
    assert "allow_targets=[my_package]" in refused.err
    trained = train(*line, "+model.width=16", "allow_targets=[my_package]")
    assert trained.code == 0, trained.err
    assert trained.status()["metrics"]["accuracy/test"] > 0.95


def test_every_experiment_composes():
    from hydra import compose, initialize_config_dir

    from mlr.app.cli.command import VERSION_BASE
    from mlr.app.config.run_spec import make_run_spec
    from mlr.app.config.schema import register_schema
    from mlr.app.sweep.resolvers import register_resolvers

    register_schema()
    register_resolvers()
    paths = sorted((ROOT / "configs" / "experiment").glob("*.yaml"))
    assert paths
    for path in paths:
        with initialize_config_dir(str(ROOT / "configs"), **VERSION_BASE):
            needed = ["data.path=cement_strength.csv"] if path.stem == "cement" else []
            config = compose("train", [f"experiment={path.stem}", *needed])
        make_run_spec(OmegaConf.to_container(config, resolve=True))
        header = path.read_text()
        for word in ("python scripts/train.py", "Source:", "Claim:", "Outcome"):
            assert word in header, f"{path.name} does not say its {word}"


def test_what_hydra_cannot_write_is_one_sentence(train, tmp_path):
    """As on a disk that can only be read."""
    (tmp_path / "sweep" / "multirun.yaml").mkdir(parents=True)
    (tmp_path / "sweep" / "runs.csv").touch()
    line = ("-m", "data=moons", "head=sigmoid", "seed=0,1", f"sweep.resume={tmp_path}/sweep")
    finished = train(*line)
    assert finished.code == 74
    assert finished.err == (
        f"mlr: cannot write {tmp_path}/sweep/multirun.yaml: Is a directory; "
        "choose another hydra.run.dir or hydra.sweep.dir.\n"
    )


def test_an_interpolation_that_leads_nowhere_hides_no_refusal(train):
    shown = train("hydra.job.name='${nope}'", "+data.n=sgd")
    assert shown.code == 2
    (line,) = shown.err.splitlines()
    assert "data.n" in line
