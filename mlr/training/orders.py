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


def order_keys(seeds: Sequence[int]) -> NDArray[np.uint64]:
    """The part of a seed's orders that does not change with the epoch (S,)."""
    return np.array([derive_seed(seed, "order") for seed in seeds], dtype=np.uint64)


def epoch_orders(keys: NDArray[np.uint64], epoch: int, count: int) -> NDArray[np.int64]:
    """Example numbers (S, count) in the order of one epoch, a permutation for each of S keys.

    Args:
        keys: from `order_keys` (S,).
        epoch: 0 or above.
        count: examples, fewer than 2³².

    Source: splitmix64 (Steele, Lea & Flood 2014) for the state of an epoch; the 32-bit
        finaliser of C. Wellons' hash prospector, applied twice, for the examples.
    """
    state = _mix64(keys + np.uint64(_GOLDEN * (epoch + 1) % 2**64))[:, None]
    first, second = (state >> np.uint64(32)).astype(np.uint32), (state & _LOW).astype(np.uint32)
    number = np.arange(count, dtype=np.uint32)
    hashed = _mix32(number * np.uint32(0x9E3779B9) ^ first)
    hashed += second
    hashed = _mix32(hashed)
    # the number rides in the low half: sorting takes a quarter of the time of an argsort
    paired = hashed.astype(np.uint64)
    paired <<= np.uint64(32)
    paired |= number
    paired.sort(axis=1)
    paired &= _LOW
    return paired.view(np.int64)


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
