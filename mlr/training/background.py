"""Work beside the main thread: lanes of a step, batches to come, numbers of steps that are over.

Threads of Python, each with one of torch: torch's own wait for each other at every operation,
which costs more than these small ones take, and much more beside other processes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from types import TracebackType
from typing import Any, Generic, TypeVar

import torch

Item = TypeVar("Item")

AHEAD = 2
"""Items made before they are needed: one is ready while the next is still in the making."""

MOST_WAITING = 2
"""Pieces of work for each thread that may wait; one more, and the main thread does one itself."""


class Work(Generic[Item]):
    """Something to be done once, by whatever thread gets to it first."""

    def __init__(self, function: Callable[[], Item]) -> None:
        self.function: Callable[[], Item] | None = function
        self.lock = Lock()
        self.outcome: Item | Exception

    def do(self) -> None:
        """Have it done: now and here, unless another thread did it, or is doing it.

        Interrupted by Ctrl-C, it is still to be done.
        """
        with self.lock:
            if self.function is not None:
                try:
                    self.outcome = self.function()
                except Exception as error:
                    self.outcome = error
                self.function = None  # and what it holds

    @property
    def result(self) -> Item:
        """What came of it, or the error that it ended with."""
        self.do()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class Background:
    """Threads, and the work that waits for them or for the main thread to be idle.

    Args:
        threads: how many there are; without any, work is done as soon as it is handed in.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.pool = ThreadPoolExecutor(max(1, threads), thread_name_prefix="mlr")
        # a mode of torch belongs to a thread
        self.inference = torch.is_inference_mode_enabled()
        self.urgent: deque[Work[Any]] = deque()
        self.waiting: deque[Work[Any]] = deque()

    def __enter__(self) -> Background:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.urgent.clear()
        self.pool.shutdown()

    def start(self, function: Callable[[], Item]) -> Work[Item]:
        """Have something done, as soon as the main thread or another finds the time."""
        work = Work(function)
        if not self.threads:
            work.do()
            return work
        self._hand_in(work, self.waiting)
        if len(self.waiting) > MOST_WAITING * self.threads:
            _first(self.waiting)
        return work

    def finish(self, work: Work[Item]) -> Item:
        """The result of what was started."""
        self._see_to(work)
        return work.result

    def side_by_side(self, functions: Sequence[Callable[[], Item]]) -> list[Item]:
        """The results of several functions at once, the first of them here."""
        works = [Work(function) for function in functions]
        for work in works[1:]:
            self.urgent.appendleft(work)
            self.pool.submit(self._work)
        return [work.result for work in works]

    def ahead(self, items: Iterator[Item], worth: bool) -> Iterator[Item]:
        """`items`, each computed while the one before is used.

        Args:
            items: without end; computed by torch and numpy, which leave Python to others.
            worth: whether that pays for the switches of threads.
        """
        if not self.threads or not worth:
            yield from items
        coming: deque[Work[Item]] = deque()
        while True:
            while len(coming) <= AHEAD:
                coming.append(self._following(items, coming[-1] if coming else None))
            yield self.finish(coming.popleft())

    def _following(self, items: Iterator[Item], before: Work[Item] | None) -> Work[Item]:
        def make() -> Item:
            if before is not None:
                self._see_to(before)  # a generator has one user at a time, its items an order
            return next(items)

        work = Work(make)
        self._hand_in(work, self.urgent)
        return work

    def _see_to(self, work: Work[Any]) -> None:
        """Have it done; while another thread is at it, do what else waits."""
        while work.lock.locked() and _first(self.waiting):
            pass
        work.do()

    def _hand_in(self, work: Work[Any], queue: deque[Work[Any]]) -> None:
        queue.append(work)
        self.pool.submit(self._work)

    def _work(self) -> None:
        """What a thread does for each piece that was handed in."""
        with torch.inference_mode(self.inference), torch.no_grad():
            if not _first(self.urgent):
                _first(self.waiting)


def _first(queue: deque[Work[Any]]) -> bool:
    """Have the first piece of work of a queue done; whether there was one."""
    try:
        work = queue.popleft()
    except IndexError:
        return False
    work.do()
    return True
