"""Splits of every run's data in the form that a program reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mlr.core.seeds import derive_seed
from mlr.data.base import Dataset, Split
from mlr.training.background import threads
from mlr.training.memory_layout import Spread, classes_first, distinct
from mlr.training.step import Program

MOST_TRAINING_EXAMPLES = 10_000
"""A larger training split is evaluated on so many examples, drawn once: all of MNIST's would take a
third of an epoch and change its accuracy by 0.1 %. They are drawn, not evenly spaced: MNIST's
writers alternate, and every sixth of its images is harder than the rest."""


def one_hot_targets(
    targets: Tensor, classes: int | None, outputs: int, dtype: torch.dtype
) -> Tensor:
    """Convert targets to t (N, K): one-hot, one column for two classes, or values.

    Args:
        targets: class indices (N,), or values (N, K) when `classes` is None.
        classes: class count.
        outputs: logits of the model, K.
        dtype: of the result.
    """
    if classes is None:
        return targets.to(dtype)
    if outputs == 1:
        return targets.to(dtype).unsqueeze(1)
    return torch.nn.functional.one_hot(targets, outputs).to(dtype)


@dataclass(frozen=True)
class Chunk:
    """Some examples of a split, for every lane."""

    inputs: Tensor
    """(L, N, …)"""
    targets: Tensor
    """(L, N, K)"""


class Examples:
    """One split of U datasets of equal shape, and the dataset of each lane.

    Attributes:
        features: (U, N, …) in the program's dtype, on its device, flat for dense networks.
        targets: t (U, N, K): one-hot, one column, or values.
        data_of: dataset of each lane.
    """

    def __init__(self, program: Program, split: str) -> None:
        self.program = program
        firsts, self.data_of = distinct([id(lane.data) for lane in program.lanes])
        datasets = [program.lanes[lane].data for lane in firsts]
        splits = [getattr(data, split) for data in datasets]
        self.features = self._stack([self._features(one) for one in splits])
        self.targets = self._stack([self._targets(datasets[0], one) for one in splits])
        self.spread = Spread(self.data_of, program.device)

    @staticmethod
    def _stack(parts: Sequence[Tensor]) -> Tensor:
        return parts[0].unsqueeze(0) if len(parts) == 1 else torch.stack(list(parts))

    def _features(self, split: Split) -> Tensor:
        features = split.features.to(self.program.device, self.program.dtype)
        return features.flatten(1).contiguous() if self.program.network.flat_inputs else features

    def _targets(self, data: Dataset, split: Split) -> Tensor:
        program = self.program
        targets = one_hot_targets(split.targets, data.classes, program.outputs, program.dtype)
        return targets.to(program.device)

    @property
    def count(self) -> int:
        """Number of examples of the split, N."""
        return self.features.shape[1]

    def chunks(self, size: int, chosen: Tensor | None = None) -> list[Chunk]:
        """Divide the split, or its `chosen` examples, into chunks of `size` for every lane."""
        parts = [self.features, self.targets]
        if chosen is not None:
            with threads(self.program.busy):  # copies: nothing rounds
                parts = [part.index_select(1, chosen) for part in parts]
        features, targets = (part.split(size, dim=1) for part in parts)
        return [
            Chunk(self._arranged(x), self._aims(t)) for x, t in zip(features, targets, strict=True)
        ]

    def _aims(self, values: Tensor) -> Tensor:
        """Expand targets (U, N, K) to lanes, arranged before."""
        values = values if self.program.network.lanes_last else classes_first(values)
        return self._arranged(values)

    def _arranged(self, values: Tensor) -> Tensor:
        """Expand values (U, N, …) of the datasets to (L, N, …) of the lanes."""
        if self.program.network.lanes_last:
            return self.spread.lanes_last(values.permute(2, 1, 0).contiguous()).permute(2, 1, 0)
        return self.spread.lanes_first(values)

    def thinned(self) -> Tensor | None:
        """Draw at most `MOST_TRAINING_EXAMPLES` numbers, the same in every run; None for all."""
        if self.count <= MOST_TRAINING_EXAMPLES:
            return None
        generator = torch.Generator().manual_seed(derive_seed(0, "thinned", self.count))
        chosen = torch.randperm(self.count, generator=generator)[:MOST_TRAINING_EXAMPLES]
        return chosen.to(self.features.device)
