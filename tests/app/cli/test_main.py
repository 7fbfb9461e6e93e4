"""`mlr <command>`: what it says of itself, and that it does what the scripts do."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from mlr.app.cli.main import COMMANDS, main

ROOT = Path(__file__).parents[3]


@pytest.fixture
def mlr(tmp_path, monkeypatch, capfd):
    """Runs `mlr …` in this process, in an empty folder; gives exit code, output and errors."""
    monkeypatch.setattr("mlr.figures.record.PICTURES", ())
    monkeypatch.setattr("mlr.app.cli.main.gc.set_threshold", lambda *_: None)
    monkeypatch.setattr("mlr.app.cli.main.atexit.register", lambda *_: None)
    monkeypatch.setattr("mlr.app.cli.main.signal.signal", lambda *_: None)

    def run(*words):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["mlr", *words])
        capfd.readouterr()
        try:
            code = main()
        except SystemExit as end:
            code = end.code or 0
        return code, *capfd.readouterr()

    return run


def test_the_help_lists_the_commands(mlr):
    code, out, _ = mlr("--help")
    assert code == 0
    listed = re.findall(r"^  (\w+)  +\w+", out, re.MULTILINE)
    assert listed == [
        *("train", "compare", "explain", "predict", "export", "figures", "report", "verify"),
        *("lecture", "play", "board"),
    ]
    assert mlr()[0] == 2


def test_each_command_has_a_script():
    scripts = {path.stem for path in (ROOT / "scripts").glob("[!_]*.py")}
    assert scripts == {*COMMANDS, "benchmark"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"mlr": "mlr.app.cli.main:main"}


def test_the_version_is_the_distributions(mlr):
    assert mlr("--version")[1] == f"mlr {version('mlr-lab')}\n"


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "train"])
def test_the_help_of_a_command_shows_how_it_is_called(mlr, name):
    code, out, err = mlr(name, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: mlr {name} [-h]")
    assert f"\nmlr {name} " in out or f"\nmlr {name}\n" in out
    assert "scripts/" not in out


def test_the_help_of_train_shows_how_it_is_called(mlr):
    code, out, _ = mlr("train", "--help")
    assert code == 0
    assert "one run       mlr train head=sigmoid loss=bce\n" in out
    assert "look at them  mlr board\n" in out
    assert "scripts/" not in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["trian", "head=x"], "Unknown command trian. Choose from train, compare, explain, "),
        (["benchmark"], "Unknown command benchmark. Choose from train, compare, "),
        (["compare"], "the following arguments are required: folder; mlr compare --help shows"),
        (["report", "a", "--ouf"], "unrecognized arguments: --ouf; mlr report --help shows what"),
        (["lecture", "--xyz"], "unrecognized arguments: --xyz; mlr lecture --help shows what"),
        (["compare", "--csv", "-", "nowhere"], "nowhere is not a folder; "),
        (["compare", "--met", "x"], "the following arguments are required: folder; mlr compare"),
        (["explain", "nowhere"], "nowhere is "),
        (["figures", "nowhere"], "nowhere is not a folder; "),
        (["figures"], "the following arguments are required: source; mlr figures --help shows"),
        (["figures", "sigmoid+se", "--format", "bmp"], "Unknown --format=bmp. Choose from apng, "),
        (["predict", "nowhere", "new.csv"], "nowhere is not a folder; "),
        (["export", "nowhere"], "nowhere is not a folder; "),
        (["board", "nowhere"], "nowhere is not a folder; "),
        (["train", "--epochs"], "Unknown flag --epochs. Options are key=value, without hyphens"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(mlr, words, told):
    code, out, err = mlr(*words)
    assert (code, out) == (2, "")
    assert err.startswith(f"mlr: {told}")
    assert err.count("\n") == 1
    assert len(err) <= 201


RUN = ("data=neuron", "batch_size=1", "head=sigmoid", "loss=se", "epochs=2")


def test_runs_are_trained_and_read_and_every_command_is_named_as_it_was_called(mlr, tmp_path):
    code, out, err = mlr("train", *RUN, "hydra.run.dir=one")
    assert (code, err) == (0, "")
    assert "look at it   mlr board one\n" in out
    code, out, err = mlr("train", "-m", *RUN[:-1], "epochs=2,1e9", "hydra.sweep.dir=it")
    assert code == 2  # 1e9 is no whole number
    code, out, err = mlr("train", "-m", *RUN, "seed=0,1", "hydra.sweep.dir=it")
    assert (code, err) == (0, "")
    assert "look at it   mlr board it\n" in out
    assert "explain      mlr explain it\n" in out or "explain " not in out
    assert mlr("train", "resume=one", "epochs=3")[0] == 0
    for name in ("compare", "explain", "report", "verify"):
        code, out, err = mlr(name, "it")
        assert (code, err) == (0, ""), name
        assert "scripts/" not in out
    page = (tmp_path / "it" / "report.html").read_text(encoding="utf-8")
    assert "Made by <code>mlr report</code>" in page
    assert mlr("explain", str(tmp_path / "none"))[0] == 2
    code, out, err = mlr("figures", "it", "sigmoid+bce", "--to", "drawn", "--format", "svg")
    assert (code, err) == (0, "")
    assert out.startswith("figures      drawn\n  pair_curves.svg\n  loss_train.svg\n")
    assert (tmp_path / "drawn" / "pair_curves.svg").is_file()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["faster"], "mlr: Unknown section=faster. Choose from "),
        (["--repeats", "0"], "mlr: --repeats=0 must be a whole number of at least 1."),
        (["--repeats", "x"], "mlr: argument --repeats: invalid int value: 'x'; "),
    ],
)
def test_the_benchmark_refuses_in_one_sentence(script, tmp_path, words, told):
    shown = script("benchmark.py", *words, folder=tmp_path)
    assert (shown.code, shown.out) == (2, "")
    assert shown.err.startswith(told)
    assert shown.err.count("\n") == 1


def test_a_sweep_is_tried_again_by_the_same_command(monkeypatch):
    from mlr.app.sweep.summary import resume_command

    line = ["mlr", "-m", "loss=se,bce", "hydra.sweep.dir=x", "sweep.resume=x", "seed=range(0,2)"]
    monkeypatch.setattr(sys, "argv", line)
    told = resume_command(Path("a b"))
    assert told == """mlr train -m loss=se,bce 'seed=range(0,2)' 'sweep.resume="a b"'"""


def test_a_lack_of_memory_is_one_sentence(mlr, monkeypatch):
    def compare(**options):
        raise MemoryError

    monkeypatch.setattr("mlr.analysis.compare.command.main", compare)
    monkeypatch.setattr("mlr.app.cli.main.memory_limit", lambda: " (so much)")
    code, out, err = mlr("compare", "runs")
    assert (code, out) == (74, "")
    assert err == "mlr: out of memory (so much); what was recorded until then is saved.\n"
