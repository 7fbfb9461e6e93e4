"""The report at the end of a sweep: its tables and its exit code."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mlr.app.sweep import summary, sweep
from mlr.records.reading import Recorded, read_runs

LOST = ("-m", "data=blobs", "epochs=1", "head=linear", "loss=se", "seed=0,1")


def test_a_sweep_in_which_every_run_diverged_ends_as_one_such_run_does(train):
    alone = train("data=blobs", "epochs=1", "head=linear", "loss=se", "optimizer.lr=1e8")
    assert alone.code == 4
    finished = train(*LOST, "optimizer.lr=1e8,1e9")
    assert finished.code == 4
    assert "Every run diverged." in finished.out
    # what is refused has no run
    assert train(*LOST, "optimizer.lr=1e8,1e30").code == 4


def test_a_sweep_in_which_some_runs_diverged_is_fine_and_says_so(train):
    finished = train(*LOST, "optimizer.lr=0.1,1e8")
    assert finished.code == 0
    assert "2 of 4 runs diverged" in finished.out
    assert "2 diverged" in finished.out


def test_runs_that_were_lost_before_count_when_a_sweep_goes_on(train, tmp_path):
    place = f"{tmp_path}/sweep"
    line = ("-m", "data=blobs", "epochs=1", "head=linear", "loss=se")
    assert train(*line, "optimizer.lr=1e8", f"hydra.sweep.dir={place}").code == 4
    assert train(*line, "optimizer.lr=1e8", f"sweep.resume={place}").code == 4
    assert train(*line, "optimizer.lr=1e8,0.1", f"sweep.resume={place}").code == 0


def test_the_table_of_a_sweep_of_one_seed(train):
    """Two losses that learn the same line bit for bit are equal, whatever their values."""
    line = ("-m", "experiment=line", "epochs=2", "head=linear", "loss=se,matching")
    out = train(*line).out.splitlines()
    head = next(line for line in out if line.startswith("head+loss"))
    assert "test RMSE ↓" in head
    assert "std" not in head
    assert "diverged" not in head
    assert not any("mean ± std" in line for line in out)
    assert any("linear+matching and linear+se have the same test RMSE" in line for line in out)


def test_each_data_set_of_a_sweep_has_its_own_table(train):
    finished = train("-m", "data=blobs,moons", "epochs=1", "head=sigmoid", "loss=se,bce")
    out = finished.out.splitlines()
    assert [line for line in out if line in ("blobs", "moons")] == ["blobs", "moons"]
    assert "different data are not compared with each other: blobs, moons" in out
    assert sum(line.split()[:2] == ["head+loss", "runs"] for line in out) == 2


@pytest.fixture
def reported(monkeypatch):
    """Arguments of each call of `print_sweep`."""
    calls, real = [], summary.print_sweep

    def print_sweep(*arguments):
        calls.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(summary, "print_sweep", print_sweep)
    return calls


def assert_known_as_read(row) -> None:
    (read,) = read_runs(row.folder)
    known = Recorded(row.folder, row.entries, known=row.series)
    # their numbers may be no JSON
    assert known.metrics == pytest.approx(read.metrics, rel=0, abs=0, nan_ok=True)
    entries = {**row.entries, "metrics": read.entries["metrics"]}
    # a row of a table may be a tuple before it is written
    assert json.loads(json.dumps(entries)) == dict(read.entries)
    assert known.series.tags == read.series.tags
    for own, other in zip(known.series[1:], read.series[1:], strict=True):
        assert own.dtype == other.dtype
        np.testing.assert_array_equal(own, other)


def test_a_sweep_reports_from_memory_what_its_files_hold(train, reported, capfd, monkeypatch):
    monkeypatch.setattr(summary, "MOST_SHOWN", 4)  # with the logdir of means
    finished = train(*LOST, "epochs=2", "dtype=float32,float64", "optimizer.lr=0.1,1e8,1e30")
    ((folder, rows, *others),) = reported
    trained = [row for row in rows if row.status != "refused"]
    assert {row.status for row in trained} == {"done", "diverged"}
    for row in trained:
        assert_known_as_read(row)
    means = list(folder.glob("summary/*"))
    read = [replace(row, entries=None, series=None) for row in rows]
    summary.print_sweep(folder, read, *others)
    assert capfd.readouterr().out == finished.out
    assert list(folder.glob("summary/*")) == means != []


def test_what_too_many_runs_hold_is_not_kept_in_memory(train, reported, monkeypatch):
    monkeypatch.setattr(sweep, "MOST_EXPLAINED", 1)
    monkeypatch.setattr(sweep, "MOST_JOBS", 3)
    train(*LOST, "optimizer.lr=0.1,0.2", "sweep.yes=true")
    ((_, rows, *_),) = reported
    assert [row.entries is None for row in rows] == [False, True, True, True]
    assert [row.series is None for row in rows] == [False, False, False, True]
