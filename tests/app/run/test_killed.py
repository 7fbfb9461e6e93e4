"""Killed at any change of the file system, what was begun goes on to what it would have been.

A kill loses nothing that the system was given: what a power failure loses is in test_power.
"""

from __future__ import annotations

import json
import random
import sys

import pytest

from tests.app.killing import KEPT, LIGHT, RUN, Command, came_to, newest_step

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it needs fork")
CELLS = ("head=sigmoid,clipped_linear", "loss=se", "seed=0,1,2")
SWEEP = ("-m", *RUN, *CELLS)
LINES = {
    "plain": RUN,
    "momentum": (*RUN, "model=mlp", "optimizer.momentum=0.9", "optimizer.nesterov=true"),
    "adam": (*RUN, "model=mlp", "optimizer=adam", "probes.direction=true"),
    "schedule": (*RUN, "optimizer=adamw", "schedule=cosine", "dtype=float64"),
    "patience": (*LIGHT, "epochs=30", *KEPT[2:], "patience=1", "optimizer.lr=3"),
    "module": (*RUN, "model=custom", "model._target_=tests.app.noisy.Noisy"),
    "probes": (*RUN, "probes=full", "probes.figures=0"),
    "epochs": (*LIGHT, "epochs=9", *KEPT[2:]),
}
SWEEPS = {
    "one batch": SWEEP,
    "batches": (*SWEEP, "sweep.max_runs_per_batch=2"),
    "adam": (*SWEEP, "optimizer=adam", "model=mlp", "patience=1"),
}


def kill_at(command, call, kept=None):
    """Kill it at a change, or while it goes on from a kept folder; whether that came to pass."""
    if kept is None:
        answer = command.begin(call=call)
    else:
        command.bring(kept)
        answer = command.again(call=call)
    assert answer.code in (None, 0), answer.told
    return answer.code is None


def ends_as_undisturbed(command, calls, kept=None):
    """After a kill at each of the calls; returns how many there were."""
    killed = 0
    for call in calls:
        if not kill_at(command, call, kept):
            break
        killed += 1
        try:
            command.end()
        except AssertionError as error:
            line = command.beginning if kept is None else command.going_on
            raise AssertionError(
                f"killed at call {call} of {' '.join(line)}, from {kept}"
            ) from error
    return killed


def kept_at(command, part, there):
    """The folder of a command that was killed when it had made a part of its changes."""
    assert kill_at(command, int(part * command.answer.calls))
    return command.keep(there)


def sample(calls, number, seed=0):
    """Some of 1 … calls, in their order."""
    return sorted(random.Random(seed).sample(range(1, calls + 1), min(number, calls)))


def commands(lines):
    """A fixture of each of the lines, made where a test first asks for it."""

    @pytest.fixture(scope="module")
    def made(server, tmp_path_factory):
        found = {}

        def command(name, often=False):
            if (name, often) not in found:
                folder = tmp_path_factory.mktemp("command") / "it"
                found[name, often] = Command(server, folder, lines[name], often)
            return found[name, often]

        return command

    return made


run, sweep = commands(LINES), commands(SWEEPS)


def test_a_run(run):
    """At every fifth call; test_runs_of_all_kinds has the others."""
    command = run("plain")
    assert command.answer.calls > 60
    calls = range(5, command.answer.calls + 1, 5)
    assert ends_as_undisturbed(command, calls) == len(calls)


@pytest.mark.parametrize("kind", ["run", "sweep"])
def test_before_the_first_job(run, sweep, kind):
    """Hydra makes the folder; what it does by itself is not in the other cases."""
    command = run("plain") if kind == "run" else sweep("one batch")
    command.clear()
    calls = command.server.run(*command.beginning, plain=True).calls - command.answer.calls
    assert 0 < calls < 10
    for call in range(1, calls + 1):
        command.clear()
        assert command.server.run(*command.beginning, plain=True, call=call).code is None
        for path in command.folder.glob("multirun.yaml"):
            path.write_bytes(path.read_bytes()[:call])  # it is not written as a whole
        command.end()


@pytest.mark.parametrize(("part", "first"), [(0.7, 1), (0.9, 2)])
def test_going_on(run, tmp_path, part, first):
    """At every fourth call; test_going_on_with_runs_of_all_kinds has the others."""
    command = run("plain")
    kept = kept_at(command, part, tmp_path / "kept")
    assert ends_as_undisturbed(command, range(first, 22, 4), kept) == 6 - first // 2


