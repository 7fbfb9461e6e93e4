from __future__ import annotations

import csv
import gc
import json
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


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items) -> None:
    """Keep tests of one group on one worker: pytest 9.2 does not read what xdist 3.8 sets."""
    if not getattr(config.option, "loadgroup", False):
        return
    for item in items:
        for mark in item.iter_markers("xdist_group"):
            if not item.nodeid.endswith(f"@{mark.args[0]}"):
                item._id = type(item._id).parse(f"{item.nodeid}@{mark.args[0]}")


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


class Finished(NamedTuple):
    code: int
    out: str
    err: str
    folder: Path

    @property
    def runs(self) -> list[Path]:
        """Folders that hold a run, oldest first."""
        return sorted(path.parent for path in self.folder.rglob("status.json"))

    def status(self) -> dict:
        (run,) = self.runs
        return json.loads((run / "status.json").read_text())

    def table(self) -> list[dict[str, str]]:
        (run,) = self.runs
        with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def series(self, tag: str) -> dict[int, float]:
        return {int(row["step"]): float(row[tag]) for row in self.table() if row[tag]}


@pytest.fixture
def train(tmp_path, monkeypatch, capfd):
    """Runs scripts/train.py's main in this process, in an empty folder, without its figures.

    These take longer than most of what is tested; tests/figures has them.
    """
    import torch  # noqa: F401  with it a sweep forks no process

    monkeypatch.setattr("mlr.figures.record.PICTURES", ())

    def run(*overrides: str) -> Finished:
        from mlr.app.cli.command import main

        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["train.py", *overrides])
        capfd.readouterr()
        try:
            code = main()
        except SystemExit as exit:  # Hydra's own --help
            code = exit.code or 0
        printed = capfd.readouterr()
        return Finished(code, printed.out, printed.err, tmp_path)

    return run


@pytest.fixture(scope="session")
def stored() -> dict[tuple[str, ...], Path]:
    """Folders of finished trainings, by their command line."""
    return {}


@pytest.fixture
def trained_before(train, tmp_path, tmp_path_factory, stored):
    """Makes the folder of a finished run or sweep to begin with: trained once, then copied."""

    def make(name: str, *line: str) -> Path:
        folder = tmp_path / name
        if line in stored:
            return Path(shutil.copytree(stored[line], folder))
        kind = "sweep" if line[0] == "-m" else "run"
        assert train(*line, f"hydra.{kind}.dir={folder}").code == 0
        stored[line] = Path(shutil.copytree(folder, tmp_path_factory.mktemp("stored") / "it"))
        return folder

    return make


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One a process: to import what a command imports takes seconds."""
    from tests.app.killing import kill_server

    with kill_server(tmp_path_factory.mktemp("server") / "told") as started:
        yield started
