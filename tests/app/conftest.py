from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.app.killing import kill_server


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

    These take longer than most of what is tested; tests/analysis/figures has them.
    """
    monkeypatch.setattr("mlr.analysis.figures.record.PICTURES", ())

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
    with kill_server(tmp_path_factory.mktemp("server") / "told") as started:
        yield started
