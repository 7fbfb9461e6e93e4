"""Worker threads for lanes of a step, and for batches prepared ahead.

They are Python threads with one torch thread each: torch's own threads wait for each other at
every operation, which takes longer than these small operations, and much longer next to other
processes. Batches are gathered ahead, because gathering takes up to 29 % of the time of a program
on one thread; measuring takes at most 4 %, and is done by the main thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import torch

Item = TypeVar("Item")

AHEAD = 2
"""Items made before they are needed: one is ready while the next is being made."""


@contextmanager
def threads(count: int) -> Iterator[int]:
    """Compute on `count` of torch's own threads; yields the number before, and restores it.

    A sum that is split among threads rounds by the split, which depends on the number of runs. So
    programs run on one thread, and only products computed run by run use all of them.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield before
    finally:
        torch.set_num_threads(before)


class Background:
    """Pool of threads; with a number of 0, work is done on the calling thread."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.pool = ThreadPoolExecutor(max(1, threads), thread_name_prefix="mlr")
        self.items = ThreadPoolExecutor(1, thread_name_prefix="mlr")
        """one thread, so that items are made in their order"""
        # each thread has its own inference mode
        self.inference = torch.is_inference_mode_enabled()

    def __enter__(self) -> Background:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)
        self.items.shutdown(cancel_futures=True)

    def side_by_side(self, functions: Sequence[Callable[[], Item]]) -> list[Item]:
        """Call several functions at once, the first of them on this thread."""
        futures = [self.pool.submit(self._call, function) for function in functions[1:]]
        results = [functions[0]()]
        for function, future in zip(functions[1:], futures, strict=True):
            # one that no thread has begun is called here
            results.append(function() if future.cancel() else future.result())
        return results

    def ahead(self, items: Iterator[Item], worth: bool) -> Iterator[Item]:
        """Iterate over `items`, each computed while earlier ones are used.

        Args:
            items: without end; computed by torch and numpy, which release Python's lock.
            worth: whether that is worth the switches of threads.
        """
        if not self.threads or not worth:
            yield from items
        coming: deque[Future[Item]] = deque()
        while True:
            while len(coming) <= AHEAD:
                coming.append(self.items.submit(self._call, partial(next, items)))
            yield coming.popleft().result()

    def _call(self, function: Callable[[], Item]) -> Item:
        with torch.inference_mode(self.inference), torch.no_grad():
            return function()
