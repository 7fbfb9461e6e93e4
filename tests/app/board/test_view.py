"""The logdir and the address that the board opens, found from the folder alone."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from mlr.app.board import view as module
from mlr.app.board.view import view
from mlr.core.checks import InputError

TAGS = ("loss/train", "loss/val", "logit_grad/wrong", "stuck/fraction")
CLOCK = iter(range(1_000_000_000, 2_000_000_000))


def run(folder: Path, tags: tuple[str, ...] = TAGS) -> None:
    """Leave what a run leaves, in the order of the calls."""
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text(",".join(("step", "epoch", *tags)) + "\n")
    (folder / "status.json").write_text("{}")
    os.utime(folder / "status.json", (now := next(CLOCK), now))


def sweep(folder: Path, *names: str) -> None:
    for name in names:
        run(folder / name)
    (folder / "runs.csv").write_text("run,status\n" + "".join(f'"{name}",done\n' for name in names))
    os.utime(folder / "runs.csv", (now := next(CLOCK), now))


def settings(place: Path) -> tuple[dict[str, str], str]:
    """The settings of the address, and the pattern of the runs ticked on the older pages."""
    address = urlsplit("http://localhost/" + view(place).link())
    assert address.fragment.startswith("timeseries")
    query = {name: value for name, (value,) in parse_qs(address.query).items()}
    return query, parse_qs(address.fragment).get("regexInput", [""])[0]


def pinned(place: Path) -> list[str]:
    return [card["tag"] for card in json.loads(settings(place)[0]["pinnedCards"])]


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="nowhere is not a folder"):
        view(tmp_path / "nowhere")


def test_what_is_pinned_is_what_the_runs_record_now(tmp_path):
    shown = view(tmp_path)
    assert "pinnedCards=%5B%5D" in shown.link()
    run(tmp_path / "a", ("loss/val", "x"))
    assert pinned(tmp_path) == ["loss/val"]
    run(tmp_path / "b")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "status.json").write_text("{}")  # it has recorded nothing yet
    assert pinned(tmp_path) == ["logit_grad/wrong", "stuck/fraction", "loss/val"]


def test_colours_are_of_what_the_folder_holds(tmp_path):
    sweep(tmp_path / "one", "sigmoid+se,seed=0", "sigmoid+bce,seed=0")
    assert settings(tmp_path)[0]["runColorGroup"] == r"regex:(\w+\+\w+|^[^+]+$)"
    sweep(tmp_path / "two", "lr=1,seed=0", "lr=2,seed=0")
    assert "seed=" in settings(tmp_path / "two")[0]["runColorGroup"]
    assert settings(tmp_path / "two" / "lr=1,seed=0")[0]["runColorGroup"] == "run"


def test_of_many_runs_the_older_pages_tick_those_of_the_first_seed(tmp_path):
    names = [f"lr={rate},seed={seed}" for seed in (7, 3, 77) for rate in range(20)]
    sweep(tmp_path / "it", *names)
    pattern = settings(tmp_path / "it")[1]
    assert [name for name in names if re.search(pattern, name)] == names[:20]
    assert not re.search(pattern, "lr=1,data.seed=7")
    (tmp_path / "it" / "runs.csv").write_text("")  # while it is at work
    assert settings(tmp_path / "it")[1].startswith("(^|[,/])seed=")


def test_of_many_sweeps_the_older_pages_tick_the_newest(tmp_path):
    sweep(tmp_path / "b.1", *(f"seed={seed}" for seed in range(30)))
    sweep(tmp_path / "a.1", *(f"seed={seed}" for seed in range(30)))
    pattern = settings(tmp_path)[1]
    assert re.search(pattern, "a.1/seed=4")
    assert not re.search(pattern, "b.1/seed=4")
    assert not re.search(pattern, "a.12/seed=4")
    run(tmp_path / "c")
    assert re.search(settings(tmp_path)[1], "c")


def test_few_runs_need_no_ticks(tmp_path):
    sweep(tmp_path / "it", *(f"seed={seed}" for seed in range(40)))
    assert settings(tmp_path / "it")[1] == ""


def test_the_summary_of_a_big_sweep_is_what_opens(tmp_path):
    sweep(tmp_path, *(f"{pair},seed=0" for pair in ("sigmoid+se", "sigmoid+bce")))
    for name in ("best/sigmoid+se", "best/sigmoid+bce", "all/sigmoid+se", "all/sigmoid+bce"):
        (tmp_path / "summary" / name).mkdir(parents=True)
    shown = view(tmp_path)
    assert shown.folder == tmp_path / "summary"
    assert "means over seeds" in shown.hint
    query, ticked = settings(tmp_path)
    assert (query["runFilter"], ticked) == ("^best/", "^best/")
    assert pinned(tmp_path) == ["logit_grad/wrong", "stuck/fraction", "loss/val"]
    assert view(tmp_path, every=True) == (tmp_path, "")


def test_of_more_runs_than_one_page_shows_the_newest_open(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_SHOWN", 5)
    sweep(tmp_path / "old", *(f"seed={seed}" for seed in range(4)))
    assert view(tmp_path).folder == tmp_path
    sweep(tmp_path / "new", *(f"seed={seed}" for seed in range(2)))
    shown = view(tmp_path)
    assert shown.folder == tmp_path / "new"
    assert "the newest of 6 runs" in shown.hint
    assert "--all" in shown.hint
    assert view(tmp_path, every=True).folder == tmp_path
    (tmp_path / "new" / "summary" / "lr=1").mkdir(parents=True)
    assert view(tmp_path).folder == tmp_path / "new" / "summary"
