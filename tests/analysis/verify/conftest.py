from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mlr.analysis.verify.command import main as verify
from mlr.app.cli.main import exit_code_of
from tests.analysis.verify.making import RUN, train


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    assert train(*RUN, "checkpoint.seconds=0.000001", f"hydra.run.dir={folder}") == 0
    return folder


@pytest.fixture(scope="session")
def swept(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("swept") / "sweep"
    line = ("-m", "data=moons", "epochs=1", "seed=0,1", f"hydra.sweep.dir={folder}")
    assert train(*line) == 0
    return folder


@pytest.fixture
def run(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def verified(capsys):
    """Runs the command; its exit code, and its output by lines, by the second word of each."""

    def call(*places: Path) -> tuple[int, dict[str, str], str]:
        capsys.readouterr()
        code = exit_code_of(lambda: verify([str(place) for place in places]))
        shown = capsys.readouterr()
        lines = [line.split(maxsplit=2) for line in shown.out.splitlines()]
        files = {words[1]: " ".join((words[0], *words[2:])) for words in lines if len(words) > 1}
        return code, files, shown.out + shown.err

    return call
