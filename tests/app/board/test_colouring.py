"""Lines of TensorBoard are coloured by what varies, as its own page groups runs by the pattern."""

from __future__ import annotations

import json
import re

import pytest

from mlr.app.board.run_selection import COLOURS, colouring


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
