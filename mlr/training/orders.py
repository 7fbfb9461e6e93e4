"""The order of the examples in each epoch: a pure function of (seed, epoch), many at once.

Each example gets a key that hashes (seed, epoch, its number); the order is that of the keys,
whatever seeds are drawn beside it. The hash is a bijection of 32 bits, so no two keys are equal;
of few examples it is cut to 20 bits and more, and the number behind it parts equal ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mlr.seeds import derive_seed

_GOLDEN = 0x9E3779B97F4A7C15
_LOW = np.uint64(0xFFFFFFFF)
_BLOCK = 1 << 19
_FEW = 1 << 12


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
        spread = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B9)
        low = _halves(_mix64(self.keys))[0][:, None]
        rows = min(len(seeds), max(1, _BLOCK // count))
        self.spare = np.empty((rows, count), dtype=np.uint32)
        self.hashed = np.empty((len(seeds), count), dtype=np.uint32)
        for block in self._blocks():
            np.bitwise_xor(spread, low[block], out=self.hashed[block])
            self._mix32(self.hashed[block])
        # few examples: hash and number share 32 bits, which are sorted twice as fast as 64
        kind = np.uint32 if count <= _FEW else np.uint64
        self.shift = (count - 1).bit_length() if kind is np.uint32 else 32
        self.numbers: NDArray[np.unsignedinteger] = np.arange(count).astype(kind)
        self.order = np.empty((len(seeds), count), dtype=np.int64)
        self.mixed = np.empty((rows, count), dtype=np.uint32)

    def epoch(self, epoch: int) -> NDArray[np.int64]:
        """Example numbers (S, count), a permutation for each seed, valid until the next call."""
        state = _mix64(self.keys + np.uint64(_GOLDEN * (epoch + 1) % 2**64))
        shifts = _halves(state)[1][:, None]
        mask = (1 << self.shift) - 1
        for block in self._blocks():
            hashed = self.mixed[: len(shifts[block])]
            np.add(self.hashed[block], shifts[block], out=hashed)
            self._mix32(hashed)
            # the number rides in the low bits: sorting takes a quarter of the time of an argsort
            keys: NDArray[np.unsignedinteger] = hashed
            if self.shift == 32:
                keys = hashed.astype(np.uint64) << np.uint64(32)
            else:
                np.bitwise_and(hashed, np.uint32(~mask & 0xFFFFFFFF), out=hashed)
            np.bitwise_or(keys, self.numbers, out=keys)
            keys.sort(axis=1)
            np.bitwise_and(keys, keys.dtype.type(mask), out=self.order[block], casting="unsafe")
        return self.order

    def _blocks(self) -> Iterator[slice]:
        """A few seeds at a time: enough for long operations, few enough for cache."""
        rows = len(self.spare)
        return (slice(start, start + rows) for start in range(0, len(self.keys), rows))

    def _mix32(self, x: NDArray[np.uint32]) -> None:
        """A bijection of 32 bits, in place."""
        y = self.spare[: len(x)]
        for bits, factor in ((16, 0x21F0AAAD), (15, 0x735A2D97)):
            np.right_shift(x, np.uint32(bits), out=y)
            x ^= y
            x *= np.uint32(factor)
        np.right_shift(x, np.uint32(15), out=y)
        x ^= y


def _halves(states: NDArray[np.uint64]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    return (states & _LOW).astype(np.uint32), (states >> np.uint64(32)).astype(np.uint32)


def _mix64(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
