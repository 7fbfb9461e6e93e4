"""Memory layout of the values of all lanes.

A lane is a run's place on the run axis of a program. Inputs, logits and targets have the shape
(L, B, …). In memory, networks of a few weights have them as (…, B, L), so that their operations
are long; all others have the lanes first.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor


def distinct(items: Sequence[Hashable]) -> tuple[list[int], list[int]]:
    """Find the position of each distinct item, and for each item the number of its value."""
    number: dict[Hashable, int] = {}
    first: list[int] = []
    for position, item in enumerate(items):
        if item not in number:
            number[item] = len(first)
            first.append(position)
    return first, [number[item] for item in items]


class Spread:
    """Expansion of the values of G groups to L lanes, each lane in one group.

    It costs nothing for one group, or if each lane is its own group.
    """

    def __init__(self, group_of_lane: Sequence[int], device: torch.device) -> None:
        self.lanes = len(group_of_lane)
        self.groups = max(group_of_lane) + 1
        self.identity = list(group_of_lane) == list(range(self.lanes))
        self.index = torch.tensor(group_of_lane, device=device)

    def lanes_first(self, values: Tensor) -> Tensor:
        """Expand values (G, B, …) → (L, B, …)."""
        if self.groups == 1:
            return values.expand(self.lanes, *values.shape[1:])
        return values if self.identity else values.index_select(0, self.index)

    def lanes_last(self, values: Tensor) -> Tensor:
        """Expand values (D, B, G) → (D, B, L), lanes last in memory."""
        if self.groups == 1:
            return values.expand(*values.shape[:2], self.lanes)
        return values if self.identity else values.index_select(2, self.index)


def classes_first(values: Tensor) -> Tensor:
    """Copy (L, B, K) with the batch last in memory, for fast sums over few classes."""
    return values.mT.contiguous().mT
