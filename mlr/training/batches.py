"""Batches of every run: order drawn from (seed, epoch), gathered many batches at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from mlr.seeds import derive_seed

GATHER_BYTES = 2 << 20
"""Batches gathered in one operation: enough to make its overhead vanish, few enough for cache."""


def one_hot_targets(
    targets: Tensor, classes: int | None, outputs: int, dtype: torch.dtype
) -> Tensor:
    """Targets t (N, K) for an objective: one-hot, one column for two classes, or as they are.

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


class Batches:
    """The training split in the order of each run's seed.

    Runs with one seed share one gather; their batches are expanded views.
    """

    def __init__(
        self, features: Tensor, targets: Tensor, batch_size: int, seeds: Sequence[int]
    ) -> None:
        self.features, self.targets = features, targets
        self.batch_size = batch_size
        self.runs = len(seeds)
        self.seeds = seeds[:1] if len(set(seeds)) == 1 else seeds
        row_bytes = features[0].numel() * features.element_size() * len(self.seeds)
        self.chunk = batch_size * max(1, GATHER_BYTES // (row_bytes * batch_size))

    def order(self, epoch: int) -> Tensor:
        """Example indices (runs or 1, N) of one epoch."""
        count = len(self.features)
        orders = [
            torch.randperm(
                count,
                generator=torch.Generator().manual_seed(derive_seed(seed, "order", epoch)),
            )
            for seed in self.seeds
        ]
        return torch.stack(orders).to(self.features.device)

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs (R, B, *feature_shape) and targets (R, B, K), batch after batch."""
        order = self.order(epoch)
        for start in range(0, order.shape[1], self.chunk):
            rows = order[:, start : start + self.chunk]
            yield from zip(
                self._gather(self.features, rows).split(self.batch_size, dim=1),
                self._gather(self.targets, rows).split(self.batch_size, dim=1),
                strict=True,
            )

    def _gather(self, values: Tensor, rows: Tensor) -> Tensor:
        chosen = values.index_select(0, rows.reshape(-1)).view(*rows.shape, *values.shape[1:])
        return chosen if len(chosen) == self.runs else chosen.expand(self.runs, *chosen.shape[1:])
