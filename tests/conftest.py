from __future__ import annotations

import gc
import runpy
import signal
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


def pytest_collection_finish() -> None:
    """Have collections look through what tests make, not through torch and 8,000 tests."""
    gc.collect()
    gc.freeze()


class Shown(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def script(monkeypatch, capfd):
    """Runs a program as `python` would, but in this process: another takes seconds to start."""

    def run(program: str | Path, *arguments: str, folder: Path) -> Shown:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", [str(program), *arguments])
        capfd.readouterr()
        code: str | int | None = 0
        try:
            runpy.run_path(str(SCRIPTS / program), run_name="__main__")
        except SystemExit as end:
            code = end.code or 0
        return Shown(code, *capfd.readouterr())

    before = signal.getsignal(signal.SIGTERM)
    yield run
    signal.signal(signal.SIGTERM, before)
