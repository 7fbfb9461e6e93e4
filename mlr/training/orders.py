"""The order of the examples in each epoch: a pure function of (seed, epoch), many at once.

Each example gets a key that hashes (seed, epoch, its number); the order is that of the keys.
The hash is a bijection, so no two keys are equal and every run has an order of its own,
whatever runs are drawn beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlr.seeds import derive_seed

_GOLDEN = 0x9E3779B97F4A7C15
_LOW = np.uint64(0xFFFFFFFF)
_BLOCK = 1 << 15


class Orders:
    """The orders of S seeds.

    Args:
        seeds: any numbers.
        count: examples, fewer than 2³².

    Source: splitmix64 (Steele, Lea & Flood 2014) for seeds and epochs; the 32-bit finaliser
        of C. Wellons' hash prospector, twice, for the examples.
    """

    def __init__(self, seeds: Sequence[int], count: int) -> None:
        self.count = count
        self.keys = np.array([derive_seed(seed, "order") for seed in seeds], dtype=np.uint64)
        numbers = np.arange(count, dtype=np.uint32)
        spread = numbers * np.uint32(0x9E3779B9)
        self.numbers = numbers.astype(np.uint64)
        self.hashed = np.stack([_mix32(spread ^ low) for low in _halves(_mix64(self.keys))[0]])

    def epoch(self, epoch: int) -> NDArray[np.int64]:
        """Example numbers (S, count), a permutation for each seed; `epoch` from 0."""
        state = _mix64(self.keys + np.uint64(_GOLDEN * (epoch + 1) % 2**64))
        shifts = _halves(state)[1][:, None]
        order = np.empty(self.hashed.shape, dtype=np.uint64)
        rows = max(1, _BLOCK // self.count)
        for start in range(0, len(order), rows):  # a block stays in cache
            block = slice(start, start + rows)
            keys = order[block]
            np.copyto(keys, _mix32(self.hashed[block] + shifts[block]))
            # the number rides in the low half: sorting takes a quarter of the time of an argsort
            keys <<= np.uint64(32)
            keys |= self.numbers
            keys.sort(axis=1)
            keys &= _LOW
        return order.view(np.int64)


def _halves(states: NDArray[np.uint64]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    return (states & _LOW).astype(np.uint32), (states >> np.uint64(32)).astype(np.uint32)


def _mix64(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _mix32(x: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """In place; a bijection of 32 bits."""
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x21F0AAAD)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x735A2D97)
    x ^= x >> np.uint32(15)
    return x
