"""Worker threads for lanes of a step, and for batches prepared ahead.

They are Python threads with one torch thread each: torch's own threads wait for each other at
every operation, which takes longer than these small operations, and much longer next to other
processes. Batches are gathered ahead, because gathering takes up to 29 % of the time of a program
on one thread; measuring takes at most 4 %, and is done by the main thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from types import TracebackType
from typing import Any, Generic, TypeVar

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


class PendingCall(Generic[Item]):
    """A call that is done once, by the first thread that gets to it."""

    def __init__(self, function: Callable[[], Item]) -> None:
        self.function: Callable[[], Item] | None = function
        self.lock = Lock()
        self.outcome: Item | Exception

    def do(self) -> None:
        """Do the call on this thread, or wait until another thread has done it.

        After an interruption by Ctrl-C it can be done again.
        """
        with self.lock:
            if self.function is not None:
                try:
                    self.outcome = self.function()
                except Exception as error:
                    self.outcome = error
                self.function = None  # frees what it holds

    @property
    def result(self) -> Item:
        """The result of the call; its error is raised."""
        self.do()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class Background:
    """Threads, and a queue of work for them.

    Args:
        threads: number of threads; without any, work is done on the calling thread.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        # torch's number of threads belongs to the thread: a new one would have that of the process
        self.pool = ThreadPoolExecutor(
            max(1, threads), "mlr", initializer=torch.set_num_threads, initargs=(1,)
        )
        # each thread has its own inference mode
        self.inference = torch.is_inference_mode_enabled()
        self.queue: deque[PendingCall[Any]] = deque()

    def __enter__(self) -> Background:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.queue.clear()
        self.pool.shutdown()

    def side_by_side(self, functions: Sequence[Callable[[], Item]]) -> list[Item]:
        """Call several functions at once, the first of them on this thread."""
        if not self.threads:
            return [function() for function in functions]
        works = [PendingCall(function) for function in functions]
        for work in works[1:]:
            self.queue.appendleft(work)
            self.pool.submit(self._work)
        return [work.result for work in works]

    def ahead(self, items: Iterator[Item], worth: bool) -> Iterator[Item]:
        """Iterate over `items`, each computed while earlier ones are used.

        Args:
            items: without end; computed by torch and numpy, which release Python's lock.
            worth: whether that is worth the switches of threads.
        """
        if not self.threads or not worth:
            yield from items
        coming: deque[PendingCall[Item]] = deque()
        while True:
            while len(coming) <= AHEAD:
                coming.append(self._following(items, coming[-1] if coming else None))
            yield coming.popleft().result

    def _following(
        self, items: Iterator[Item], before: PendingCall[Item] | None
    ) -> PendingCall[Item]:
        def make() -> Item:
            if before is not None:
                before.do()  # a generator has one user at a time, and its items an order
            return next(items)

        work = PendingCall(make)
        self.queue.append(work)
        self.pool.submit(self._work)
        return work

    def _work(self) -> None:
        """Do the first work of the queue, if it was not done before."""
        with torch.inference_mode(self.inference), torch.no_grad():
            try:
                work = self.queue.popleft()
            except IndexError:
                return
            work.do()
