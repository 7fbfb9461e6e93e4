"""Pairs of float64 hold about twice the digits, of any size, and sums of many terms too."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch

from mlr.objectives.twofold import (
    Pair,
    exp_and_expm1,
    log,
    log1p,
    power_of_two,
    times_power,
    total,
    value,
)
from tests.objectives.mp_reference import mp, mpf


def exactly(pair: Pair) -> list[mpf]:
    parts = (pair.hi.tolist(), pair.lo.tolist(), pair.exponent.tolist())
    return [
        mp.ldexp(mpf(a) + mpf(b), int(e)) if a else mpf(0) for a, b, e in zip(*parts, strict=True)
    ]


def drawn(count: int = 400, low: float = -12, high: float = 2.8, sign: float = -1) -> torch.Tensor:
    rng = random.Random(0)
    rows = [sign * (10 ** rng.uniform(low, high)) for _ in range(count)]
    return torch.tensor(rows, dtype=torch.float64)


def held_to(bits: int, got: Pair, true: Callable[[mpf], mpf], x: torch.Tensor) -> None:
    for found, one in zip(exactly(got), x.tolist(), strict=True):
        wanted = true(mpf(one))
        assert abs(found - wanted) <= abs(wanted) * mpf(2) ** -bits, one


def test_powers_of_two_are_exact():
    exponent = torch.arange(-1022, 1024, dtype=torch.float64)
    assert power_of_two(exponent).tolist() == [2.0 ** int(e) for e in exponent]
    ones = torch.full((2600,), 1 + 2.0**-52, dtype=torch.float64)
    whole = torch.arange(-1300, 1300, dtype=torch.float64)
    expected = [
        float(mp.ldexp(mpf(1 + 2.0**-52), int(e))) if e < 1024 else float("inf") for e in whole
    ]
    assert times_power(ones, whole).tolist() == expected


@pytest.mark.parametrize("x", [5e-324, -3e-320, 2.0**-1022, 1e-300, 0.0, -0.75, 1e20, 1.7e308])
def test_a_number_of_any_size_is_held_exactly(x):
    pair = Pair.of(torch.tensor([x], dtype=torch.float64))
    assert value(pair).item() == x
    assert exactly(pair) == [mpf(x)]


def test_exp_and_expm1_to_their_bits():
    x = torch.cat([drawn(), -drawn(), drawn(low=-320, high=-300), drawn(low=-30, high=3.3)])
    e, e_less_1 = exp_and_expm1(Pair.of(x))
    held_to(66, e, mp.exp, x)
    held_to(59, e_less_1, mp.expm1, x)


def test_exp_of_a_pair_sees_its_rest():
    x = drawn(low=-3)
    third = Pair.of(x) / Pair.of(torch.full_like(x, 3.0))
    held_to(66, exp_and_expm1(third)[0], lambda one: mp.exp(one / 3), x)


def test_exp_ends_far_below_what_float64_holds():
    e, _ = exp_and_expm1(Pair.of(torch.tensor([0.0, -1e20]).double()))
    assert value(e).tolist() == [1.0, 0.0]
    assert value(e * e).tolist() == [1.0, 0.0]


def test_logarithms_to_their_bits():
    # 60 bits: the digits beyond come from expm1
    above = torch.cat([drawn(sign=1), drawn(low=-300, high=308, sign=1), 1 + drawn(low=-16, high=0)])
    above = above[above > 0]
    held_to(58, log(Pair.of(above)), mp.log, above)
    near = torch.cat([drawn(low=-320, high=100, sign=1), drawn(low=-320, high=-0.01)])
    held_to(58, log1p(Pair.of(near)), mp.log1p, near)


def test_arithmetic_to_a_hundred_bits():
    a, b = drawn(), drawn().flip(0)
    ratio = Pair.of(a) / Pair.of(b)
    for got, x, y in zip(exactly(ratio), a.tolist(), b.tolist(), strict=True):
        assert abs(got - mpf(x) / mpf(y)) <= abs(got) * mpf(2) ** -98
    for got, x, y in zip(exactly(ratio * b - a), a.tolist(), b.tolist(), strict=True):
        assert abs(got) <= abs(mpf(x)) * mpf(2) ** -96, y


def test_what_vanishes_leaves_room_for_the_smallest():
    tiny = exp_and_expm1(Pair.of(torch.tensor([-900.0]).double()))[0]
    one = Pair.of(torch.ones(1).double())
    assert exactly((one - 1.0) + tiny) == exactly(tiny)
    assert exactly(one - one * 1.0) == [0]


def test_total_of_an_odd_number_of_terms():
    x = drawn(37)
    summed = total(Pair.of(x[None]))
    true = sum(mpf(one) for one in x.tolist())
    first = Pair(summed.hi[0], summed.lo[0], summed.exponent[0])
    assert abs(exactly(first)[0] - true) <= abs(true) * mpf(2) ** -98
