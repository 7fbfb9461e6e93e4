"""Signals at any moment: soon over, a checkpoint on the disk, and what goes on ends as ever."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys

import pytest

from tests.app.killing import KEPT, LIGHT, ROOT, RUN, TRUSTED, Command, newest_step
from tests.app.run.test_killed import SWEEP

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it needs fork")
CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGUSR1": 75}
LONG = (*LIGHT, "epochs=100000", "probes.points=100", "checkpoint.seconds=0.5", "probes.figures=0")


def times_to_stop(server, folder, seeds):
    """Seconds from a signal to the exit, of runs that have something to keep."""
    found = []
    line = (*LONG, f"hydra.run.dir={folder}/it")
    for seed in seeds:
        draw = random.Random(seed)
        name, after = draw.choice([*CODES]), draw.uniform(0.1, 0.35)
        subprocess.run(["rm", "-rf", f"{folder}/it"], check=True)
        answer = server.run(*line, signals=[(after, name)])
        assert answer.code == CODES[name], f"seed {seed}, {name} after {after} s: {answer}"
        assert "Traceback" not in answer.told
        if "continue with" in answer.told:
            found.append(answer.seconds)
            assert newest_step(folder / "it") > 0, f"seed {seed}"
            status = json.loads((folder / "it" / "status.json").read_text())
            assert status["status"] == "interrupted"
    return sorted(found)


def test_a_run_is_soon_over(server, tmp_path):
    found = times_to_stop(server, tmp_path, range(6))
    assert found[-1] < 5  # on a machine with much else to do


@pytest.mark.faults
def test_the_time_to_stop(server, tmp_path, capsys):
    found = times_to_stop(server, tmp_path, range(100, 220))
    assert len(found) >= 100
    p50, p90, p99 = (found[int(share * len(found))] for share in (0.5, 0.9, 0.99))
    with capsys.disabled():
        print(f"\nsignal to exit, {len(found)} runs: median {p50:.3f} s, 90 % {p90:.3f} s, "
              f"99 % {p99:.3f} s, longest {found[-1]:.3f} s")  # fmt: skip
    assert p99 < 1


def test_what_was_stopped_goes_on(server, tmp_path):
    command = Command(server, tmp_path / "it", RUN, often=True)
    stopped = 0
    for seed in range(6):
        draw = random.Random(seed)
        name = draw.choice([*CODES])
        answer = command.begin(signals=[(draw.uniform(0.2, 0.9) * command.answer.seconds, name)])
        assert answer.code in (0, CODES[name]), answer
        stopped += answer.code != 0
        command.end()
    assert stopped


def test_two_signals(server, tmp_path):
    """A second SIGINT ends it at once, a second one of another kind changes nothing."""
    line = (*LONG, f"hydra.run.dir={tmp_path}/it")
    for second in ("SIGINT", "SIGTERM"):
        subprocess.run(["rm", "-rf", f"{tmp_path}/it"], check=True)
        answer = server.run(*line, signals=[(0.4, "SIGINT"), (0.45, second)])
        assert answer.code == 130, answer
        if newest_step(tmp_path / "it"):  # the second one may come before it
            answer = server.run(f"resume={tmp_path}/it", TRUSTED, signals=[(0.5, "SIGTERM")])
            assert answer.code == 143, answer


@pytest.fixture(scope="module")
def sweep(server, tmp_path_factory):
    line = (*SWEEP, "sweep.max_runs_per_batch=2")
    return Command(server, tmp_path_factory.mktemp("stopped") / "it", line, often=True)


def sweep_is_stopped(command, name, after):
    """In its midst; it ends as ever, and no run that was kept begins anew."""
    answer = command.begin(signals=[(after * command.answer.seconds, name)])
    assert answer.code in (0, CODES[name]), answer
    kept = {path.name: newest_step(path) for path in command.folder.iterdir() if path.is_dir()}
    command.end()
    for run, step in kept.items():
        status = json.loads((command.folder / run / "status.json").read_text())
        again = len(status.get("sessions", []))
        files = [*(command.folder / run).glob("events*")]
        assert len(files) == 1 + again if step else len(files) == 1
    return answer.code, sum(0 < step < 26 for step in kept.values())


def test_a_sweep_of_several_batches(sweep):
    results = [
        sweep_is_stopped(sweep, name, after)
        for name, after in (("SIGINT", 0.3), ("SIGTERM", 0.5), ("SIGUSR1", 0.7))
    ]
    assert any(code for code, _ in results)


@pytest.mark.faults
@pytest.mark.parametrize("name", CODES)
def test_sweeps_at_many_moments(sweep, name):
    results = [sweep_is_stopped(sweep, name, part / 12) for part in range(1, 12)]
    assert sum(code == CODES[name] for code, _ in results) >= 5
    assert any(kept for _, kept in results)  # which then went on, and not from 0


@pytest.mark.slow
def test_a_reader_that_leaves(tmp_path):
    """As in `train … | head -1`: no traceback, and the run is whole; test_command has a sweep."""
    options = " ".join(("data=moons", *KEPT))
    line = f"{sys.executable} scripts/train.py {options} hydra.run.dir={tmp_path}/it | head -1"
    done = subprocess.run(line, shell=True, cwd=ROOT, env={**os.environ}, capture_output=True)
    assert b"Traceback" not in done.stderr
    assert b"Broken" not in done.stderr
    assert json.loads((tmp_path / "it" / "status.json").read_text())["status"] == "done"
