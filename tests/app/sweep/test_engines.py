"""Chunks of a sweep on the workers of a cluster, of which one is lost."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlr.app.sweep.engines import run_task, split
from mlr.records.outcome import Outcome
from tests.app.sweeping import FAST, on_disk

TRAIN = Path(__file__).parents[3] / "scripts" / "train.py"


def test_groups_are_split_into_what_workers_take():
    groups = [list(range(10)), list(range(3))]
    assert [len(chunk) for chunk in split(groups, 2)] == [5, 5, 2, 1]
    assert [len(chunk) for chunk in split(groups, 2, most=4)] == [4, 4, 2, 3]
    assert split(groups, 1) == groups


def test_of_two_reports_of_a_job_the_first_counts(train, monkeypatch):
    def run_chunks(groups, options, folder, report, *more):
        for status in ("done", "failed"):
            report(Outcome("a", [], status, folder=folder, number=0))

    monkeypatch.setattr("mlr.app.sweep.sweep.run_chunks", run_chunks)
    finished = train("-m", "hydra/launcher=batched_ray", *FAST, "seed=0")
    assert finished.code == 0
    assert "1 of 1 failed" not in finished.out


def test_an_engine_that_is_not_installed_says_so(train, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    finished = train("-m", "hydra/launcher=batched_ray", *FAST, "seed=0,1")
    assert finished.code == 2
    assert (
        "needs ray, which is not installed; run pip install '.[ray]' in mlr's folder"
        in finished.err
    )


def test_a_cluster_that_is_not_there_says_so(train):
    pytest.importorskip("submitit")
    finished = train("-m", "hydra/launcher=batched_slurm", *FAST, "seed=0,1")
    assert finished.code == 2
    assert "hydra.launcher.cluster=slurm cannot be used" in finished.err
    assert "Traceback" not in finished.err
    assert "sweep.resume=" in finished.out


def sweep(where: Path, *line: str) -> subprocess.Popen:
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    return subprocess.Popen(
        [sys.executable, TRAIN, "-m", *line],
        cwd=where,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(folder: Path) -> dict[Path, bytes]:
    found = {path: path.read_bytes() for path in folder.rglob("status.json")}
    return {path: text for path, text in found.items() if b'"status": "done"' in text}


def kill_a_worker(folder: Path, process: subprocess.Popen) -> tuple[dict[Path, bytes], Path, int]:
    """Wait until some runs are done and others are not, and kill who trains the latter.

    Returns the runs that were done then, one that was not, and who was killed.
    """
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        for path in folder.glob("mine/*/status.json"):
            status = json.loads(path.read_text() or "{}")
            if status.get("status") == "running" and ended(folder):
                assert status["host"] == socket.gethostname()
                assert status["pid"] != process.pid
                os.kill(status["pid"], signal.SIGKILL)
                return ended(folder), path, status["pid"]
        time.sleep(0.005)
    raise AssertionError(f"nobody to kill: {process.communicate(timeout=60)}")


LINE = (*FAST[:2], "head=sigmoid", "loss=bce", "epochs=60", "sweep.max_runs_per_batch=4")
NEW = ("hydra.sweep.dir=mine", "hydra.launcher.workers=2")
ENGINES = {
    "ray": (*NEW, "hydra/launcher=batched_ray", "hydra.launcher.num_cpus=2"),
    "submitit": (*NEW, "hydra/launcher=batched_slurm", "hydra.launcher.cluster=local"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("package", "launcher"), ENGINES.items())
def test_a_lost_worker_costs_nothing_that_was_finished(tmp_path, package, launcher):
    pytest.importorskip(package)
    process = sweep(tmp_path, *launcher, *LINE, "seed=range(0,40)")
    try:
        before, cut, killed = kill_a_worker(tmp_path, process)
        out, err = process.communicate(timeout=240)
    finally:
        process.kill()
    assert process.returncode == 0, out + err
    assert before
    assert {path: path.read_bytes() for path in before} == before
    assert on_disk(tmp_path) == {str(seed): "done" for seed in range(40)}
    # what the lost worker had begun, another one trained, if it was not done that very moment
    assert cut in before or json.loads(cut.read_text())["pid"] != killed
    assert "sigmoid+bce" in out


@pytest.mark.slow
@pytest.mark.parametrize(("package", "launcher"), ENGINES.items())
def test_interrupting_a_cluster_keeps_what_is_finished(tmp_path, package, launcher):
    pytest.importorskip(package)
    process = sweep(tmp_path, *launcher, *LINE, "seed=range(0,400)")
    deadline = time.monotonic() + 120
    while not ended(tmp_path) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, out + err
    assert "what was finished is saved" in err
    before = ended(tmp_path)
    assert before
    again = sweep(tmp_path, *LINE, "seed=range(0,400)", "sweep.resume=mine")
    out, err = again.communicate(timeout=300)
    assert again.returncode == 0, out + err
    assert {path: path.read_bytes() for path in before} == before
    assert len(ended(tmp_path)) == 400


@pytest.mark.slow
def test_a_preempted_task_goes_on_from_its_checkpoints(tmp_path):
    pytest.importorskip("submitit")
    line = (*LINE[:3], "epochs=3000", "seed=0,1")
    process = sweep(tmp_path, *ENGINES["submitit"], *line)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and len(list(tmp_path.glob("mine/*/metrics.csv"))) < 2:
        time.sleep(0.05)
    for path in tmp_path.glob("mine/*/status.json"):  # each of its own worker
        os.kill(json.loads(path.read_text())["pid"], signal.SIGUSR1)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err
    for path in tmp_path.glob("mine/*/status.json"):
        status = json.loads(path.read_text())
        assert status["status"] == "done"
        assert len(status["sessions"]) == 1  # gone on, not begun anew
        assert len(list(path.parent.glob("events.*"))) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such signals")
def test_a_signal_ends_a_task_after_its_step_and_is_handed_on(tmp_path, monkeypatch):
    """To whoever started the worker: a scheduler's own handler lets it come again."""
    from mlr.app.sweep import packing as chunk

    heard = []

    def run_chunk(jobs, report, signals):
        with signals.deferred():
            os.kill(os.getpid(), signal.SIGUSR1)
            assert signals.asked()
            heard.append("after the step")

    monkeypatch.setattr(chunk, "run_chunk", run_chunk)
    monkeypatch.chdir(tmp_path)
    before = signal.signal(signal.SIGUSR1, lambda *_: heard.append("handed on"))
    try:
        with pytest.raises(KeyboardInterrupt):
            run_task((), 1, str(tmp_path))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert heard == ["after the step", "handed on"]
