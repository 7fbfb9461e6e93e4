"""Memory that is used again: new memory costs more than what is put into it."""

from __future__ import annotations

from collections import deque
from math import prod

from torch import Tensor


class Buffers:
    """Named tensors in several sets by turns: one is filled while others are still read.

    Args:
        like: of the type and on the device that all of them have.
        sets: how many.
    """

    def __init__(self, like: Tensor, sets: int) -> None:
        self.like = like
        self.sets: deque[dict[str, Tensor]] = deque({} for _ in range(sets))

    def turn(self) -> None:
        """Change to the next set; what was in it is over."""
        self.sets.rotate()

    def take(self, name: str, *shape: int) -> Tensor:
        """An uninitialised tensor; one of this name had its memory as many turns ago."""
        size, memory = prod(shape), self.sets[0].get(name)
        if memory is None or len(memory) < size:
            memory = self.sets[0][name] = self.like.new_empty(size)
        return memory[:size].view(shape)
