"""How the values of all lanes lie in memory.

A lane is a run's place on the run axis of a program. Tensors have the logical shape
(L, B, …) everywhere; networks of a few weights want the lanes last in memory, so that
their operations are long, all others want them first.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor


def distinct(items: Sequence[Hashable]) -> tuple[list[int], list[int]]:
    """Positions of the first of each distinct item, and for each item which of these it is."""
    number: dict[Hashable, int] = {}
    first = []
    for position, item in enumerate(items):
        if item not in number:
            number[item] = len(first)
            first.append(position)
    return first, [number[item] for item in items]


class Spread:
    """From the values of G groups to those of L lanes, each lane in one group.

    One group costs nothing, lanes that are their own groups neither.
    """

    def __init__(self, group_of_lane: Sequence[int], device: torch.device) -> None:
        self.lanes = len(group_of_lane)
        self.groups = max(group_of_lane) + 1
        self.identity = list(group_of_lane) == list(range(self.lanes))
        self.index = torch.tensor(group_of_lane, device=device)

    def lanes_first(self, values: Tensor) -> Tensor:
        """Values (G, B, …) → (L, B, …)."""
        if self.groups == 1:
            return values.expand(self.lanes, *values.shape[1:])
        return values if self.identity else values.index_select(0, self.index)

    def lanes_last(self, values: Tensor) -> Tensor:
        """Values (B, D, G) in memory → (L, B, D), with the lanes last in memory."""
        if self.groups == 1:
            values = values.expand(*values.shape[:2], self.lanes)
        elif not self.identity:
            values = values.index_select(2, self.index)
        return values.permute(2, 0, 1)


def classes_first(values: Tensor) -> Tensor:
    """The same (L, B, K), with the batch last in memory: a sum over few classes is then fast."""
    return values.mT.contiguous().mT if values.shape[-1] > 1 else values
