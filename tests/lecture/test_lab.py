from __future__ import annotations

import json
import sys

import pytest
import yaml

from mlr.app.sweep.sweep import Sweep
from mlr.app.sweep.sweep_folder import SweepFolder
from mlr.core.checks import InputError
from mlr.core.durable import WriteError
from mlr.lecture.lab import Lab
from mlr.records.sweep import read_story

NEURON = ("experiment=neuron", "epochs=20")


def test_a_run_is_that_of_the_command(tmp_path, train, capfd):
    made = Lab(tmp_path / "1").run(*NEURON, "loss=se")
    assert capfd.readouterr() == ("", "")
    assert made.command == "python scripts/train.py experiment=neuron epochs=20 loss=se"
    typed = train(*NEURON, "loss=se", "hydra.run.dir=by_hand")
    status = json.loads((tmp_path / "by_hand" / "status.json").read_text())
    by_hand = {tag: float(value) for tag, value in status["metrics"].items()}
    assert made.metrics == pytest.approx(by_hand, rel=0, abs=0, nan_ok=True)
    steps, losses = made.series["loss/train"]
    tables = [folder / "metrics.csv" for folder in (made.folder, tmp_path / "by_hand")]
    assert tables[0].read_text() == tables[1].read_text()
    assert steps[0] == 0
    assert losses[0] == pytest.approx(0.5 * 0.9820137900379085**2)
    assert typed.code == 0


def test_a_sweep_keeps_its_order_and_the_trained_parameters(tmp_path, capfd):
    se, bce = Lab(tmp_path).sweep(*NEURON, "loss=se,bce")
    assert capfd.readouterr() == ("", "")
    assert se.command == "python scripts/train.py -m experiment=neuron epochs=20 loss=se,bce"
    assert se.whole == bce.whole == se.folder.parent == tmp_path / "01"
    assert [run.folder.name.partition(",")[0] for run in (se, bce)] == ["sigmoid+se", "sigmoid+bce"]
    # started at w = 2, squared error hardly moves it
    assert 1.9 < float(se.parameters["output.weight"]) < 2
    assert float(bce.parameters["output.weight"]) < 1


def test_a_sweep_ends_as_that_of_the_command(tmp_path, train):
    Lab(tmp_path).sweep(*NEURON, "loss=se,bce")
    train("-m", *NEURON, "loss=se,bce", "hydra.sweep.dir=by_hand")
    ours, typed = (tmp_path / folder for folder in ("01", "by_hand"))
    assert (ours / "runs.csv").read_text() == (typed / "runs.csv").read_text()
    stories = [read_story(folder) for folder in (ours, typed)]
    commands = [story.pop("commands")[0] for story in stories]
    assert stories[0] == stories[1]
    assert stories[0]["status"] == "done"
    assert commands[0]["ended"] is not None


@pytest.mark.parametrize("kind", ["run", "sweep"])
def test_a_run_names_the_command_that_makes_it_again(tmp_path, kind):
    own = sys.orig_argv
    made = getattr(Lab(tmp_path), kind)(*NEURON)
    run = made[0] if kind == "sweep" else made
    assert json.loads((run.folder / "status.json").read_text())["command"] == run.command
    if kind == "sweep":
        story = yaml.safe_load((run.whole / "sweep.yaml").read_text())
        assert [one["command"] for one in story["commands"]] == [run.command]
    assert sys.orig_argv is own


def test_an_interrupted_sweep_says_so(tmp_path, monkeypatch):
    def interrupt(self, jobs, folder, engine=None):
        self.folder = SweepFolder.claim(folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(Sweep, "batch", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Lab(tmp_path).sweep(*NEURON)
    assert yaml.safe_load((tmp_path / "01" / "sweep.yaml").read_text())["status"] == "interrupted"


def test_a_series_has_the_steps_of_its_tag_only(tmp_path):
    run = Lab(tmp_path).run("data=blobs", "data.n=100", "batch_size=30", "epochs=3")
    assert run.series["loss/train"][0].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert run.series["loss/val"][0].tolist() == [2, 4, 6]  # after each pass over the data


@pytest.mark.parametrize("kind", ["run", "sweep"])
def test_a_refused_configuration_says_so(tmp_path, kind):
    lab = Lab(tmp_path)
    with pytest.raises(InputError, match="head=linear"):
        getattr(lab, kind)("data=neuron", "head=linear", "loss=bce")


def test_a_second_lab_begins_afresh_and_spares_the_rest(tmp_path):
    lab = Lab(tmp_path)
    single, (swept,) = lab.run(*NEURON), lab.sweep(*NEURON)
    (swept.folder / "notes.txt").write_text("mine")
    other = tmp_path / "mine" / "status.json"
    other.parent.mkdir()
    other.write_text("{}")
    lab = Lab(tmp_path)
    assert not single.folder.exists()
    left = [path for path in swept.whole.rglob("*") if path.is_file()]
    assert left == [swept.folder / "notes.txt"]
    assert other.exists()
    assert lab.run(*NEURON).folder == single.folder
    (again,) = lab.sweep(*NEURON)
    assert again.metrics["loss/test"] == swept.metrics["loss/test"]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteError, match=r"cannot write .*file"):
        Lab(tmp_path / "file" / "1")


def test_folders_of_any_name(tmp_path):
    folder = tmp_path / "it's, {mine} = \\ here"
    assert Lab(folder).run(*NEURON).folder == folder / "01"
