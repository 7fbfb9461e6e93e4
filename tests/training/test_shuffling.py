"""The order of examples: permutations that belong to (seed, epoch) and to nothing else."""

from __future__ import annotations

from math import factorial

import numpy as np
import pytest

from mlr.training import shuffling as shuffling_module
from mlr.training.shuffling import Orders


@pytest.mark.parametrize("count", [1, 2, 3, 255, 256, 257, 1000, 65536, 65537])
def test_every_order_is_a_permutation(count):
    for epoch in (0, 7):
        orders = Orders(range(5), count).epoch(epoch)
        assert orders.shape == (5, count)
        assert (np.sort(orders, axis=1) == np.arange(count)).all()


@pytest.mark.parametrize("count", [50, 5000])
def test_an_order_hangs_on_its_seed_and_epoch_alone(count):
    alone = Orders([3], count).epoch(4)[0]
    among = Orders([*range(1200, 1800), 3, 9], count).epoch(4)
    assert (among[600] == alone).all()
    assert not (among[601] == alone).all()
    assert not (Orders([3], count).epoch(5)[0] == alone).all()


@pytest.mark.parametrize("count", [10, 5000])
def test_every_example_comes_first_equally_often(count):
    """χ² of the first place over ten groups of examples; 27.9 is exceeded once in a thousand."""
    orders = Orders(range(400), count)
    firsts = np.concatenate([orders.epoch(epoch)[:, 0].copy() for epoch in range(20)])
    counts = np.bincount(firsts * 10 // count, minlength=10)
    assert ((counts - 800) ** 2 / 800).sum() < 27.9


def test_orders_of_epochs_and_of_neighbouring_seeds_are_unrelated():
    orders = Orders(range(200), 1000)
    first, second = orders.epoch(0).copy(), orders.epoch(1)
    for one, other in [(first, second), (first[:-1], first[1:]), (first[:, :-1], first[:, 1:])]:
        # of 200,000 pairs the correlation has standard deviation 0.0022
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.01


def chi_squared(counts, expected) -> float:
    """Standard deviations by which χ² lies above its mean, for many degrees of freedom."""
    degrees = np.size(counts) - 1
    return float((((counts - expected) ** 2 / expected).sum() - degrees) / np.sqrt(2 * degrees))


@pytest.mark.parametrize("count", [3, 4, 5])
def test_every_order_of_a_few_examples_is_equally_likely(count):
    orders = Orders(range(500), count)
    codes = [orders.epoch(epoch) @ count ** np.arange(count) for epoch in range(1000)]
    _, counts = np.unique(np.concatenate(codes), return_counts=True)
    assert len(counts) == factorial(count)
    assert chi_squared(counts, 500_000 / len(counts)) < 4


@pytest.mark.parametrize("apart", [1, 2, 16, 128, 512])
def test_places_are_unrelated_even_where_the_rounds_mix_least(apart):
    """Places a power of 2 apart, in a domain that is full: of 4 rounds this shows at once."""
    orders = Orders(range(500), 1024)
    differences = [
        orders.epoch(epoch)[:, 7].astype(int) ^ orders.epoch(epoch)[:, 7 + apart]
        for epoch in range(40)
    ]
    counts = np.bincount(np.concatenate(differences), minlength=1024)
    assert counts[0] == 0
    assert chi_squared(counts[1:], 20_000 / 1023) < 4


@pytest.mark.parametrize("count", [130, 1000])
def test_neighbours_rise_and_fall_as_in_any_order(count):
    """The number of descents has mean (n − 1)/2 and variance (n + 1)/12 (Eulerian numbers)."""
    orders = Orders(range(500), count)
    drawn = np.concatenate([orders.epoch(epoch).astype(int) for epoch in range(20)])
    descents = (np.diff(drawn, axis=1) < 0).sum(axis=1)
    error = descents.mean() - (count - 1) / 2
    assert abs(error) < 4 * np.sqrt((count + 1) / 12 / len(drawn))
    assert descents.var() / ((count + 1) / 12) == pytest.approx(1, abs=4 * np.sqrt(2 / len(drawn)))


def test_many_seeds_are_computed_in_parts(monkeypatch):
    whole = Orders(range(20), 300).epoch(2).copy()
    monkeypatch.setattr(shuffling_module, "_BLOCK", 512 * 3)
    assert (Orders(range(20), 300).epoch(2) == whole).all()
