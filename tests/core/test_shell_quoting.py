"""Printed commands can be pasted, whatever a folder is called and wherever one stands."""

from __future__ import annotations

import json
import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from mlr.analysis.verify.command import main as verify
from mlr.core.commandline import command, override
from tests.records.written import retell

SHORT = ("data=moons", "probes=off", "epochs=1")
NAMES = (
    *("runs/2026-01-31/12-00-00-softmax+ce-1a2b3c", "/tmp/a", "a", "a b=c+d", "lr=0.1,loss=ce"),
    *(
        "null",
        "True",
        "inf",
        "12",
        "1e3",
        "1_0",
        "ünï",
        "it's",
        'say "x"',
        "a\\",
        'a\\"b',
        "a\\\\b",
    ),
    *("{a}", "[b]", "(c)", "~d", "#e", "${f}", "$g", "a:b", "@", "%", "a  b", "range(0,3)", "x,y"),
)


@pytest.mark.parametrize("name", NAMES)
def test_hydra_and_the_shell_give_back_what_was_meant(name):
    *_, word = shlex.split(command("train", override("resume", name)))
    (parsed,) = OverridesParser.create().parse_overrides([word])
    assert not parsed.is_sweep_override()
    value = parsed.value()
    assert isinstance(value, str)
    assert value.replace("\\${", "${") == name  # as OmegaConf resolves it


def pasted(out):
    """The words of the command that goes on, as verify printed it."""
    _, _, command = out.splitlines()[0].partition("continue with: ")
    return shlex.split(command)[2:]


@pytest.mark.parametrize("name", ["a b=c+d", "lr=0.1,loss=ce", "ünï", "{a}'s", "null"])
def test_a_run_goes_on_under_any_name(train, tmp_path, capfd, name):
    place = override("hydra.run.dir", name)
    assert train(*SHORT, place).code == 0
    retell(tmp_path / name, "interrupted")
    capfd.readouterr()
    assert verify([name]) == 0
    assert train(*pasted(capfd.readouterr().out), "epochs=2").code == 0
    assert json.loads((tmp_path / name / "status.json").read_text())["status"] == "done"


def test_a_run_goes_on_from_wherever_one_stands(train, tmp_path, monkeypatch, capfd):
    assert train(*SHORT, "hydra.run.dir=there/run").code == 0
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    for epochs, place in ((2, "here/../there/run"), (3, "link/run"), (4, "./there/run/")):
        assert train(f"resume={place}", f"epochs={epochs}").code == 0, place
    retell(tmp_path / "there/run", "interrupted")
    monkeypatch.chdir(tmp_path / "there/run")
    capfd.readouterr()
    verify(["."])
    assert pasted(capfd.readouterr().out) == [f"resume={tmp_path}/there/run"]


def test_a_sweep_goes_on_from_wherever_one_stands(train, tmp_path):
    line = ("-m", *SHORT, "seed=0,1")
    assert train(*line, "hydra.sweep.dir=here/../there").code == 0
    assert train(*line[:-1], "seed=0,1,2", "sweep.resume=here/../there").code == 0
    assert len([*(tmp_path / "there").glob("*/status.json")]) == 3


def test_a_sweep_says_what_is_left_of_it(train, tmp_path, capfd):
    line = ("-m", *SHORT, "hydra.sweep.dir=it")
    assert train(*line, "seed=0,1").code == 0
    for path in tmp_path.glob("it/*/status.json"):
        retell(path.parent, "interrupted")
    assert train("-m", *SHORT, "seed=2", "sweep.resume=it").code == 0
    verify(["it"])
    out = capfd.readouterr().out
    assert (
        "done, but 2 of its runs interrupted; continue with: its command with sweep.resume=it"
        in out
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (("-m", "resume=run", "seed=0,1"), "resume=… continues one run: leave -m out"),
        (("-m", "sweep.resume=sweep"), "give its command again, which is in sweep/sweep.yaml"),
        (("-m", "sweep.resume=sweep", "allow=[versions]"), "needs the options of the sweep"),
        (
            ("resume=run", "optimizer=adam", "allow=[optimizer]"),
            "cannot continue with this optimizer",
        ),
        (("resume=run", "model=mlp", "allow=[model]"), "cannot continue with this model or dtype"),
        (
            ("resume=run", "dtype=float64", "allow=[dtype]"),
            "cannot continue with this model or dtype",
        ),
        (("resume=run", "probes=full", "allow=[probes]"), "cannot continue with this probes"),
    ],
)
def test_what_would_do_otherwise_than_meant_is_refused(train, trained_before, tmp_path, line, said):
    trained_before("run", *SHORT)
    trained_before("sweep", "-m", *SHORT, "seed=0,1")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    finished = train(*line, "epochs=2") if line[0] != "-m" else train(*line)
    assert finished.code == 2
    assert said in finished.err
    assert len(finished.err.splitlines()) == 1
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "content",
    ["resume: run", "allow: [seed]", "sweep: {resume: sweep}"],
)
def test_no_file_says_which_run_is_changed(train, trained_before, tmp_path, content):
    folder = tmp_path / "theirs/experiment"
    folder.mkdir(parents=True)
    (folder / "it.yaml").write_text(f"# @package _global_\n{content}\nseed: 7\n")
    trained_before("run", *SHORT)
    for mode in ((), ("-m",)):
        finished = train(
            *mode, "--config-dir", str(tmp_path / "theirs"), "experiment=it", "epochs=2"
        )
        assert finished.code == 2
        assert "counts only where it is typed" in finished.err
    assert json.loads((tmp_path / "run/status.json").read_text())["seed"] == 0


def test_a_run_whose_status_is_damaged_is_told_so(train, trained_before, tmp_path):
    trained_before("run", *SHORT)
    (tmp_path / "run/status.json").write_text("")
    finished = train("resume=run", "epochs=2")
    assert finished.code == 0
    assert "the run continues after 19 of 38 updates" in finished.err
