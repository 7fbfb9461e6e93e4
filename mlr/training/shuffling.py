"""Shuffle the examples of each epoch: a pure function of (seed, epoch), for many seeds at once.

A bijection of the numbers below a power of 2, keyed by (seed, epoch), gives the order; numbers
above the count of examples are left out. It takes a fifth of the time of sorting random keys, and
an order does not depend on the other seeds. Without shuffling the order is that of the data.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlr.core.seeds import derive_seed

_GOLDEN = 0x9E3779B97F4A7C15
_BLOCK = 1 << 17
"""Numbers that are mixed at a time, which fit into the cache."""
_ROUNDS = 6
"""With 4, neighbours in an order are slightly similar; with 6 no test finds a difference."""
_LEAST_BITS = 8
"""In a smaller domain not all orders of a few examples are equally likely."""


class Orders:
    """Shuffled orders of S seeds.

    Args:
        seeds: any numbers.
        count: examples, fewer than 2³².

    Source: the bijection and leaving out, Mitchell, Stokes, Frank & Holmes, Bandwidth-Optimal
        Random Shuffling for GPUs, 2021; its rounds, multiplication and xorshift, are those of
        Kensler, Correlated Multi-Jittered Sampling, 2013; keys by splitmix64 (Steele, Lea &
        Flood 2014).
    """

    def __init__(self, seeds: Sequence[int], count: int) -> None:
        self.count = count
        self.keys = np.array([derive_seed(seed, "order") for seed in seeds], dtype=np.uint64)
        self.bits = max(_LEAST_BITS, (count - 1).bit_length())
        self.kind: type[np.unsignedinteger] = np.uint16 if self.bits <= 16 else np.uint32
        self.numbers: NDArray[np.unsignedinteger] = np.arange(1 << self.bits).astype(self.kind)
        rows = min(len(seeds), max(1, _BLOCK >> self.bits))
        self.mixed = np.empty((rows, 1 << self.bits), dtype=self.kind)
        self.spare = np.empty_like(self.mixed)
        self.order = np.empty((len(seeds), count), dtype=self.kind)

    def epoch(self, epoch: int) -> NDArray[np.unsignedinteger]:
        """Return example numbers (S, count), a permutation per seed, valid until the next call."""
        state = _mix64(self.keys + np.uint64(_GOLDEN * (epoch + 1) % 2**64))
        steps = np.arange(1, _ROUNDS + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
        words = _mix64(state + steps[:, None])[..., None]
        factors, summands = (words | np.uint64(1)).astype(self.kind), (words >> np.uint64(32))
        summands = summands.astype(self.kind)
        rows = len(self.mixed)
        for start in range(0, len(self.keys), rows):
            block = slice(start, start + rows)
            numbers = self._bijection(factors[:, block], summands[:, block])
            self.order[block].reshape(-1)[:] = numbers[numbers < self.count]
        return self.order

    def _bijection(
        self, factors: NDArray[np.unsignedinteger], summands: NDArray[np.unsignedinteger]
    ) -> NDArray[np.unsignedinteger]:
        """Mix all numbers below 2^bits (S, 2^bits) by the factors and summands of each round."""
        x, y = self.mixed[: factors.shape[1]], self.spare[: factors.shape[1]]
        mask, half = self.kind((1 << self.bits) - 1), self.kind((self.bits + 1) // 2)
        before = self.numbers
        for factor, summand in zip(factors, summands, strict=True):
            np.multiply(before, factor, out=x)
            x += summand
            x &= mask
            np.right_shift(x, half, out=y)
            x ^= y
            before = x
        return x


class Given:
    """The order of the data, for all S seeds and every epoch."""

    def __init__(self, seeds: Sequence[int], count: int) -> None:
        self.order = np.broadcast_to(np.arange(count, dtype=np.uint32), (len(seeds), count))

    def epoch(self, epoch: int) -> NDArray[np.unsignedinteger]:
        """Return example numbers (S, count), in order."""
        return self.order


def orders_of(shuffle: bool, seeds: Sequence[int], count: int) -> Orders | Given:
    """Make the orders of S seeds, shuffled or as given."""
    return Orders(seeds, count) if shuffle else Given(seeds, count)


def _mix64(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
