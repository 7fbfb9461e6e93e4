"""Whole commands in two processes: numbers of one, and what signals and faults do to them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.app.killing import ROOT, came_to
from tests.app.sweeping import on_disk, rows, sweep_folder

TRAIN = ROOT / "scripts" / "train.py"
CORES = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1
pytestmark = pytest.mark.skipif(CORES < 2, reason="it needs fork, and two cores")
TWO = ("sweep.processes=2", "probes.figures=0", "device=cpu", "hydra.sweep.dir=mine")
LONG = (*TWO, "data=blobs", "head=sigmoid", "loss=bce", "epochs=100000", "seed=range(0,8)")


def command(where: Path, *line: str, threads: int = 1, **options) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, TRAIN, "-m", *line],
        cwd=where,
        # the tests hold a model
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(threads)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@contextmanager
def started(where: Path, *line: str, **options):
    process = command(where, *line, **options)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen, code: int = 0) -> str:
    out, err = process.communicate(timeout=240)
    assert process.returncode == code, out + err
    assert "Traceback" not in err
    return err


def pids(folder: Path) -> set[int]:
    """Processes that have begun runs."""
    found = set()
    for path in folder.rglob("status.json"):
        with suppress(ValueError):
            found.add(json.loads(path.read_text())["pid"])
    return found


def other(folder: Path, process: subprocess.Popen) -> int:
    """Wait until two processes train, and return the one that is not the command itself."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        found = pids(folder)
        if len(found) == 2:
            return next(iter(found - {process.pid}))
        time.sleep(0.02)
    raise AssertionError(f"no two processes: {process.communicate(timeout=60)}")


