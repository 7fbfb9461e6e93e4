from __future__ import annotations

import gc
import runpy
import shutil
import signal
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

import pytest

MEMORY, ROOM = Path("/dev/shm"), 4 << 30
SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config) -> None:
    """Let tests' processes hear signals, and write in memory: a third of the time is waiting."""
    _hear()
    if config.option.basetemp is None and not hasattr(config, "workerinput"):
        with suppress(OSError):
            if shutil.disk_usage(MEMORY).free > ROOM:
                config.option.basetemp = mkdtemp(prefix="mlr-tests-", dir=MEMORY)
                config.add_cleanup(partial(shutil.rmtree, config.option.basetemp, True))


def _hear() -> None:
    """Ignore by a handler what nohup or a shell's background ignores: exec inherits no handler."""
    for name in ("SIGINT", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_collection_finish() -> None:
    """Have collections look through what tests make, not through torch and 8,000 tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def composed_quickly():
    """Hydra composes in this process in half the time."""
    from tests.quick import replaced

    with pytest.MonkeyPatch.context() as patch:
        for place in replaced():
            patch.setattr(*place)
        yield


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
        monkeypatch.syspath_prepend(SCRIPTS)  # as Python does with the folder of a script
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
