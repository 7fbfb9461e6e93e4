"""How the values of all lanes lie in memory.

A lane is a run's place on the run axis of a program. Inputs, logits and targets have the
shape (L, B, …) wherever they are read; networks of a few weights want them to lie in
memory as (…, B, L), so that their operations are long, all others with the lanes first.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor


def distinct(items: Sequence[Hashable]) -> tuple[list[int], list[int]]:
    """Positions of the first of each distinct item, and for each item which of these it is."""
    number: dict[Hashable, int] = {}
    first: list[int] = []
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
        """Values (D, B, G) → (D, B, L), the lanes last in memory."""
        if self.groups == 1:
            return values.expand(*values.shape[:2], self.lanes)
        return values if self.identity else values.index_select(2, self.index)


def stacked(tensors: Sequence[Tensor], axes: Sequence[int]) -> Tensor:
    """P tensors (L, B, K) as (P, L, B, K), each of them with its axes in this order in memory."""
    back = [1 + axes.index(axis) for axis in range(3)]
    return torch.stack([tensor.permute(*axes) for tensor in tensors]).permute(0, *back)


def classes_first(values: Tensor) -> Tensor:
    """The same (L, B, K), with the batch last in memory: a sum over few classes is then fast."""
    return values.mT.contiguous().mT
