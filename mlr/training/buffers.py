"""Memory that is used again: new memory costs more than what is put into it."""

from __future__ import annotations

from math import prod

from torch import Tensor


class Buffers:
    """Named tensors in two sets by turns: one is filled while the other is still read.

    Args:
        like: of the type and on the device that all of them have.
    """

    def __init__(self, like: Tensor) -> None:
        self.like = like
        self.sets: tuple[dict[str, Tensor], dict[str, Tensor]] = ({}, {})

    def turn(self) -> None:
        """Change to the other set; what was in it is over."""
        self.sets = self.sets[::-1]

    def take(self, name: str, *shape: int) -> Tensor:
        """An uninitialised tensor; it shares its memory with the last but one of this name."""
        size, memory = prod(shape), self.sets[0].get(name)
        if memory is None or len(memory) < size:
            memory = self.sets[0][name] = self.like.new_empty(size)
        return memory[:size].view(shape)
