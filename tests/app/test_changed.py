"""compare, explain and report tell of a run whose files are not those that it ended with."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from mlr.app import telling
from mlr.app.console import LONGEST
from mlr.records import load
from tests.app.report.making import add_run
from tests.app.verify.making import flip
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
    from mlr.app.compare.command import main as compare
    from mlr.app.explain.command import main as explain
    from mlr.app.report.command import main as report

    def run(place):
        mains = {
            "compare": lambda: compare([str(place)], "head,loss"),
            "explain": lambda: explain(str(place), as_json=False),
            "report": lambda: report(str(place)),
        }
        code = telling.told(mains[request.param])
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


def test_several_are_one_line(sweep, read):
    flip(sweep / "sigmoid+bce,seed=0" / "metrics.csv", 99)
    flip(sweep / "sigmoid+bce,seed=2" / "status.json", 99)
    code, _, err = read(sweep)
    assert code == 0
    assert err.startswith("mlr: 2 of 3 runs are left out, the first: ")
    assert err.count("\n") == 1


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


@pytest.mark.parametrize("listed", [None, [], {"metrics.csv": 3}, {"metrics.csv": {"bytes": "x"}}])
def test_a_list_of_others_is_none(sweep, read, listed):
    run = sweep / "sigmoid+bce,seed=1"
    retell(run, None, files=listed)
    truncated(run / "metrics.csv")
    assert read(run)[::2] == (0, "")


def test_numbers_are_those_of_the_other_runs(sweep, capfd):
    """What a damaged configuration says has no share either: no row is made of it."""
    from mlr.app.compare.command import main

    run = sweep / "sigmoid+bce,seed=1"
    (run / CONFIG).write_text((run / CONFIG).read_text().replace('"seed": 1', '"seed": 7'))
    main([str(sweep)], "head,loss", json="-")
    told = json.loads(capfd.readouterr().out)
    (row,) = told["rankings"][0]["groups"]
    assert (row["runs"], row["seeds"], row["missing"]) == (2, 2, 0)


def test_the_page_still_has_curves_and_theory(sweep):
    from mlr.app.report.content import charts, read

    whole = charts(read(sweep))
    (sweep / "sigmoid+bce,seed=0" / CONFIG).unlink()
    rest = charts(read(sweep))
    assert rest["steps"] == whole["steps"]
    assert "why" not in rest["theory"]["pairs"][0]


def test_a_file_that_cannot_be_read_is_told_too(sweep, read, monkeypatch):
    def fail(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("mlr.records.manifest.file_digest", fail)
    code, out, err = read(sweep / "sigmoid+bce,seed=1")
    assert (code, out) == (3, "")
    assert "metrics.csv cannot be read: Permission denied; python scripts/verify.py" in err


def test_a_run_that_is_gone_on_with_meanwhile_is_not_damaged(sweep, read, monkeypatch):
    run = sweep / "sigmoid+bce,seed=1"

    def resumed(*_):
        monkeypatch.undo()
        retell(run, "running")
        truncated(run / "metrics.csv")
        raise ValueError

    monkeypatch.setattr("mlr.records.reading.check_entry", resumed)
    assert read(run)[::2] == (0, "")


def test_no_logged_step_of_a_damaged_run_is_loaded(sweep):
    flip(sweep / "sigmoid+bce,seed=1" / CONFIG, 99)
    steps = load(sweep, series=True)
    assert set(steps["seed"]) == {0, 2}
    assert list(load(sweep)["status"]) == ["done", "damaged", "done"]
