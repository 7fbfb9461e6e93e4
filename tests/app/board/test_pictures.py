"""The board pins the course of the newest runs, and never ticks more than TensorBoard shows."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from mlr.app.board.view import view
from tests.records.written import write_pictures

COURSE = "figure/course"
CLOCK = iter(range(1_000_000_000, 2_000_000_000))


def sweep(folder: Path, *names: str, drawn: tuple[str, ...] = ()) -> None:
    """Leave what a sweep leaves, its jobs in this order."""
    folder.mkdir(parents=True)
    for name in names:
        write_pictures(folder / name, *([COURSE] if name in drawn else []))
        (folder / name / "metrics.csv").write_text("step,epoch,loss/val\n")
        (folder / name / "status.json").write_text("{}")
    (folder / "runs.csv").write_text("run,status\n" + "".join(f'"{name}",done\n' for name in names))
    os.utime(folder / "runs.csv", (now := next(CLOCK), now))


def address(place: Path):
    return urlsplit("http://localhost/" + view(place).link())


def pinned(place: Path) -> list[str]:
    """Of pictures the runs, of charts the tags."""
    cards = json.loads(parse_qs(address(place).query)["pinnedCards"][0])
    assert all(card["tag"] == COURSE for card in cards if "runId" in card)
    return [card.get("runId", card["tag"]).removeprefix("defaultExperimentId/") for card in cards]


def ticked(place: Path, names: list[str]) -> list[str]:
    pattern = parse_qs(address(place).fragment)["regexInput"][0]
    return [name for name in names if re.search(pattern, name)]


def test_the_newest_courses_are_on_top_in_the_order_of_their_jobs(tmp_path):
    sweep(tmp_path / "z", "a+b,seed=0", drawn=("a+b,seed=0",))
    names = ("z+se,seed=1", "z+se,seed=0", "a+se,seed=1", "a+se,seed=0")
    sweep(tmp_path / "a", *names, drawn=(names[2], names[0]))
    assert pinned(tmp_path) == ["a/z+se,seed=1", "a/a+se,seed=1", "loss/val"]
    assert pinned(tmp_path / "a") == ["z+se,seed=1", "a+se,seed=1", "loss/val"]
    assert pinned(tmp_path / "z" / "a+b,seed=0") == [".", "loss/val"]


def test_without_pictures_the_charts_are_pinned(tmp_path):
    sweep(tmp_path / "a", "a+b,seed=0")
    assert pinned(tmp_path) == ["loss/val"]
    (tmp_path / "nothing").mkdir()
    assert pinned(tmp_path / "nothing") == []


def test_no_more_are_ticked_than_tensorboard_shows(tmp_path):
    names = [f"a+b,lr={rate}" for rate in range(50)]
    sweep(tmp_path / "a", *names)
    assert len(ticked(tmp_path / "a", names)) == 40
    names = [f"a+b,lr={rate},seed={seed}" for rate in range(20) for seed in (7, 3, 5)]
    sweep(tmp_path / "b", *names)
    inside = [f"b/{name}" for name in names]
    assert ticked(tmp_path, inside) == inside[::3]  # of the first job's seed
    assert ticked(tmp_path / "b", names) == names[::3]
