"""Shared by tests of sweeps: fast lines, tables, and a record of what was trained."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

FAST = ("data=blobs", "data.seed=0", "epochs=1", "head=sigmoid", "loss=bce")


def sweep_folder(finished) -> Path:
    (table,) = finished.folder.rglob("runs.csv")
    return table.parent


def rows(finished) -> list[dict[str, str]]:
    with (sweep_folder(finished) / "runs.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def statuses(finished) -> dict[str, str]:
    """By seed, as the table has it."""
    return {row["seed"]: row["status"] for row in rows(finished)}


def on_disk(folder: Path) -> dict[str, str]:
    found = [json.loads(path.read_text()) for path in folder.rglob("status.json")]
    return {str(status["seed"]): status["status"] for status in found}


class Trained:
    """Seeds of each batch that was trained, and what is to go wrong in it."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.wrong = lambda seeds: None


@pytest.fixture
def trained(monkeypatch) -> Trained:
    from mlr.app.run import lifecycle

    seen, real = Trained(), lifecycle.train

    def train(experiments, recorders, progress, snapshots, policy):
        seeds = [experiment.seed for experiment in experiments]
        seen.batches.append(seeds)
        error = seen.wrong(seeds)
        if error is not None:
            raise error
        return real(experiments, recorders, progress, snapshots, policy)

    monkeypatch.setattr(lifecycle, "train", train)
    return seen
