"""Sweeps taken up again: nothing finished is lost, and nothing is trained twice."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.app.sweeping import FAST, on_disk, rows, statuses, trained  # noqa: F401
from tests.records.written import retell

TRAIN = Path(__file__).parents[3] / "scripts" / "train.py"


def seeds(trained) -> list[int]:  # noqa: F811
    return sorted(seed for batch in trained.batches for seed in batch)


def test_a_larger_sweep_trains_only_what_is_new(train, trained, tmp_path):  # noqa: F811
    assert train("-m", *FAST, "seed=0,1", f"hydra.sweep.dir={tmp_path}/mine").code == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*/status.json")}
    trained.batches.clear()
    again = train("-m", "sweep.resume=mine", "seed=2,1,0", *reversed(FAST))
    assert again.code == 0, again.err
    assert seeds(trained) == [2]
    assert "2 finished before" in again.out
    assert {path: path.read_bytes() for path in before} == before
    assert statuses(again) == dict.fromkeys("012", "done")
    assert len(rows(again)) == 3
    assert re.search(r"sigmoid\+bce +3 ", again.out)


def test_nothing_is_left_to_do(train, trained):  # noqa: F811
    first = train("-m", *FAST, "seed=0,1")
    (folder,) = {run.parent for run in first.runs}
    trained.batches.clear()
    again = train("-m", *FAST, "seed=0,1", f"sweep.resume={folder}")
    assert again.code == 0
    assert trained.batches == []
    assert statuses(again) == {"0": "done", "1": "done"}


@pytest.mark.parametrize("status", ["failed", "interrupted", "running"])
def test_what_has_no_end_is_begun_anew_in_its_place(
    train,
    trained,  # noqa: F811
    trained_before,
    tmp_path,
    status,
):
    trained_before("mine", "-m", *FAST, "seed=0,1")
    (run,) = (tmp_path / "mine").glob("*seed=1*")
    retell(run, status)
    (run / "metrics.csv").write_text("half a line")
    trained.batches.clear()
    again = train("-m", *reversed(FAST), "seed=0,1", "sweep.resume=mine")
    assert again.code == 0
    assert seeds(trained) == [1]
    assert run.exists()  # known by what it is, though its name would be another now
    assert on_disk(tmp_path / "mine") == {"0": "done", "1": "done"}
    assert len(rows(again)) == 2


def test_a_claim_that_was_cut_short_does_not_block(train, trained_before, tmp_path):
    trained_before("mine", "-m", *FAST, "seed=0,1")
    (run,) = (tmp_path / "mine").glob("*seed=1*")
    for path in [path for path in run.rglob("*") if path.is_file()]:
        path.unlink()
    (run / "status.json").touch()
    assert train("-m", *FAST, "seed=0,1", "sweep.resume=mine").code == 0
    assert on_disk(tmp_path / "mine") == {"0": "done", "1": "done"}


@pytest.mark.parametrize(
    ("name", "content"),
    [("status.json", ""), ("status.json", '{"status": "do'), ("checkpoint.safetensors", "")],
)
def test_a_damaged_run_is_trained_again(
    train,
    trained,  # noqa: F811
    trained_before,
    tmp_path,
    name,
    content,
):
    trained_before("mine", "-m", *FAST, "seed=0,1")
    (run,) = (tmp_path / "mine").glob("*seed=1*")
    (run / name).write_text(content)
    trained.batches.clear()
    again = train("-m", *FAST, "seed=0,1", "sweep.resume=mine")
    assert again.code == 0, again.err
    assert seeds(trained) == [1]
    assert on_disk(tmp_path / "mine") == {"0": "done", "1": "done"}


def test_runs_outside_the_new_command_stay_in_the_table(train, trained):  # noqa: F811
    trained.wrong = lambda batch: KeyboardInterrupt() if 2 in batch else None
    first = train("-m", *FAST, "seed=range(0,3)", "sweep.max_runs_per_batch=1")
    (folder,) = {run.parent for run in first.runs}
    trained.wrong = lambda batch: None
    again = train("-m", *FAST, "seed=5", f"sweep.resume={folder}")
    assert again.code == 0
    expected = {"0": "done", "1": "done", "2": "interrupted", "5": "done"}
    assert statuses(again) == expected


REFUSED = {
    ("-m", "seed=0,1", "sweep.resume=nowhere"): "is not the folder of a sweep",
    ("-m", "seed=0,1", "sweep.resume=own", "hydra.sweep.dir=other"): "are different folders",
    ("sweep.resume=own",): "needs -m",
}


@pytest.mark.parametrize(("line", "message"), REFUSED.items())
def test_what_cannot_be_resumed_is_refused(train, tmp_path, line, message):
    (tmp_path / "own").mkdir()
    refused = train(*line)
    assert refused.code == 2
    assert message in refused.err
    assert len(refused.err.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.rglob("*")] == ["own"]


@pytest.mark.slow
def test_a_sweep_at_work_is_not_resumed(train, tmp_path):
    fcntl = pytest.importorskip("fcntl")
    assert train("-m", *FAST, "seed=0", f"hydra.sweep.dir={tmp_path}/mine").code == 0
    with (tmp_path / "mine" / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = train("-m", *FAST, "seed=0,1", "sweep.resume=mine")
    assert refused.code == 2
    assert "is trained by process" in refused.err
    assert train("-m", *FAST, "seed=0,1", "sweep.resume=mine").code == 0


def finished_in(folder: Path) -> dict[str, bytes]:
    """status.json of runs at their end, by run."""
    found = {path.parent.name: path.read_bytes() for path in folder.rglob("status.json")}
    return {name: text for name, text in found.items() if b'"status": "done"' in text}


@pytest.mark.slow
@pytest.mark.parametrize(
    "after", [7, *(pytest.param(after, marks=pytest.mark.long) for after in (0, 19))]
)
def test_killed_at_any_moment_nothing_is_lost_or_done_twice(train, trained, tmp_path, after):  # noqa: F811
    options = ("sweep.max_runs_per_batch=5", "probes.figures=0")
    line = ("-m", *FAST, "seed=range(0,20)", *options)
    folder = tmp_path / "mine"
    process = subprocess.Popen(
        [sys.executable, TRAIN, *line, f"hydra.sweep.dir={folder}"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while process.poll() is None and len(list(folder.glob("*/status.json"))) <= after:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.kill()
    process.wait()
    before = finished_in(folder)
    again = train(*line, f"sweep.resume={folder}")
    assert again.code == 0, again.err
    after_all = finished_in(folder)
    assert {name: after_all[name] for name in before} == before
    assert len(after_all) == 20
    assert len(seeds(trained)) == 20 - len(before)
    assert len(rows(again)) == 20
    assert set(statuses(again).values()) == {"done"}
    for run in again.runs:
        assert len((run / "metrics.csv").read_text().splitlines()) == 21
        assert len(list(run.glob("events.*"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("number", "after"), [(signal.SIGINT, 1), (signal.SIGTERM, 5)])
def test_told_to_end_no_run_says_running(train, tmp_path, number, after):
    line = ("-m", *FAST[:2], "head=sigmoid", "loss=bce", "epochs=300", "seed=range(0,12)")
    options = ("sweep.max_runs_per_batch=4", "probes.figures=0")
    process = subprocess.Popen(
        [sys.executable, TRAIN, *line, *options, f"hydra.sweep.dir={tmp_path}/mine"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while len(list((tmp_path / "mine").glob("*/status.json"))) <= after:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == {2: 130, 15: 143}[int(number)], out + err
    found = on_disk(tmp_path)
    assert set(found.values()) <= {"done", "interrupted"}
    assert "interrupted" in found.values()
    assert "Traceback" not in err
    (again,) = [line for line in out.splitlines() if line.startswith("try again")]
    finished = subprocess.run(
        again.removeprefix("try again").strip(), shell=True, cwd=tmp_path, capture_output=True
    )
    assert finished.returncode == 0, finished.stderr
    assert on_disk(tmp_path) == {str(seed): "done" for seed in range(12)}


def test_runs_of_other_versions_are_refused_unless_allowed(train, tmp_path, monkeypatch):
    assert train("-m", *FAST, "seed=0", f"hydra.sweep.dir={tmp_path}/mine").code == 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with monkeypatch.context() as patch:
        patch.setattr("mlr.app.sweep.sweep_folder.versions", lambda: {"torch": "9.9"})
        refused = train("-m", *FAST, "seed=0,1", "sweep.resume=mine")
        assert refused.code == 2
        assert "was begun with python " in refused.err
        assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        line = ("sweep.resume=mine", "allow=[versions]")
        assert train("-m", *FAST, "seed=0,1", *line).code == 0
    assert train("-m", *FAST, "seed=0,1,2", "sweep.resume=mine").code == 0


def test_resumed_runs_whose_program_fails_are_tried_in_smaller_ones(train, trained, monkeypatch):  # noqa: F811
    with monkeypatch.context() as patch:
        patch.setattr("mlr.app.run.signals.Signals.asked", lambda signals: True)
        stopped = train("-m", *FAST, "seed=0,1", "hydra.sweep.dir=it")
    assert statuses(stopped) == {"0": "interrupted", "1": "interrupted"}
    trained.wrong = lambda seeds: RuntimeError("boom") if 1 in seeds else None
    finished = train("-m", *FAST, "seed=0,1", "sweep.resume=it")
    assert trained.batches == [[0, 1], [0, 1], [0], [1]]
    assert (finished.code, statuses(finished)) == (5, {"0": "done", "1": "failed"})
