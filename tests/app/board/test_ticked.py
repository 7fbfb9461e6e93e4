"""Which runs TensorBoard is asked to tick, by literal names."""

from __future__ import annotations

import itertools
import re
from collections import Counter

import pytest

from mlr.app.board.run_selection import ticked


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
