"""The logdir and the address that the board opens, as TensorBoard 2.21 takes it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from mlr.app.board import view as module
from mlr.app.board.view import COURSE, PINNED, colouring, ticked, view
from mlr.core.checks import InputError
from tests.records.written import write_pictures

TAGS = ("loss/train", "loss/val", "logit_grad/wrong", "stuck/fraction")
CHARTS = ["logit_grad/wrong", "stuck/fraction", "loss/val"]
CLOCK = iter(range(1_000_000_000, 2_000_000_000))


def run(folder: Path, tags: tuple[str, ...] = TAGS, drawn: bool = False) -> None:
    """Leave what a run leaves, in the order of the calls."""
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text(",".join(("step", "epoch", *tags)) + "\n")
    (folder / "status.json").write_text("{}")
    write_pictures(folder, "figure/weights", *([COURSE] if drawn else []))
    os.utime(folder / "status.json", (now := next(CLOCK), now))


def sweep(folder: Path, *names: str, drawn: tuple[str, ...] = ()) -> None:
    for name in names:
        run(folder / name, drawn=name in drawn)
    (folder / "runs.csv").write_text("run,status\n" + "".join(f'"{name}",done\n' for name in names))
    os.utime(folder / "runs.csv", (now := next(CLOCK), now))


def settings(place: Path) -> tuple[dict[str, str], str]:
    """The settings of the address, and the pattern of the runs ticked on the older pages."""
    address = urlsplit("http://localhost/" + view(place).link())
    assert address.fragment.startswith("timeseries")
    query = {name: value for name, (value,) in parse_qs(address.query).items()}
    return query, parse_qs(address.fragment).get("regexInput", [""])[0]


def pinned(place: Path) -> list[str]:
    """Of pictures the runs, of charts the tags."""
    cards = json.loads(settings(place)[0]["pinnedCards"])
    assert all(card["tag"] == COURSE for card in cards if "runId" in card)
    return [card.get("runId", card["tag"]).removeprefix("defaultExperimentId/") for card in cards]


def groups(names: list[str]) -> list[list[str]]:
    """Names of one colour each, as TensorBoard groups them: by all that the pattern captures."""
    colour = colouring(names)
    if colour == "run":
        return [[name] for name in names]
    pattern = re.compile(colour.removeprefix("regex:"))
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(json.dumps(pattern.search(name).groups()), []).append(name)
    return list(found.values())


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
    assert pinned(tmp_path) == CHARTS


def test_the_newest_courses_are_on_top(tmp_path):
    sweep(tmp_path / "z", "a+b,seed=0", drawn=("a+b,seed=0",))
    names = ("z+se,seed=1", "z+se,seed=0", "a+se,seed=1", "a+se,seed=0")
    sweep(tmp_path / "a", *names, drawn=(names[2], names[0]))
    assert pinned(tmp_path) == ["a/a+se,seed=1", "a/z+se,seed=1", *CHARTS]
    assert pinned(tmp_path / "a") == ["a+se,seed=1", "z+se,seed=1", *CHARTS]
    assert pinned(tmp_path / "z" / "a+b,seed=0") == [".", *CHARTS]
    names = [f"lr={rate}" for rate in range(9)]
    sweep(tmp_path / "b", *names, drawn=tuple(names))
    assert pinned(tmp_path / "b")[: PINNED + 1] == [*names[:PINNED], CHARTS[0]]


@pytest.mark.parametrize(
    ("names", "split"),
    [
        (["a+se,lr=1", "a+se,lr=2", "a+bce,lr=1", "a+bce,lr=2"], True),
        (["lr=0.1,seed=0", "lr=0.1,seed=1", "lr=1,seed=0", "lr=1,seed=1"], True),
        (["seed=0,lr=0.1", "seed=1,lr=0.1", "seed=0,lr=1", "seed=1,lr=1"], True),
        ([f"a/b+c,lr={rate},seed={seed}" for rate in (0.1, 1) for seed in (10, 2)], True),
        ([f"data.seed={split},seed={seed}" for split in (1, 2) for seed in (0, 1)], True),
        (["seed=0", "seed=1", "seed=2", "seed=3"], False),
        (["softmax+ce,seed=0", "softmax+ce,seed=1"], False),
        (["."], False),
        ([], False),
    ],
)
def test_colours_are_of_pairs_else_of_what_varies_but_the_seed(names, split):
    assert groups(names) == ([names[:2], names[2:]] if split else [[name] for name in names])


@pytest.mark.parametrize(
    ("names", "newest", "expected"),
    [
        ([f"seed={seed}" for seed in range(40)], ".", slice(40)),
        ([f"lr={rate},seed={seed}" for seed in (3, 7, 33) for rate in range(20)], ".", slice(20)),
        ([f"{s}/seed={seed}" for s in ("a.1", "b", "a11") for seed in range(30)], "a.1", slice(30)),
        ([f"{s}/seed={seed}" for s in "ab" for seed in range(50)], "b", slice(50, 51)),
        ([f"a+b,data.seed=0,seed={seed}" for seed in range(1, 50)], ".", slice(1)),
        ([f"a+b{pair},lr={rate}" for pair in range(4) for rate in range(20)], ".", slice(0, 80, 2)),
        ([f"12-00-{number}-a+b-0c.[(" for number in range(99)], ".", slice(0, 99, 3)),
    ],
)
def test_of_many_runs_the_older_pages_tick_some(names, newest, expected):
    pattern = ticked(names, newest)
    assert (pattern is None) == (len(names) <= 40)
    assert [name for name in names if re.search(pattern or "", name)] == names[expected]


def test_the_newest_sweep_is_ticked(tmp_path):
    sweep(tmp_path / "b.1", *(f"seed={seed}" for seed in range(30)))
    sweep(tmp_path / "a.1", *(f"seed={seed}" for seed in range(30)))
    assert settings(tmp_path)[1] == r"^a\.1(/|$)"
    run(tmp_path / "c")
    assert settings(tmp_path)[1] == "^c(/|$)"


def test_the_summary_of_a_big_sweep_is_what_opens(tmp_path):
    sweep(tmp_path, *(f"{pair},seed=0" for pair in ("sigmoid+se", "sigmoid+bce")))
    for name in ("best/sigmoid+se", "best/sigmoid+bce", "all/sigmoid+se", "all/sigmoid+bce"):
        (tmp_path / "summary" / name).mkdir(parents=True)
    shown = view(tmp_path)
    assert shown.folder == tmp_path / "summary"
    assert "means over seeds" in shown.hint
    query, ticked = settings(tmp_path)
    assert (query["runFilter"], ticked) == ("^best/", "^best/")
    assert query["runColorGroup"] == r"regex:(\w+\+\w+|^[^+]+$)"
    assert pinned(tmp_path) == CHARTS
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
