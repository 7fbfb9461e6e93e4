"""Batches of every lane: gathered many at a time, once for runs that see the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from mlr.training.arrange import Spread, classes_first, distinct
from mlr.training.examples import Examples
from mlr.training.orders import epoch_orders, order_keys

GATHER_BYTES = 2 << 20
"""Batches gathered in one operation: enough to make its overhead vanish, few enough for cache."""


class Batches:
    """The training split of each lane, in the order of its seed.

    Lanes with one seed and one dataset are a group: they share one gather.

    Args:
        examples: the training split.
        batch_size: examples a batch; the last of an epoch may be smaller.
        seeds: of each lane (L,).
        lanes_last: how the network wants its inputs to lie.
    """

    def __init__(
        self, examples: Examples, batch_size: int, seeds: Sequence[int], lanes_last: bool
    ) -> None:
        self.examples, self.batch_size, self.lanes_last = examples, batch_size, lanes_last
        pairs = list(zip(examples.data_of, seeds, strict=True))
        firsts, group_of = distinct(pairs)
        self.spread = Spread(group_of, examples.features.device)
        seed_firsts, self.seed_of = distinct([seeds[lane] for lane in firsts])
        self.keys = order_keys([seeds[firsts[group]] for group in seed_firsts])
        count = examples.count
        # each dataset's examples lie in one table of rows, one dataset after the other
        self.offsets = np.array([examples.data_of[lane] * count for lane in firsts])[:, None]
        self.features = examples.features.flatten(0, 1)
        self.targets = examples.targets.flatten(0, 1)
        row_bytes = self.features[0].numel() * self.features.element_size() * len(firsts)
        self.chunk = batch_size * max(1, GATHER_BYTES // (row_bytes * batch_size))
        if lanes_last:
            self.columns = [
                [column.contiguous() for column in table.unbind(1)]
                for table in (self.features, self.targets)
            ]

    @property
    def drawn(self) -> int:
        """Examples that an epoch gathers, all groups together."""
        return len(self.offsets) * self.examples.count

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs (L, B, *feature_shape) and targets (L, B, K), batch after batch."""
        orders = epoch_orders(self.keys, epoch, self.examples.count)
        device = self.features.device
        for start in range(0, self.examples.count, self.chunk):
            part = orders[:, start : start + self.chunk]
            rows = torch.from_numpy(part[self.seed_of] + self.offsets).to(device)
            yield from zip(*(self._gather(rows, which) for which in (0, 1)), strict=True)

    def _gather(self, rows: Tensor, which: int) -> list[Tensor]:
        """The features (0) or targets (1) of rows (G, C), in batches of all lanes."""
        flat = rows.reshape(-1)
        if self.lanes_last:
            columns = [column.index_select(0, flat) for column in self.columns[which]]
            stacked = torch.stack(columns).view(len(columns), *rows.shape)
            parts = stacked.permute(2, 0, 1).contiguous().split(self.batch_size)
            return [self.spread.lanes_last(part) for part in parts]
        table = self.targets if which else self.features
        chosen = table.index_select(0, flat).view(*rows.shape, *table.shape[1:])
        parts = chosen.split(self.batch_size, dim=1)
        if which:
            parts = [classes_first(part) for part in parts]
        return [self.spread.lanes_first(part) for part in parts]
