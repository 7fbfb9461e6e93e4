"""Sweeps trained in batches: what each run is, and what becomes of those that go wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from mlr.core.durable import WriteError
from tests.app.sweeping import FAST, on_disk, rows, statuses, sweep_folder, trained  # noqa: F401

ROOT = Path(__file__).parents[3]


def test_a_run_of_a_sweep_leaves_what_a_single_run_leaves(train, tmp_path):
    line = (*FAST, "optimizer.lr=0.1")
    alone = train(*line, "seed=1", f"hydra.run.dir={tmp_path}/alone")
    assert train("-m", *line, "seed=0,1,2", f"hydra.sweep.dir={tmp_path}/sweep").code == 0
    assert alone.code == 0
    one, other = tmp_path / "alone", next((tmp_path / "sweep").glob("*seed=1"))

    def names(run: Path) -> set[str]:
        files = (path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file())
        # the lock of a sweep is that of its folder
        return {name.partition(".out.")[0] for name in files} - {".lock"}

    assert names(one) == names(other)
    for name in (".hydra/config.yaml", "metrics.csv"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    first, second = (json.loads((run / "status.json").read_text()) for run in (one, other))
    same = ("status", "reason", "seed", "pair", "config_hash", "metrics", "steps", "versions")
    assert {key: first[key] for key in same} == {key: second[key] for key in same}
    assert set(first) == set(second)


def test_only_the_runs_at_fault_fail(train, trained):  # noqa: F811
    trained.wrong = lambda seeds: RuntimeError("boom") if {2, 5} & set(seeds) else None
    finished = train("-m", *FAST, "seed=range(0,7)")
    assert finished.code == 5
    expected = {str(seed): "failed" if seed in (2, 5) else "done" for seed in range(7)}
    assert statuses(finished) == on_disk(finished.folder) == expected
    assert "2 of 7 failed" in finished.out
    for seed in (2, 5):
        assert f"seed={seed}: RuntimeError: boom" in finished.out
    assert finished.err.count("Traceback") == 1
    assert len(finished.runs) == 7
    assert "sweep.resume=" in finished.out


def test_a_failure_does_not_end_a_sweep_of_many_batches(train, trained):  # noqa: F811
    trained.wrong = lambda seeds: RuntimeError("boom") if 0 in seeds else None
    finished = train("-m", *FAST, "seed=range(0,6)", "hydra.sweeper.max_batch_size=2")
    assert finished.code == 5
    assert statuses(finished) == {str(seed): "done" if seed else "failed" for seed in range(6)}


def test_a_batch_too_large_for_memory_is_halved(train, trained):  # noqa: F811
    trained.wrong = lambda seeds: MemoryError() if len(seeds) > 2 else None
    finished = train("-m", *FAST, "seed=range(0,7)")
    assert finished.code == 0
    assert set(statuses(finished).values()) == {"done"}
    assert [len(seeds) for seeds in trained.batches] == [7, 4, 2, 2, 3, 2, 1]
    tables = [(run / "metrics.csv").read_text().splitlines() for run in finished.runs]
    assert {len(table) for table in tables} == {21}  # begun anew, not written twice


def test_a_run_that_cannot_be_written_fails_alone(train, monkeypatch):
    from mlr.app.run import lifecycle

    real = lifecycle.save_checkpoint

    def save(folder, *others, **more):
        if "seed=1" in str(folder.path):
            raise WriteError(folder.path, OSError(28, "No space left on device"))
        return real(folder, *others, **more)

    monkeypatch.setattr(lifecycle, "save_checkpoint", save)
    finished = train("-m", *FAST, "seed=0,1,2")
    assert finished.code == 5
    assert statuses(finished) == on_disk(finished.folder)
    assert statuses(finished) == {"0": "done", "1": "failed", "2": "done"}
    assert "No space left" in finished.out


def test_a_run_that_cannot_be_begun_fails_alone(train, monkeypatch):
    from mlr.app.run import lifecycle

    real = lifecycle.Recorder

    def recorder(folder, *others):
        if "seed=1" in folder.path.name:
            raise TypeError("no such number")
        return real(folder, *others)

    monkeypatch.setattr(lifecycle, "Recorder", recorder)
    finished = train("-m", *FAST, "seed=0,1,2")
    assert finished.code == 5
    assert statuses(finished) == {"0": "done", "1": "failed", "2": "done"}
    assert "TypeError: no such number" in finished.out
    assert "running" not in on_disk(finished.folder).values()


def test_batches_are_no_larger_than_asked(train, trained):  # noqa: F811
    line = ("seed=range(0,5)", "loss=bce,se", "sweep.max_runs_per_batch=4")
    finished = train("-m", *FAST[:4], *line)
    assert finished.code == 0
    assert [len(seeds) for seeds in trained.batches] == [4, 4, 2]


def test_batches_are_no_larger_than_memory(train, trained, monkeypatch):  # noqa: F811
    from mlr.app.sweep import packing as chunk

    monkeypatch.setattr(chunk, "bytes_per_run", lambda experiment: 10)
    monkeypatch.setattr(chunk, "bytes_of_data", lambda data: 5)
    monkeypatch.setattr(chunk, "SHARE_OF_FREE_MEMORY", 1.0)
    sizes = {}
    for free in (0, 34, 35):
        trained.batches.clear()
        monkeypatch.setattr(chunk, "free_bytes", lambda device, free=free: free)
        assert train("-m", *FAST, "seed=range(0,5)").code == 0
        sizes[free] = [len(seeds) for seeds in trained.batches]
    assert sizes == {0: [1] * 5, 34: [2, 2, 1], 35: [3, 2]}


def test_what_changes_the_program_is_trained_apart(train, trained):  # noqa: F811
    finished = train("-m", *FAST[:4], "loss=bce,se", "batch_size=16,32", "optimizer=sgd,adam")
    assert finished.code == 0
    assert [len(seeds) for seeds in trained.batches] == [2, 2, 2, 2]


@pytest.mark.parametrize("line", ["optimizer.lr=1,1.0,0.5", "sweep.max_runs_per_batch=1,3"])
def test_equal_jobs_are_trained_once(train, trained, line):  # noqa: F811
    finished = train("-m", *FAST, "seed=0", line)
    assert finished.code == 0
    fresh = line.count(",")
    assert sum(map(len, trained.batches)) == len(rows(finished)) == fresh
    assert "1 job equals another one" in finished.out
    story = yaml.safe_load((sweep_folder(finished) / "sweep.yaml").read_text())
    assert story["status"] == "done"
    assert story["runs"] == {"done": fresh}
    assert story["equal_jobs"] == 1


def test_interrupting_keeps_what_is_finished(train, trained):  # noqa: F811
    trained.wrong = lambda seeds: KeyboardInterrupt() if 2 in seeds else None
    finished = train("-m", *FAST, "seed=range(0,6)", "sweep.max_runs_per_batch=2")
    assert finished.code == 130
    expected = {"0": "done", "1": "done", "2": "interrupted", "3": "interrupted"}
    assert statuses(finished) == on_disk(finished.folder) == expected
    assert "interrupted; what was finished is saved" in finished.err
    assert f"sweep.resume={sweep_folder(finished).relative_to(finished.folder)}" in finished.out


def test_a_scalar_of_the_loss_is_swept_in_one_program(train, trained):  # noqa: F811
    line = ("head=sigmoid", "loss=focal", "loss.gamma=0,0.5,2", "data=blobs", "data.seed=0")
    finished = train("-m", *line, "epochs=1", "seed=0")
    assert finished.code == 0
    assert [len(seeds) for seeds in trained.batches] == [3]
    found = {row["loss.gamma"]: float(row["loss/test"]) for row in rows(finished)}
    assert found["0"] > found["0.5"] > found["2"]
    named = {run.name.split(",")[1] for run in finished.runs}
    assert named == {"gamma=0", "gamma=0.5", "gamma=2"}
    # γ = 0 is cross-entropy
    plain = train("-m", *FAST, "seed=0", "hydra.sweep.dir=plain")
    (table,) = (plain.folder / "plain").glob("*/metrics.csv")
    alone = table.read_text().splitlines()[-1].split(",")
    swept = next(run for run in finished.runs if "gamma=0," in run.name)
    last = (swept / "metrics.csv").read_text().splitlines()[-1].split(",")
    assert [float(x or 0) for x in last] == pytest.approx([float(x or 0) for x in alone], rel=1e-4)


def test_refused_jobs_stand_in_one_table(train):
    finished = train("-m", *FAST[:3], "head=linear,sigmoid", "loss=bce,se", "seed=0,1")
    assert finished.code == 0
    assert finished.out.count("loss=bce needs") == 1
    assert "2 of 8 refused" in finished.out
    found = [row for row in rows(finished) if row["status"] == "refused"]
    assert len(found) == 2
    assert len(finished.runs) == 6


def test_jobs_without_data_are_refused_and_leave_nothing(train):
    finished = train("-m", "data=npz", "data.path=nowhere.npz", "seed=0,1")
    assert finished.code == 2
    assert "nowhere.npz" in finished.out
    assert finished.runs == []


@pytest.fixture
def values(monkeypatch) -> list:
    """Return what sweepers are given."""
    from mlr.app.sweep.sweep import Sweep

    given: list = []
    real = Sweep.batch

    def batch(self, *arguments):
        given.extend(real(self, *arguments))
        return given

    monkeypatch.setattr(Sweep, "batch", batch)
    return given


def test_sweepers_get_the_metric_they_asked_for(train, values, trained):  # noqa: F811
    trained.wrong = lambda seeds: RuntimeError("boom") if 1 in seeds else None
    line = ("head=linear", "loss=se,bce", "seed=0,1,2", "optimizer.lr=0.1", "epochs=3")
    finished = train("-m", *FAST[:2], *line, "objective_metric=loss/test")
    assert finished.code == 5
    by_seed = {row["seed"]: row for row in rows(finished) if row["loss"] == "se"}
    assert values[0] == float(by_seed["0"]["loss/test"])
    assert str(values[1]) == "job #1 failed: RuntimeError: boom"
    assert values[2] == float(by_seed["2"]["loss/test"])
    assert values[3:] == [float("inf")] * 3


def test_divergence_is_infinitely_bad(train, values):
    line = ("head=linear", "loss=se", "optimizer.lr=1e10", "epochs=5", "seed=0,1")
    assert train("-m", "data=blobs", *line).code == 4  # as one such run alone
    assert values == [float("inf")] * 2


def test_a_regression_has_no_accuracy(train):
    finished = train("experiment=line", "objective_metric=accuracy/val")
    assert finished.code == 2
    assert "needs classes" in finished.err


def test_the_basic_launcher_trains_one_after_the_other(train, trained):  # noqa: F811
    trained.wrong = lambda seeds: RuntimeError("boom") if seeds == [1] else None
    line = ("head=linear,sigmoid", "loss=bce", "seed=0,1")
    finished = train("-m", "hydra/launcher=basic", *FAST[:3], *line)
    assert finished.code == 5
    assert trained.batches == [[0], [1]]
    assert [row["status"] for row in rows(finished)] == ["refused", "refused", "done", "failed"]
    assert "#2 head=sigmoid" in finished.out or "#2 data=blobs" in finished.out
    assert len(finished.runs) == 2


def test_a_second_sweep_is_refused_before_it_writes(train, tmp_path):
    line = ("-m", *FAST, f"hydra.sweep.dir={tmp_path}/mine")
    assert train(*line, "seed=0").code == 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    again = train(*line, "seed=1")
    assert again.code == 2
    assert "already holds a sweep" in again.err
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_of_too_many_runs_the_means_come_first(train, monkeypatch):
    from mlr.app.sweep import summary as ranking

    monkeypatch.setattr(ranking, "MOST_SHOWN", 5)
    few = train("-m", *FAST, "seed=range(0,5)")
    assert "means over seeds" not in few.out
    many = train("-m", *FAST, "seed=range(0,3)", "optimizer.lr=0.1,1", "hydra.sweep.dir=mine")
    (line,) = [line for line in many.out.splitlines() if line.startswith("look at it")]
    assert line.endswith("board.py mine  (means over seeds)")
    assert list((many.folder / "mine" / "summary").rglob("events.out.tfevents.*"))


def test_a_full_disk_hides_nothing_of_the_report(train, monkeypatch):
    from mlr.app.sweep import sweep_folder as module

    real = module.write_runs_table

    def write(path, table):
        if table:  # the last one
            raise WriteError(path, OSError(28, "No space left on device"))
        real(path, table)

    monkeypatch.setattr(module, "write_runs_table", write)
    finished = train("-m", *FAST, "seed=0,1")
    assert finished.code == 5
    assert "runs.csv: No space left on device" in finished.err
    assert "Traceback" not in finished.err
    assert "sweep folder" in finished.out


@pytest.mark.parametrize("width", [60, 300])
def test_a_narrow_terminal_shows_the_names(train, monkeypatch, width):
    monkeypatch.setattr("mlr.core.console.WIDE", width)
    finished = train("-m", *FAST, "optimizer.lr=0.1,1", "seed=0,1")
    head, *rows = finished.out.splitlines()[1:4]
    assert head.split()[:2] == ["head+loss", "lr"]
    assert sorted(row.split()[:2] for row in rows) == [["sigmoid+bce", "0.1"], ["sigmoid+bce", "1"]]
    assert ("dL/dz" in head) == (width == 300)
    narrow = "the terminal is too narrow for: "
    assert any(line.startswith(narrow) for line in finished.out.splitlines()) == (width < 300)
