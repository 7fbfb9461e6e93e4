"""Thousands of runs through one process: its memory and its open files stay as they are."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from mlr.app.command import main

from .killing import RUN

STATM = Path("/proc/self/statm")
pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not STATM.exists(), reason="it needs /proc"),
]
LINE = (*RUN, "steps=8", "probes=off", "hydra/hydra_logging=disabled")
PAGE = 4096


def measured():
    """Bytes in memory, and open files, of this process."""
    return int(STATM.read_text().split()[1]) * PAGE, len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def soaked(monkeypatch, capfd, commands, command, warm_up):
    """Growth of memory in bytes a command, by the later half, and of open files in all."""
    seen = []
    for number in range(commands):
        monkeypatch.setattr(sys, "argv", ["scripts/train.py", *command(number)])
        assert main() == 0
        capfd.readouterr()
        seen.append(measured())
    memory, files = np.array(seen[warm_up:]).T
    slope = np.polyfit(np.arange(len(memory)), memory, 1)[0]
    return slope, int(files[-1] - files[0])


def test_runs_and_sweeps(monkeypatch, capfd, tmp_path):
    """150 commands of one run, and 1,860 runs in 30 sweeps."""

    def one(number):
        shutil.rmtree(tmp_path / "it", ignore_errors=True)
        return (*LINE, f"seed={number}", f"hydra.run.dir={tmp_path}/it")

    def sweep(number):
        shutil.rmtree(tmp_path / "it", ignore_errors=True)
        first = 1000 + 62 * number
        return ("-m", *LINE, f"seed=range({first},{first + 62})", f"hydra.sweep.dir={tmp_path}/it")

    for commands, command, warm_up, runs in ((150, one, 50, 1), (30, sweep, 10, 62)):
        slope, files = soaked(monkeypatch, capfd, commands, command, warm_up)
        with capfd.disabled():
            print(
                f"\n{commands * runs} runs: {slope / runs:.0f} bytes and {files} files a run more"
            )
        assert slope / runs < 4096
        assert files == 0
