"""Work for the other cores: batches gathered ahead, and numbers of many steps side by side.

Threads of Python, each with one of torch: its own threads wait for each other at every
operation, which costs more than these small ones take, and much more beside other processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Value = TypeVar("Value")

WORTH_A_THREAD = 100_000
"""Gathered examples an epoch from which a second thread pays for its switches."""


@contextmanager
def prefetched(items: Iterator[Item], gathered: int) -> Iterator[Iterator[Item]]:
    """`items`, each computed while the one before is used, where that pays.

    Args:
        items: without end; computed by torch and numpy, which leave Python to others meanwhile.
        gathered: examples an epoch, all groups of runs together.
    """
    if gathered < WORTH_A_THREAD:
        yield items
        return
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
        # a mode of torch belongs to a thread
        yield _ahead(items, thread, torch.is_inference_mode_enabled())


def side_by_side(
    function: Callable[[Item], Value], items: Sequence[Item], workers: int
) -> list[Value]:
    """`function` of each item, in order, by so many workers; of one item without any."""
    if len(items) < 2 or workers < 2:
        return [function(item) for item in items]
    inference = torch.is_inference_mode_enabled()

    def inside(item: Item) -> Value:
        with torch.inference_mode(inference), torch.no_grad():
            return function(item)

    with ThreadPoolExecutor(min(workers, len(items)), thread_name_prefix="measure") as threads:
        return list(threads.map(inside, items))


def _ahead(items: Iterator[Item], thread: ThreadPoolExecutor, inference: bool) -> Iterator[Item]:
    def following() -> Item:
        with torch.inference_mode(inference), torch.no_grad():
            return next(items)

    coming = thread.submit(following)
    while True:
        item = coming.result()
        coming = thread.submit(following)
        yield item
