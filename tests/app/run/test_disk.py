"""Disks that are full, broken or slow to take what they are given: said in a line, nothing lost."""

from __future__ import annotations

import random
import sys

import pytest

from tests.app.killing import CHECKPOINTS, RUN, Command, newest_step, read
from tests.app.run.test_killed import SWEEP, kept_at, sample

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it needs fork")
KINDS = ("ENOSPC", "EIO", "EDQUOT")
FULL = ("ENOSPC", "EDQUOT")
PARTLY_FAILED, IO = 5, 74


@pytest.fixture(scope="module")
def run(server, tmp_path_factory):
    return Command(server, tmp_path_factory.mktemp("one") / "run", RUN)


@pytest.fixture(scope="module")
def sweep(server, tmp_path_factory):
    return Command(server, tmp_path_factory.mktemp("six") / "sweep", SWEEP)


@pytest.fixture(scope="module")
def half(run, tmp_path_factory):
    """A run that was killed in its midst."""
    return kept_at(run, 0.6, tmp_path_factory.mktemp("half") / "kept")


def step_when_killed(command, call, kept):
    """Return the newest step on the disk at the time of a change."""
    start(command, kept, call=call)
    return newest_step(command.folder)


def start(command, kept, **fault):
    if kept is None:
        return command.begin(**fault)
    command.bring(kept)
    return command.go_on(**fault)


def meets(command, call, kind, once, kept=None):
    """A fault at a change of a command: nothing is lost by it, and afterwards it ends as ever."""
    before = None if command.line[0] == "-m" else step_when_killed(command, call, kept)
    answer = start(command, kept, call=call, fault=kind, once=once)
    where = f"{kind} {'once' if once else 'from'} at call {call} of {command.line}: {answer}"
    if kind == "short":
        assert answer.code == 0, where
        assert command.came_to() == command.expected, where
        return
    for name in CHECKPOINTS:
        for path in command.folder.rglob(name):
            read(path)
    if command.line[0] == "-m":
        assert answer.code in (0, PARTLY_FAILED, IO), where
    elif answer.code != 0:
        assert answer.code == IO, where
        assert newest_step(command.folder) >= before, where
        *_, said = answer.told.strip().splitlines()  # after that it begins anew, if it does
        assert len(said) <= 200, said
        assert str(command.folder) in said, where
        if kind in FULL:
            assert " free)" in said, where
    else:  # it met what may fail, or nothing
        assert command.came_to() == command.expected, where
    command.end()


@pytest.mark.parametrize("kind", KINDS)
def test_a_run(run, kind):
    for call in sample(run.answer.calls, 3, KINDS.index(kind)):
        meets(run, call, kind, once=False)


def test_a_fault_that_goes_away(run, half, sweep):
    draw = random.Random(0)
    for kind in KINDS:
        meets(run, draw.randint(1, run.answer.calls), kind, once=True)
        meets(run, draw.randint(1, run.answer.calls // 2), kind, once=True, kept=half)
        meets(sweep, draw.randint(1, sweep.answer.calls), kind, once=True)


@pytest.mark.parametrize("kind", KINDS)
def test_going_on_and_a_sweep(run, half, sweep, kind):
    for call in sample(run.answer.calls // 2, 2, KINDS.index(kind)):
        meets(run, call, kind, once=False, kept=half)
    (call,) = sample(sweep.answer.calls, 1, KINDS.index(kind))
    meets(sweep, call, kind, once=False)


def test_writes_that_take_one_byte_at_a_time(run, half):
    meets(run, 1, "short", once=False)
    meets(run, 1, "short", once=False, kept=half)


@pytest.mark.faults
@pytest.mark.parametrize("once", [False, True])
@pytest.mark.parametrize("kind", ["ENOSPC", "EIO", "short"])
def test_at_every_change_of_a_run(run, half, kind, once):
    every = 2 if once else 1  # what goes away soon does less
    for call in range(1, run.answer.calls + 1, every):
        meets(run, call, kind, once)
    run.bring(half)
    for call in range(1, run.go_on().calls + 1, every):
        meets(run, call, kind, once, half)


@pytest.mark.faults
@pytest.mark.parametrize("once", [False, True])
@pytest.mark.parametrize("kind", [*KINDS, "short"])
def test_at_many_changes_of_a_sweep(sweep, kind, once):
    for call in sample(sweep.answer.calls, 40, KINDS.index(kind) if kind in KINDS else 3):
        meets(sweep, call, kind, once)
