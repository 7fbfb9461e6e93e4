"""One run that was kept often, and what is done to copies of it."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from mlr.app.cli.command import main
from mlr.training import checkpointing

RUN = ("data=moons", "epochs=3", "probes.points=20", "seed=3", "probes.figures=0")


def train(*arguments: object) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpointing, "SHARE", 1e9)  # it is kept as often as it may be
        patch.setattr("mlr.figures.record.PICTURES", ())
        patch.setattr(sys, "argv", ["scripts/train.py", *map(str, arguments)])
        return main()


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
