"""scripts/explain.py, and what is said at the end of a training."""

from __future__ import annotations

import json
import runpy
import shlex
import sys
from pathlib import Path

import pytest

from mlr.analysis.explain.command import code_of, main
from mlr.app.cli.main import exit_code_of, start
from mlr.diagnosis.findings import Diagnosis, Finding
from tests.analysis.explain.made import METRICS, SOUND, changed, falling, run

SCRIPT = Path(__file__).parents[3] / "scripts" / "explain.py"
DEAD = ("data=blobs", "data.seed=0", "epochs=2", "head=clipped_linear", "loss=se", "model.bias=8")
WELL = ("data=blobs", "data.seed=0", "epochs=10", "head=sigmoid", "loss=bce")


def stuck(folder, seed=0):
    """Half of the examples wrong, and most of these without gradient."""
    return run(
        folder,
        "sigmoid+se",
        anatomy=changed(SOUND, {"wrong": 0.5, "stuck": 0.4, "saturated": 0.95}),
        metrics=METRICS | {"accuracy/train": 0.5, "accuracy/val": 0.5, "accuracy/test": 0.5},
        overrides=["head=sigmoid", "loss=se", f"seed={seed}"],
    )


def test_a_run_is_explained_with_a_command_to_paste(tmp_path, capsys):
    stuck(tmp_path / "run")
    assert main(str(tmp_path / "run"), as_json=False) == 0
    out = capsys.readouterr().out
    assert "saturated" in out
    assert "40 % of the training examples are predicted wrongly" in out
    assert "evidence  stuck/fraction 0.4" in out
    assert "try       loss=bce" in out
    assert "paste     python scripts/train.py head=sigmoid seed=0 loss=bce" in out


def test_a_sound_run_is_told_so(tmp_path, capsys):
    run(tmp_path / "run", curves=falling())
    main(str(tmp_path / "run"), as_json=False)
    assert capsys.readouterr().out.startswith("No fault found: the training loss went from 2.34")


def test_json_holds_all_of_it(tmp_path, capsys):
    stuck(tmp_path / "sigmoid+se")
    main(str(tmp_path / "sigmoid+se"), as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["runs"] == 1
    assert told["summary"] is None
    (one,) = told["diagnoses"]
    assert set(one) >= {"rule", "sentence", "evidence", "remedy", "runs", "command"}
    assert one["runs"] == ["sigmoid+se"]
    run(tmp_path / "well")
    main(str(tmp_path / "well"), as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["diagnoses"] == []
    assert told["summary"].startswith("No fault found")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "is not a folder; give a folder of runs, for example runs"),
        (lambda folder: folder.mkdir(), "holds no run; train one with"),
    ],
)
def test_what_holds_no_run_is_refused_in_one_sentence(tmp_path, capsys, make, message):
    make(tmp_path / "runs")
    assert exit_code_of(lambda: main(str(tmp_path / "runs"), as_json=False)) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("mlr: ")
    assert message in printed.err
    assert printed.out == ""


def test_the_script_is_main_with_arguments(tmp_path, monkeypatch, capsys):
    stuck(tmp_path / "run")
    monkeypatch.setattr(sys, "argv", ["explain.py", str(tmp_path / "run"), "--json"])
    monkeypatch.syspath_prepend(str(SCRIPT.parent))  # as Python does for a script
    with pytest.raises(SystemExit) as exit:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert exit.value.code == 0
    assert json.loads(capsys.readouterr().out)["runs"] == 1


@pytest.mark.parametrize(
    ("make", "options", "code"),
    [(stuck, ["--exit-code"], 1), (stuck, [], 0), (run, ["--exit-code"], 0)],
    ids=["fault", "not asked for", "sound"],
)
def test_the_exit_code_tells_a_fault_if_it_is_asked_for(tmp_path, monkeypatch, make, options, code):
    make(tmp_path / "run")
    monkeypatch.setattr(sys, "argv", ["explain.py", str(tmp_path / "run"), *options])
    assert start("explain") == code


def test_a_fault_that_is_only_likely_is_no_reason_to_fail():
    likely, certain = (
        Diagnosis("rule", "", "", "", ("run",), findings=[Finding("", "", "", certain=sure)])
        for sure in (False, True)
    )
    assert [code_of(found) for found in ([], [likely], [likely, certain])] == [0, 0, 1]


def test_a_training_ends_with_its_diagnosis(train):
    finished = train(*DEAD)
    (line,) = [line for line in finished.out.splitlines() if line.startswith("diagnosis")]
    assert "receive no gradient: the clipped-linear unit is outside [0, 1] for them." in line
    assert line.endswith("Try head=sigmoid loss=bce, or loss=matching.")
    (more,) = [line for line in finished.out.splitlines() if line.startswith("explain")]
    script, folder = shlex.split(more)[2:]
    assert (script, finished.folder / folder) == ("scripts/explain.py", finished.runs[0])


def test_a_sound_training_ends_without_one(train):
    assert "diagnosis" not in train(*WELL).out


def test_a_sweep_ends_with_a_line_for_each_afflicted_cell(train):
    finished = train(
        "-m", *DEAD[:3], "model.bias=8", "head=clipped_linear,sigmoid", "loss=se,bce", "seed=0,1"
    )
    lines = finished.out.splitlines()
    assert any(
        line.startswith("clipped_linear+se (2 of 2 runs): 50 % of the training") for line in lines
    )
    assert any(line.startswith("explain      python scripts/explain.py") for line in lines)
