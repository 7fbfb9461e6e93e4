"""Batches of every lane, gathered many at a time, and once for runs that see the same data."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import count
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlr.training.background import AHEAD, threads
from mlr.training.examples import Examples
from mlr.training.memory_layout import Spread, classes_first, distinct
from mlr.training.shuffling import orders_of
from mlr.training.step import Kind, Program

GATHER_BYTES = 2 << 20
"""Features gathered in one operation: many for its overhead, few enough for the cache."""

WORTH_A_THREAD = 3 << 20
"""Bytes of features per epoch above which another thread gathers them, measured on two cores."""


class Batches:
    """Batches of the training split of each lane, shuffled by its seed.

    Lanes with one seed and one dataset are a group: they share one gather.
    """

    def __init__(self, examples: Examples, program: Program) -> None:
        first = program.runs[0]
        self.program, self.count = program, examples.count
        self.batch_size, self.lanes_last = first.batch_size, program.network.lanes_last
        self.steps = first.steps_per_epoch
        self.seen = min(self.count, self.steps * self.batch_size)
        """examples of an epoch, without the last ones if an incomplete batch is dropped"""
        # without shuffling, runs of all seeds see the same
        seeds = [lane.seed if first.shuffle else 0 for lane in program.lanes]
        data_of = examples.data_of
        firsts, group_of = distinct(list(zip(data_of, seeds, strict=True)))
        self.spread = Spread(group_of, examples.features.device)
        seed_firsts, seed_of = distinct([seeds[lane] for lane in firsts])
        own = [seeds[firsts[group]] for group in seed_firsts]
        self.orders = orders_of(first.shuffle, own, self.count)
        self.seed_of = None if seed_of == list(range(len(seed_of))) else np.array(seed_of)
        # each dataset's examples lie in one table of rows, one dataset after the other
        offsets = np.array([data_of[lane] * self.count for lane in firsts])
        self.offsets: NDArray[np.int64] | None = None
        if offsets.any():
            self.offsets = offsets if self.lanes_last else offsets[:, None]
        self.features = examples.features.flatten(0, 1)
        self.targets = examples.targets.flatten(0, 1)
        if self.lanes_last:
            self.features = self.features.t().contiguous()
            self.targets = self.targets.t().contiguous()
        # reused memory by name, in turn: one in use, some ready, one in the making
        self.buffers: deque[dict[str, Tensor]] = deque({} for _ in range(AHEAD + 1))
        row_bytes = examples.features[0, 0].numel() * examples.features.element_size()
        batch_bytes = row_bytes * self.batch_size * len(firsts)
        self.chunk = self.batch_size * max(1, GATHER_BYTES // batch_bytes)
        self.rows = np.empty(len(firsts) * self.chunk, dtype=np.int64)
        # products of a single wide run use all cores themselves
        alone = program.kind is Kind.WIDE and len(program.lanes) == 1
        gathered = len(firsts) * self.count * row_bytes
        self.worth_a_thread = gathered >= WORTH_A_THREAD and not alone
        self.busy = 1 if self.worth_a_thread else program.busy

    def chunks(self, done: int = 0) -> Iterator[tuple[list[tuple[Tensor, Tensor]], bool]]:
        """Iterate without end over lists of batches, and whether an epoch ends with them.

        A batch is inputs (L, B, *feature_shape), or lanes last (D + 1, 1, B, L) with a constant 1
        after the features, and targets (L, B, K). Its memory is reused after as many further
        lists as there are buffers.

        Args:
            done: updates before the first batch.
        """
        gather = self._lanes_last if self.lanes_last else self._lanes_first
        first, skipped = divmod(done, self.steps)
        for epoch in count(first):
            orders = self.orders.epoch(epoch)[:, : self.seen]
            for start in range(skipped * self.batch_size, self.seen, self.chunk):
                self.buffers.rotate()
                rows = self._rows(orders[:, start : start + self.chunk])
                yield list(gather(rows)), start + self.chunk >= self.seen
            skipped = 0

    def _rows(self, orders: NDArray[np.unsignedinteger]) -> Tensor:
        """Convert orders (S, C) of the seeds to rows (G, C) of the tables, or lanes last (C, G)."""
        if self.seed_of is not None:
            orders = orders[self.seed_of]
        if self.lanes_last:
            orders = orders.T
        rows = self.rows[: orders.size].reshape(orders.shape)
        np.copyto(rows, orders)
        if self.offsets is not None:
            rows += self.offsets
        return torch.from_numpy(rows).to(self.features.device)

    def _lanes_last(self, rows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Gather the batches of rows (C, G), lanes last, from tables stored by column."""
        inputs = self.spread.lanes_last(self._columns("inputs", self.features, rows, constant=1))
        targets = self.spread.lanes_last(self._columns("targets", self.targets, rows))
        # copied, because operations on expanded (stride 0) tensors are slow
        whole = targets.contiguous().permute(2, 1, 0)
        batches = inputs.unsqueeze(1).split(self.batch_size, dim=2)
        return zip(batches, whole.split(self.batch_size, dim=1), strict=True)

    def _columns(self, name: str, table: Tensor, rows: Tensor, constant: int = 0) -> Tensor:
        """Gather values (D + constant, C, G) of rows (C, G), with ones after the D columns."""
        chosen = self._memory(name, len(table) + constant, *rows.shape)
        torch.index_select(table, 1, rows.view(-1), out=chosen[: len(table)].flatten(1))
        chosen[len(table) :] = 1
        return chosen

    def _lanes_first(self, rows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Gather the batches of rows (G, C)."""
        inputs = self._gathered("inputs", self.features, rows)
        values = self._gathered("targets", self.targets, rows)
        return zip(inputs, map(classes_first, values), strict=True)

    def _gathered(self, name: str, table: Tensor, rows: Tensor) -> tuple[Tensor, ...]:
        """Gather batches (L, B, …) of rows (G, C) of a table."""
        chosen = self._memory(name, rows.numel(), *table.shape[1:])
        with threads(self.busy):  # copies: nothing rounds
            torch.index_select(table, 0, rows.reshape(-1), out=chosen)
        whole = chosen.view(*rows.shape, *table.shape[1:])
        return self.spread.lanes_first(whole).split(self.batch_size, dim=1)

    def _memory(self, name: str, *shape: int) -> Tensor:
        """Return an uninitialised tensor in reused memory: allocating costs more than filling."""
        size, memory = prod(shape), self.buffers[0].get(name)
        if memory is None or len(memory) < size:
            memory = self.buffers[0][name] = self.features.new_empty(size)
        return memory[:size].view(shape)
