"""The order of examples: permutations that belong to (seed, epoch) and to nothing else."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from mlr.training.background import WORTH_A_THREAD, Background
from mlr.training.orders import Orders

BUSY = [(threads, WORTH_A_THREAD) for threads in (1, 4)]


@pytest.mark.parametrize("count", [1, 2, 3, 1000, 4096, 4097])
def test_every_order_is_a_permutation(count):
    for epoch in (0, 7):
        orders = Orders(range(5), count).epoch(epoch)
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


@pytest.mark.parametrize(("threads", "gathered"), [(1, 0), (0, WORTH_A_THREAD), *BUSY])
def test_prefetching_changes_nothing(threads, gathered):
    def numbers():
        number = 0
        while True:
            assert torch.is_inference_mode_enabled()
            yield number
            number += 1

    with torch.inference_mode(), Background(threads) as background:
        items = background.ahead(numbers(), gathered)
        assert list(islice(items, 5)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("threads", "gathered"), [(1, 0), *BUSY])
def test_an_error_in_the_producer_reaches_the_consumer(threads, gathered):
    def broken():
        yield 1
        raise RuntimeError("no more")

    with Background(threads) as background:
        items = background.ahead(broken(), gathered)
        assert next(items) == 1
        with pytest.raises(RuntimeError, match="no more"):
            next(items)