def test_a_run_that_is_made_longer(run, tmp_path):
    """Killed before it is kept again, it still is to be as long as was asked last."""
    command = run("plain")
    assert command.begin().code == 0
    kept = command.keep(tmp_path / "kept")
    longer, steps = (*command.going_on, "steps=50"), []
    for call in range(1, 40, 6):
        command.bring(kept)
        assert command.server.run(*longer, call=call).code is None
        assert command.go_on().code == 0
        steps.append(json.loads((command.folder / "status.json").read_text())["steps"])
    assert steps == sorted(steps)
    assert {*steps} == {26, 50}
    assert steps.count(50) > len(steps) / 2


def test_a_sweep(sweep):
    command = sweep("one batch")
    assert len(command.expected) == 6
    assert ends_as_undisturbed(command, sample(command.answer.calls, 8)) == 8


@pytest.mark.parametrize("part", [0.5, 0.9])
def test_a_resumed_sweep(sweep, tmp_path, part):
    command = sweep("batches")
    kept = kept_at(command, part, tmp_path / "kept")
    calls = command.go_on().calls
    assert ends_as_undisturbed(command, sample(calls, 4), kept) == 4


def test_a_sweep_that_grows(sweep):
    """Names of jobs tell all that was typed: runs are found by what they are, and go on."""
    command = sweep("one batch")
    assert kill_at(command, int(0.7 * command.answer.calls))
    kept = {path.name: newest_step(path) for path in command.folder.iterdir() if path.is_dir()}
    assert min(kept.values()) > 0
    line = ("-m", *RUN, *CELLS[:2], "seed=0,1,2,3", "objective.strict=true")
    answer = command.server.run(*line, f"sweep.resume={command.folder}")
    assert answer.code == 0, answer.told
    found = {path.parent: path.read_text() for path in command.folder.glob("*/status.json")}
    again = [folder for folder, status in found.items() if '"sessions"' in status]
    assert (len(found), len(again)) == (8, 6)
    for folder in again:
        assert folder.name in kept
        assert came_to(folder) in command.expected.values()
        assert "objective.strict=True" in json.loads(found[folder])["overrides"]


@pytest.mark.faults
@pytest.mark.parametrize("name", LINES)
def test_runs_of_all_kinds(run, name):
    command = run(name)
    assert ends_as_undisturbed(command, range(1, 1000)) == command.answer.calls > 60


@pytest.mark.faults
@pytest.mark.parametrize("part", [0.5, 0.7, 0.85, 0.94])
@pytest.mark.parametrize("name", LINES)
def test_going_on_with_runs_of_all_kinds(run, tmp_path, name, part):
    command = run(name)
    kept = kept_at(command, part, tmp_path / "kept")
    assert ends_as_undisturbed(command, range(1, 1000), kept) > 20


@pytest.mark.faults
@pytest.mark.parametrize("quarter", range(4))
@pytest.mark.parametrize("name", ["plain", "adam", "module"])
def test_a_run_that_is_kept_after_every_step(run, name, quarter):
    command = run(name, often=True)
    calls = sample(command.answer.calls, 80)
    assert len(calls) == 80
    assert ends_as_undisturbed(command, calls[quarter::4]) == 20


@pytest.mark.faults
@pytest.mark.parametrize("quarter", range(4))
@pytest.mark.parametrize("name", SWEEPS)
def test_sweeps_of_all_kinds(sweep, name, quarter):
    command = sweep(name)
    every = range(1, command.answer.calls + 1)
    calls = [*every[quarter::4]] if name == "one batch" else sample(len(every), 40, quarter)
    assert ends_as_undisturbed(command, calls) == len(calls)


@pytest.mark.faults
@pytest.mark.parametrize("part", [0.3, 0.5, 0.7, 0.9, 0.97])
@pytest.mark.parametrize("name", SWEEPS)
def test_resumed_sweeps_of_all_kinds(sweep, tmp_path, name, part):
    command = sweep(name)
    kept = kept_at(command, part, tmp_path / "kept")
    calls = sample(command.go_on().calls, 20)
    assert ends_as_undisturbed(command, calls, kept) == len(calls)


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(10))
def test_killed_again_and_again(run, sweep, seed):
    """Three deep, at random."""
    draw = random.Random(seed)
    for case in range(22):
        sweeps = case % 6 == 5
        command = (sweep if sweeps else run)(draw.choice([*(SWEEPS if sweeps else LINES)]))
        calls = [draw.randint(1, command.answer.calls) for _ in range(3)]
        command.clear()
        for call in calls:
            command.again(call=call)
        try:
            command.end()
        except AssertionError as error:
            line = " ".join(command.beginning)
            raise AssertionError(f"seed {seed}: killed at calls {calls} of {line}") from error


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_moment(run, seed):
    """Not only where Python calls the system."""
    draw = random.Random(seed)
    for _ in range(50):
        command = run(draw.choice([*LINES]), often=True)
        after = draw.uniform(0, 1.2 * command.answer.seconds)
        command.begin(signals=[(after, "SIGKILL")])
        command.end()