def is_running(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_running(pid)


def ends(folder: Path) -> dict:
    return {path.parent.name: came_to(path.parent) for path in folder.rglob("status.json")}


def same(where: Path, threads: int, *line: str) -> None:
    """Runs of two processes equal those of one, and the tables do."""
    for name, processes in (("mine", 2), ("alone", 1)):
        own = (*line, f"sweep.processes={processes}", f"hydra.sweep.dir={name}")
        with started(where, *TWO[1:3], *own, threads=threads) as process:
            assert ended(process) == ""
        assert len(pids(where / name)) == processes
    assert ends(where / "mine") == ends(where / "alone")
    tables = [(where / name / "runs.csv").read_text() for name in ("mine", "alone")]
    assert tables[0] == tables[1]


IMAGES = ("data=synthetic_mnist", "data.n=200", "steps=3")


def test_runs_of_two_processes_equal_those_of_one(tmp_path, train):
    line = (*TWO, "data=blobs", "data.n=100", "head=sigmoid", "loss=bce,se", "epochs=2", "seed=0,1")
    with started(tmp_path, *line) as process:
        assert ended(process) == ""
    assert len(pids(tmp_path)) == 2
    alone = train("-m", *line, "hydra.sweep.dir=alone")  # where torch is here already
    assert alone.code == 0
    assert len(pids(tmp_path / "alone")) == 1
    found = ends(tmp_path / "mine")
    assert len(found) == 4
    assert found == ends(tmp_path / "alone")
    tables = [(tmp_path / name / "runs.csv").read_text() for name in ("mine", "alone")]
    assert tables[0] == tables[1]


@pytest.mark.faults
@pytest.mark.parametrize("model", ["linear", "mlp", "cnn"])
def test_products_on_several_threads_are_those_of_a_run_alone(tmp_path, model):
    """Of all lanes, wide ones, and by autograd: as many threads share each, whoever trains."""
    same(tmp_path, 2, *IMAGES, f"model={model}", "seed=0,1")


@pytest.mark.faults
def test_many_small_runs_in_processes_of_their_own_accord(tmp_path, train):
    line = (*TWO[1:], "data=blobs", "head=sigmoid", "loss=se,bce", "epochs=2", "seed=range(0,64)")
    with started(tmp_path, *line) as process:
        assert ended(process) == ""
    assert len(pids(tmp_path)) == 2
    alone = train("-m", *line, "hydra.sweep.dir=alone")
    assert alone.code == 0
    assert ends(tmp_path / "mine") == ends(tmp_path / "alone")
    tables = [(tmp_path / name / "runs.csv").read_text() for name in ("mine", "alone")]
    assert tables[0] == tables[1]


@pytest.mark.faults
def test_a_killed_process_costs_nothing(tmp_path):
    line = (*LONG[:-2], "epochs=600", "checkpoint.seconds=0.1", "seed=range(0,8)")
    with started(tmp_path, *line) as process:
        killed = other(tmp_path, process)
        os.kill(killed, signal.SIGKILL)
        err = ended(process)
    assert err.count("a process of the sweep ended by SIGKILL; what it has not finished") == 1
    assert on_disk(tmp_path) == {str(seed): "done" for seed in range(8)}
    with started(tmp_path, *line, "sweep.processes=1", "hydra.sweep.dir=alone") as process:
        ended(process)
    assert ends(tmp_path / "mine") == ends(tmp_path / "alone")


@pytest.mark.faults
@pytest.mark.parametrize(
    ("name", "code", "group"),
    [("SIGINT", 130, True), ("SIGINT", 130, False), ("SIGTERM", 143, False), ("SIGUSR1", 75, True)],
)
def test_a_signal_ends_both_after_their_steps(tmp_path, name, code, group):
    number = getattr(signal, name)
    with started(tmp_path, *LONG, start_new_session=True) as process:
        worker = other(tmp_path, process)
        time.sleep(0.5)
        (os.killpg if group else os.kill)(process.pid, number)
        err = ended(process, code)
    assert gone(worker)
    assert err == "mlr: interrupted; what was finished is saved\n"
    found = on_disk(tmp_path)
    assert found
    assert set(found.values()) == {"interrupted"}
    assert len(list(tmp_path.rglob("checkpoint.safetensors"))) == len(found)
    table = {row["seed"]: row["status"] for row in rows(Here(tmp_path))}
    assert table == found


class Here:
    """A folder, as `sweeping` reads it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder


@pytest.mark.faults
def test_an_interrupted_sweep_goes_on_in_two_processes(tmp_path):
    line = (*LONG[:-2], "epochs=600", "checkpoint.seconds=0.1", "seed=range(0,8)")
    with started(tmp_path, *line) as process:
        other(tmp_path, process)
        process.terminate()
        ended(process, 143)
    folder = sweep_folder(Here(tmp_path))
    with started(tmp_path, *line, f"sweep.resume={folder}") as process:
        ended(process)
    assert on_disk(tmp_path) == {str(seed): "done" for seed in range(8)}
    with started(tmp_path, *line, "sweep.processes=1", "hydra.sweep.dir=alone") as process:
        ended(process)
    assert ends(tmp_path / "mine") == ends(tmp_path / "alone")


@pytest.mark.faults
def test_a_command_that_is_killed_leaves_no_process(tmp_path):
    with started(tmp_path, *LONG) as process:
        worker = other(tmp_path, process)
        process.kill()
        process.wait()
        assert gone(worker)


@pytest.mark.faults
def test_a_refused_sweep_leaves_no_process(tmp_path):
    with started(tmp_path, *LONG[:-1], "head=sigmoid", "loss=ce", "data=digits",
                 "seed=range(0,200)") as process:  # fmt: skip
        process.communicate(timeout=120)
        assert process.returncode == 2
    left = [path.parent for path in Path("/proc").glob("[0-9]*/cmdline")
            if str(tmp_path).encode() in path.read_bytes()]  # fmt: skip
    assert left == []


@pytest.mark.faults
def test_failures_and_words_of_the_other_process_are_shown(tmp_path):
    """One of its runs fails, and its model prints."""
    table = "\n".join(["x,label", *(f"{n % 7},{n % 2}" for n in range(40))])
    (tmp_path / "points.csv").write_text(table)
    line = (*TWO, "data=csv", "data.path=points.csv", "steps=3", "batch_size=8",
            "model=custom", "model._target_=tests.app.points.Talking",
            "allow_targets=[tests]", "+model.number=0,1,2,3")  # fmt: skip
    with started(tmp_path, *line) as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 5, out + err
    assert len(pids(tmp_path)) == 2
    assert sorted(line for line in out.splitlines() if line.startswith("built")) == [
        f"built {number}" for number in range(4)
    ]
    assert "2 of 4 failed" in out
    assert {row["model.number"]: row["status"] for row in rows(Here(tmp_path))} == {
        **{"0": "done", "1": "failed"},
        **{"2": "done", "3": "failed"},
    }
