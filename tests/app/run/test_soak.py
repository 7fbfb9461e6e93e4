"""Thousands of runs through one process: its memory and its open files stay as they are."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from operator import sub
from pathlib import Path
from typing import NamedTuple

import pytest

from mlr.app.cli.command import main
from tests.app.killing import RUN

STATM = Path("/proc/self/statm")
pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not STATM.exists(), reason="it needs /proc"),
]
LINE = (*RUN, "steps=8", "probes=off", "hydra/hydra_logging=disabled")
PAGE = 4096


class Held(NamedTuple):
    """Resources of this process."""

    memory: int
    """bytes"""
    objects: int
    """that Python's garbage collector knows"""
    files: int
    """open"""


def held():
    gc.collect()
    memory = int(STATM.read_text().split()[1]) * PAGE
    return Held(memory, len(gc.get_objects()), len(os.listdir("/proc/self/fd")))  # noqa: PTH208


def test_runs_and_sweeps(monkeypatch, capfd, tmp_path):
    """100 commands of one run, and 1,922 runs in 31 sweeps.

    Always the same ones: what was typed is remembered, 65,536 values of it at most.
    """
    run = (*LINE, f"hydra.run.dir={tmp_path}/it")
    sweep = ("-m", *LINE, "seed=range(0,62)", f"hydra.sweep.dir={tmp_path}/it")
    for line, commands, warm_up in ((run, 100, 20), (sweep, 31, 5)):
        monkeypatch.setattr(sys, "argv", ["scripts/train.py", *line])
        for number in range(commands):
            shutil.rmtree(tmp_path / "it", ignore_errors=True)
            assert main() == 0
            capfd.readouterr()
            if number == warm_up:
                before = held()
        memory, objects, files = map(sub, held(), before)
        with capfd.disabled():
            print(
                f"\n{commands} commands: {memory >> 10} KiB, {objects} objects, {files} files more"
            )
        assert memory < 4 << 20
        assert objects < 20
        assert files == 0
