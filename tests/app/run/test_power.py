"""The power fails at any moment: what a checkpoint promised to be on the disk is there."""

from __future__ import annotations

import random
import shutil
import sys

import pytest

from mlr.app.cli.command import main
from mlr.app.run.lifecycle import CheckpointWriter
from mlr.training import checkpointing, loop
from tests.app.disk_model import Disk, lay_down, recorded
from tests.app.killing import RUN, Command, newest_step
from tests.app.run.test_killed import SWEEP, kept_at

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it needs fork")


class Recording:
    """A command's changes, and what was promised to be kept at which moment."""

    def __init__(self, command, line, kept=None, often=False):
        self.command, self.root = command, command.folder.parent
        self.promised = [(0, 0)]
        if kept is None:
            command.clear()
        else:
            command.bring(kept)
            self.promised = [(0, newest_step(command.folder))]
        self.disk = Disk(self.root)
        self.disk.take_up()
        self.first = self.disk.now
        real = CheckpointWriter.write

        def write(files, states):
            real(files, states)
            self.promised.append((self.disk.now, states[0].step))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(CheckpointWriter, "write", write)
            patch.setattr(checkpointing, "SHARE", 1e9)
            patch.setattr(sys, "argv", ["scripts/train.py", *line])
            patch.setattr(loop, "PROGRESS_SECONDS", 0.0 if often else 1e9)
            with recorded(self.disk, patch):
                assert main() == 0

    def fails(self, seed):
        """The power fails at a moment; the run goes on from what is on the disk."""
        draw = random.Random(seed)
        moment = draw.randint(self.first, self.disk.now)
        promised = max(step for when, step in self.promised if when <= moment)
        shutil.rmtree(self.root)
        lay_down(self.disk.after_failure(moment, draw), 0, self.root)
        where = f"seed {seed}, moment {moment} of {self.disk.now}"
        if self.command.line[0] != "-m":  # its runs may be begun anew
            assert newest_step(self.command.folder) >= promised, f"{where}: lost {promised}"
        answer = self.command.go_on() if self.command.begun() else self.command.begin()
        if answer.code in (2, 3) and not promised:
            assert len(answer.told.strip().splitlines()) == 1, answer.told
            answer = self.command.begin()
        assert answer.code == 0, f"{where}: {answer}"
        assert self.command.came_to() == self.command.expected, where
        return promised > 0


def recording(server, folder, line, often=False, part=None):
    command = Command(server, folder / "place" / "it", line, often)
    if part is None:
        return Recording(command, command.beginning, often=often)
    kept = kept_at(command, part, folder / "kept")
    return Recording(command, command.going_on, kept, often)


@pytest.fixture
def place(tmp_path):
    (tmp_path / "place").mkdir()
    return tmp_path


def test_in_a_run(server, place):
    found = recording(server, place, RUN)
    assert 3 < sum(found.fails(seed) for seed in range(16)) < 16


def test_while_it_goes_on(server, place):
    found = recording(server, place, RUN, part=0.7)
    assert all(found.fails(seed) for seed in range(8))


@pytest.mark.faults
@pytest.mark.parametrize("part", [None, 0.6, 0.8, 0.95])
@pytest.mark.parametrize("often", [False, True])
def test_in_runs_and_while_they_go_on(server, place, often, part):
    found = recording(server, place, RUN, often, part)
    assert sum(found.fails(seed) for seed in range(1000, 1100)) > 20


@pytest.mark.faults
@pytest.mark.parametrize("line", [SWEEP, (*SWEEP, "sweep.max_runs_per_batch=2")])
def test_in_a_sweep(server, place, line):
    found = recording(server, place, line)
    for seed in range(80):
        found.fails(seed)
