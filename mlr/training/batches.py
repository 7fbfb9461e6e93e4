"""Batches of every lane: gathered many at a time, once for runs that see the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from mlr.training.arrange import Spread, classes_first, distinct
from mlr.training.examples import Examples
from mlr.training.orders import Orders

GATHER_BYTES = 4 << 20
"""Features gathered in one operation: enough to make its overhead vanish, few enough for cache."""


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
        self.count, self.batch_size, self.lanes_last = examples.count, batch_size, lanes_last
        firsts, group_of = distinct(list(zip(examples.data_of, seeds, strict=True)))
        self.spread = Spread(group_of, examples.features.device)
        seed_firsts, seed_of = distinct([seeds[lane] for lane in firsts])
        self.orders = Orders([seeds[firsts[group]] for group in seed_firsts], self.count)
        self.seed_of = None if seed_of == list(range(len(seed_of))) else torch.tensor(seed_of)
        # each dataset's examples lie in one table of rows, one dataset after the other
        offsets = [examples.data_of[lane] * self.count for lane in firsts]
        self.offsets = torch.tensor(offsets).unsqueeze(1) if any(offsets) else None
        self.tables = [part.flatten(0, 1) for part in (examples.features, examples.targets)]
        if lanes_last:
            self.tables = [table.t().contiguous() for table in self.tables]
        row_bytes = examples.features[0, 0].numel() * examples.features.element_size()
        batch_bytes = row_bytes * batch_size * len(firsts)
        self.chunk = batch_size * max(1, GATHER_BYTES // batch_bytes)
        self.drawn = len(firsts) * self.count
        """Examples that an epoch gathers, all groups together."""

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs (L, B, *feature_shape) and targets (L, B, K), batch after batch."""
        orders = torch.from_numpy(self.orders.epoch(epoch))
        gather = self._lanes_last if self.lanes_last else self._lanes_first
        for start in range(0, self.count, self.chunk):
            rows = orders[:, start : start + self.chunk]
            if self.seed_of is not None:
                rows = rows.index_select(0, self.seed_of)
            if self.offsets is not None:
                rows = rows + self.offsets
            rows = rows.to(self.tables[0].device)
            yield from zip(*(gather(table, rows) for table in self.tables), strict=True)

    def _lanes_last(self, table: Tensor, rows: Tensor) -> list[Tensor]:
        """Batches of all lanes, of rows (G, C) of a table whose columns lie together."""
        flat = rows.reshape(-1)
        chosen = torch.empty(
            len(table), *reversed(rows.shape), dtype=table.dtype, device=table.device
        )
        for column, target in zip(table, chosen, strict=True):
            target.copy_(column.index_select(0, flat).view(rows.shape).t())
        parts = self.spread.lanes_last(chosen).permute(2, 1, 0)
        return list(parts.split(self.batch_size, dim=1))

    def _lanes_first(self, table: Tensor, rows: Tensor) -> list[Tensor]:
        """Batches of all lanes, of rows (G, C) of a table."""
        chosen = table.index_select(0, rows.reshape(-1)).view(*rows.shape, *table.shape[1:])
        parts = chosen.split(self.batch_size, dim=1)
        if table is self.tables[1]:
            parts = tuple(classes_first(part) for part in parts)
        return [self.spread.lanes_first(part) for part in parts]
