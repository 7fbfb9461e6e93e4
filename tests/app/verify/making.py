"""One run that was kept often, and what is done to copies of it."""

from __future__ import annotations

import random
import shutil
import sys
from pathlib import Path

import pytest

from mlr.app.command import main
from mlr.app.verify.command import main as verify
from mlr.training import keeper

RUN = ("data=moons", "epochs=3", "probes.points=20", "seed=3", "probes.figures=0")


def train(*arguments: object) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeper, "SHARE", 1e9)  # it is kept as often as it may be
        patch.setattr("mlr.app.figures.record.PICTURES", ())
        patch.setattr(sys, "argv", ["scripts/train.py", *map(str, arguments)])
        return main()


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

    def call(*places: Path, repair: bool = False) -> tuple[int, dict[str, str], str]:
        capsys.readouterr()
        code = verify([str(place) for place in places], repair)
        shown = capsys.readouterr()
        lines = [line.split(maxsplit=2) for line in shown.out.splitlines()]
        files = {words[1]: " ".join((words[0], *words[2:])) for words in lines if len(words) > 1}
        return code, files, shown.out + shown.err

    return call


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def events_of(folder: Path) -> Path:
    (found,) = folder.glob("events.out.tfevents.*")
    return found


def bits(path: Path, count: int, seed: int) -> list[int]:
    """Some of a file's bits, each as likely as any other."""
    return random.Random(seed).choices(range(8 * path.stat().st_size), k=count)
