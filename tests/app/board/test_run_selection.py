"""Choices in TensorBoard's address for many runs, as TensorBoard 2.21 takes them."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter

import pytest

from mlr.app.board.run_selection import COLOURS, PINNED, colouring, pinned_pictures, ticked
from tests.records.written import write_pictures

TAG = "figure/course"


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


def test_pairs_have_one_colour_each_whatever_else_varies():
    names = [
        f"sigmoid+{loss},lr={lr},seed={s}"
        for loss in ("se", "bce")
        for lr in (1, 2)
        for s in (0, 1)
    ]
    assert groups(names) == [names[:4], names[4:]]


@pytest.mark.parametrize(
    "names",
    [
        ["lr=0.1,seed=0", "lr=0.1,seed=1", "lr=1,seed=0", "lr=1,seed=1"],
        ["seed=0,lr=0.1", "seed=1,lr=0.1", "seed=0,lr=1", "seed=1,lr=1"],
        ["a/b+c,lr=0.1,seed=10", "a/b+c,lr=0.1,seed=2", "a/b+c,lr=1,seed=10", "a/b+c,lr=1,seed=2"],
        ["data.seed=1,seed=0", "data.seed=1,seed=1", "data.seed=2,seed=0", "data.seed=2,seed=1"],
    ],
)
def test_of_one_pair_the_colour_is_what_varies_but_the_seed(names):
    assert groups(names) == [names[:2], names[2:]]


@pytest.mark.parametrize(
    "names", [["seed=0", "seed=1", "seed=2"], ["softmax+ce,seed=0", "softmax+ce,seed=1"], ["."], []]
)
def test_where_the_seed_alone_varies_each_run_has_its_own(names):
    assert groups(names) == [[name] for name in names]


def test_of_more_cells_than_colours_one_option_is_chosen():
    names = [
        f"model.widths=[{width},{width}],lr={rate},seed=0"
        for width in (8, 16, 32)
        for rate in range(COLOURS + 1)
    ]
    assert groups(names) == [names[:8], names[8:16], names[16:]]


@pytest.mark.parametrize("end", ["", ",seed=0", ",seed=1"])
def test_of_one_option_with_too_many_values_each_run_has_its_own(end):
    names = [f"lr={rate}{other}" for rate in range(COLOURS + 1) for other in {end, ",seed=0"}]
    assert groups(names) == [[name] for name in names]


def sweep(pairs: int, rates: int, seeds: int) -> list[str]:
    cells = itertools.product(range(pairs), range(rates), range(7, 7 + seeds))
    return [f"s/a+b{pair},lr=1e-{rate},seed={seed}" for pair, rate, seed in cells]


def chosen(names: list[str]) -> list[str]:
    pattern = ticked(names)
    return [name for name in names if re.search(pattern, name)]


@pytest.mark.parametrize(
    ("names", "count"),
    [(sweep(2, 2, 11), 4), (sweep(1, 1, 500), 1), (sweep(10, 4, 2), 40)],
)
def test_of_many_runs_those_of_the_lowest_seed(names, count):
    assert ticked(names) == "(^|[,/])seed=7(,|$)"
    assert len(chosen(names)) == count


def test_of_a_seed_that_is_known_to_be_the_first():
    names = sweep(2, 2, 11)
    assert [name for name in names if re.search(ticked(names, "9"), name)] == names[2::11]
    assert len(chosen(sweep(1, 1, 50))) == 1
    assert re.fullmatch(r"\^\(.*\)\$", ticked(names, "nowhere"))


def test_a_seed_of_the_data_is_another_one():
    names = [f"a+b,data.seed=0,seed={seed}" for seed in range(1, 50)]
    assert chosen([*names, "a+b,data.seed=0"]) == ["a+b,data.seed=0,seed=1"]


@pytest.mark.parametrize(
    "names",
    [
        sweep(3, 20, 2),
        [f"2026-11-29/12-00-{number}-a+b{number % 3}-0c.[(" for number in range(99)],
        [f"a+b,lr={rate},seed=0" for rate in range(50)],
        list(map(str, range(50))),
    ],
)
def test_never_more_than_tensorboard_ticks_and_some_of_each_pair(names):
    found = chosen(names)
    assert len(found) == 40
    pairs = Counter(pair[0] for name in found if (pair := re.search(r"a\+b\d", name)))
    assert sorted(pairs.values()) in ([], [13, 13, 14])


def test_of_few_runs_all_are_ticked():
    assert ticked(sweep(2, 2, 10)) is None


def test_a_card_names_picture_and_run(tmp_path):
    (tmp_path / "s").mkdir()
    write_pictures(tmp_path / "s" / "a+b,lr=0.1,seed=0", "figure/weights", TAG)
    (run,) = (tmp_path / "s").iterdir()
    name = "defaultExperimentId/s/a+b,lr=0.1,seed=0"
    expected = {"plugin": "images", "tag": "figure/course", "runId": name, "sample": 0}
    assert pinned_pictures(tmp_path, [run], TAG) == [expected]
    assert pinned_pictures(run, [run], TAG) == [expected | {"runId": "defaultExperimentId/."}]


def test_the_first_runs_that_have_it_are_pinned(tmp_path):
    runs = [tmp_path / f"{number}" for number in range(8)]
    write_pictures(runs[5], "figure/weights")
    for number in (7, 6, 4, 3, 2):
        write_pictures(runs[number], TAG)
    pinned = pinned_pictures(tmp_path, [*runs[::-1], tmp_path / "nowhere"], TAG)
    assert [card["runId"][-1] for card in pinned] == ["7", "6", "4", "3"]
    assert len(pinned) == PINNED


@pytest.mark.parametrize("content", [b"", b"figure/weights"])
def test_without_the_picture_there_is_no_card(tmp_path, content):
    (tmp_path / "events.out.tfevents.1").write_bytes(content)
    assert pinned_pictures(tmp_path, [tmp_path], TAG) == []
