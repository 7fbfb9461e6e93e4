"""Pairs of float64 hold about twice the digits, and sums of many terms too."""

from __future__ import annotations

import random

import torch

from mlr.objectives.twofold import Pair, exp_and_expm1, total
from tests.objectives.mp_reference import mp, mpf


def exactly(pair: Pair) -> list[mpf]:
    return [mpf(a) + mpf(b) for a, b in zip(pair.hi.tolist(), pair.lo.tolist(), strict=True)]


def drawn(count: int = 400) -> torch.Tensor:
    rng = random.Random(0)
    rows = [-(10 ** rng.uniform(-12, 2.8)) for _ in range(count)]
    return torch.tensor(rows, dtype=torch.float64)


def test_exp_and_expm1_to_their_bits():
    x = drawn()
    for pair, function, bits in zip(
        exp_and_expm1(Pair.of(x)), (mp.exp, mp.expm1), (66, 59), strict=True
    ):
        for got, one in zip(exactly(pair), x.tolist(), strict=True):
            true = function(mpf(one))
            assert abs(got - true) <= abs(true) * mpf(2) ** -bits


def test_exp_ends_at_zero_and_keeps_nan():
    e, _ = exp_and_expm1(Pair.of(torch.tensor([0.0, -1e20, -torch.inf, torch.nan]).double()))
    assert e.hi[:3].tolist() == [1.0, 0.0, 0.0]
    assert e.hi[3].isnan()


def test_arithmetic_to_a_hundred_bits():
    a, b = drawn(), drawn().flip(0)
    ratio = Pair.of(a) / Pair.of(b)
    for got, x, y in zip(exactly(ratio), a.tolist(), b.tolist(), strict=True):
        assert abs(got - mpf(x) / mpf(y)) <= abs(got) * mpf(2) ** -98
    for got, x, y in zip(exactly(ratio * b - a), a.tolist(), b.tolist(), strict=True):
        assert abs(got) <= abs(mpf(x)) * mpf(2) ** -96, y


def test_total_of_an_odd_number_of_terms():
    x = drawn(37)
    summed = total(Pair.of(x[None]))
    true = sum(mpf(one) for one in x.tolist())
    assert abs(exactly(Pair(summed.hi[0], summed.lo[0]))[0] - true) <= abs(true) * mpf(2) ** -98
