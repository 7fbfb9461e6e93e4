"""compare, explain and report tell of a run whose files are not those that it ended with."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from mlr.app.cli.main import exit_code_of
from mlr.core.console import LONGEST
from mlr.records import load
from tests.analysis.report.making import add_run
from tests.analysis.verify.making import flip
from tests.records.written import retell

CONFIG, HYDRA = ".hydra/config.yaml", ".hydra/hydra.yaml"
FILES = ("metrics.csv", CONFIG, HYDRA)


def truncated(path):
    os.truncate(path, path.stat().st_size // 2)


def linked(path):
    """The same content, but elsewhere: verify.py does not follow such a link either."""
    elsewhere = path.resolve().parents[2] / f"elsewhere-{path.name}"
    shutil.move(path, elsewhere)
    path.symlink_to(elsewhere)


def a_pipe(path):
    path.unlink()
    os.mkfifo(path)  # whoever opens it waits for ever


CHANGES = {
    "flipped": lambda path: flip(path, 8 * (path.stat().st_size // 2)),
    "truncated": truncated,
    "empty": lambda path: os.truncate(path, 0),
    "missing": lambda path: path.unlink(),
    "linked": linked,
    "a pipe": a_pipe,
}


@pytest.fixture
def sweep(tmp_path):
    for seed in range(3):
        run = add_run(tmp_path / "sweep", "sigmoid", "bce", seed, 0.9)
        (run / HYDRA).write_text("hydra: {runtime: {choices: {head: sigmoid, loss: bce}}}")
        retell(run, "done")  # the list of its files is made anew
    return tmp_path / "sweep"


@pytest.fixture(params=["compare", "explain", "report"])
def read(request, capfd):
    """One of the three, in this process: its exit code, and what it printed."""
    from mlr.analysis.compare.command import main as compare
    from mlr.analysis.explain.command import main as explain
    from mlr.analysis.report.command import main as report

    def run(place):
        mains = {
            "compare": lambda: compare([str(place)], "head,loss"),
            "explain": lambda: explain(str(place), as_json=False),
            "report": lambda: report(str(place)),
        }
        code = exit_code_of(mains[request.param])
        printed = capfd.readouterr()
        return code, printed.out, printed.err

    return run


def test_sound_runs_are_read_without_a_word(sweep, read):
    for place in (sweep, sweep / "sigmoid+bce,seed=1"):
        code, out, err = read(place)
        assert (code, err) == (0, "")
        assert out


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", FILES)
def test_a_run_with_a_changed_file_is_refused(sweep, read, name, change):
    run = sweep / "sigmoid+bce,seed=1"
    CHANGES[change](run / name)
    code, out, err = read(run)
    assert (code, out) == (3, "")
    assert err.startswith("mlr: ")
    assert err.count("\n") == 1
    assert len(err) <= LONGEST + 1
    assert f"{name.rpartition('/')[2]} is {'missing' if change == 'missing' else 'not what'}" in err
    assert "python scripts/verify.py " in err


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", FILES)
def test_of_a_sweep_such_a_run_is_left_out_and_named(sweep, read, name, change):
    CHANGES[change](sweep / "sigmoid+bce,seed=1" / name)
    code, out, err = read(sweep)
    assert code == 0
    assert out
    assert err.startswith("mlr: 1 of 3 runs is left out: ")
    assert err.count("\n") == 1
    assert len(err) <= LONGEST + 1
    assert f"{name.rpartition('/')[2]} is {'missing' if change == 'missing' else 'not what'}" in err
    assert "; python scripts/verify.py " in err
    assert err.endswith("/sweep says more.\n")


def test_several_are_one_line_that_names_as_many_as_it_can(sweep, read):
    """And the page has the same line, and each run with its own reason."""
    for seed in range(3, 9):
        shutil.copytree(sweep / "sigmoid+bce,seed=0", sweep / f"sigmoid+bce,seed={seed}")
        flip(sweep / f"sigmoid+bce,seed={seed}" / "status.json", 99)
    flip(sweep / "sigmoid+bce,seed=2" / "metrics.csv", 99)
    code, _, err = read(sweep)
    assert code == 0
    named = "(sigmoid+bce,seed=2, sigmoid+bce,seed=3 … and 5 more)"
    assert err.startswith(f"mlr: 7 of 9 runs are left out {named}, the first: ")
    assert err.count("\n") == 1
    if (sweep / "report.html").exists():
        page = (sweep / "report.html").read_text()
        assert f"7 of 9 runs are left out {named}, the first: {sweep}/sigmoid" in page
        assert page.count("is not the one written into it.</p></details>") == 6
        assert page.count(">damaged</span>") == 7
        assert "2 runs of 1 pair of head and loss, 2 seeds: 2 done, 0 diverged." in page


def unreadable(run, monkeypatch):
    """As for another user; tests/records/test_discovery.py has real permissions."""
    scandir = os.scandir

    def denied(path):
        if path == str(run):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr("mlr.records.discovery.os.scandir", denied)


def linked_run(run, monkeypatch):
    shutil.move(run, run.parents[1] / "elsewhere")
    run.symlink_to(run.parents[1] / "elsewhere")


def linked_status(run, monkeypatch):
    linked(run / "status.json")


def without_status(run, monkeypatch):
    (run / "checkpoint.safetensors").touch()
    (run / "status.json").unlink()


def newer(run, monkeypatch):
    retell(run, None, format=4)


LOST = {
    unreadable: ("seed=1 cannot be read: Permission denied.", 74),
    linked_run: ("/elsewhere itself.", 74),
    linked_status: ("status.json is a link, which is not followed; ", 3),
    without_status: ("holds no run: status.json is missing; ", 3),
    newer: (
        "status.json is of format 4, and this mlr reads formats 2 to 3: read it with the mlr",
        3,
    ),
}


@pytest.mark.parametrize("lose", LOST, ids=lambda lose: lose.__name__)
def test_no_run_vanishes_without_a_word(sweep, read, monkeypatch, lose):
    reason, exit_code = LOST[lose]
    lose(sweep / "sigmoid+bce,seed=1", monkeypatch)
    code, out, err = read(sweep)
    assert code == 0
    assert out
    assert err.startswith("mlr: 1 of 3 runs is left out: ")
    assert reason in err
    assert err.count("\n") == 1
    for seed in (0, 2):
        shutil.rmtree(sweep / f"sigmoid+bce,seed={seed}")
    code, out, err = read(sweep)
    assert (code, out) == (exit_code, "")
    assert reason in err
    assert err.count("\n") == 1


def test_of_several_folders_one_may_hold_nothing_that_can_be_read(sweep, capfd):
    from mlr.analysis.compare.command import main

    flip(sweep / "sigmoid+bce,seed=1" / "status.json", 99)
    places = [str(sweep / f"sigmoid+bce,seed={seed}") for seed in (1, 0)]
    assert exit_code_of(lambda: main(places, "head,loss")) == 0
    assert "1 of 2 runs is left out" in capfd.readouterr().err


def test_where_all_are_changed_nothing_is_told_but_this(sweep, read):
    for seed in range(3):
        flip(sweep / f"sigmoid+bce,seed={seed}" / "metrics.csv", 99)
    code, out, err = read(sweep)
    assert (code, out) == (3, "")
    assert "metrics.csv is not what" in err


def test_a_running_run_is_read_as_before(sweep, read):
    run = sweep / "sigmoid+bce,seed=1"
    retell(run, "running")
    truncated(run / "metrics.csv")
    assert read(run)[::2] == (0, "")


def test_numbers_are_those_of_the_other_runs(sweep, capfd):
    """A damaged configuration has no share either: no row is made of it."""
    from mlr.analysis.compare.command import main

    run = sweep / "sigmoid+bce,seed=1"
    (run / CONFIG).write_text((run / CONFIG).read_text().replace('"seed": 1', '"seed": 7'))
    main([str(sweep)], "head,loss", json="-")
    told = json.loads(capfd.readouterr().out)
    (row,) = told["rankings"][0]["groups"]
    assert (row["runs"], row["seeds"], row["missing"]) == (2, 2, 0)


def test_the_page_still_has_curves_and_theory(sweep):
    from mlr.analysis.report.charts import charts
    from mlr.analysis.report.content import read

    whole = charts(read(sweep))
    (sweep / "sigmoid+bce,seed=0" / CONFIG).unlink()
    rest = charts(read(sweep))
    assert rest["steps"] == whole["steps"]
    assert "why" not in rest["theory"]["pairs"][0]


def test_a_file_that_cannot_be_read_is_told_too(sweep, read, monkeypatch):
    def fail(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("mlr.records.checksums.file_digest", fail)
    code, out, err = read(sweep / "sigmoid+bce,seed=1")
    assert (code, out) == (74, "")
    assert "metrics.csv cannot be read: Permission denied." in err


def test_a_run_that_is_gone_on_with_meanwhile_is_not_damaged(sweep, read, monkeypatch):
    run = sweep / "sigmoid+bce,seed=1"

    def resumed(*_):
        monkeypatch.undo()
        retell(run, "running")
        truncated(run / "metrics.csv")
        raise ValueError

    monkeypatch.setattr("mlr.records.reading.check_file", resumed)
    assert read(run)[::2] == (0, "")


def test_no_logged_step_of_a_damaged_run_is_loaded(sweep):
    flip(sweep / "sigmoid+bce,seed=1" / CONFIG, 99)
    steps = load(sweep, series=True)
    assert set(steps["seed"]) == {0, 2}
    assert list(load(sweep)["status"]) == ["done", "damaged", "done"]
