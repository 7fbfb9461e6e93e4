"""Work beside the main thread: batches gathered ahead, and numbers of steps that are over.

Threads of Python, each with one of torch: torch's own wait for each other at every operation,
which costs more than these small ones take, and much more beside other processes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from types import TracebackType
from typing import Any, TypeVar

import torch

Item = TypeVar("Item")

WORTH_A_THREAD = 100_000
"""Gathered examples an epoch from which a second thread pays for its switches."""

AHEAD = 2
"""Items made before they are needed: one is ready while the next is still in the making."""

MOST_WAITING = 2
"""Pieces of work that may wait; one more, and the main thread does one itself."""


class Background:
    """Threads, and the work that waits for them or for the main thread to be idle.

    Args:
        threads: how many there are; without any, all work is done where it is handed in.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.pool = ThreadPoolExecutor(max(1, threads), thread_name_prefix="mlr")
        # a mode of torch belongs to a thread
        self.inference = torch.is_inference_mode_enabled()
        self.urgent: deque[Callable[[], None]] = deque()
        self.waiting: deque[Callable[[], None]] = deque()

    def __enter__(self) -> Background:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.pool.shutdown()

    def start(self, function: Callable[..., Item], *arguments: Any) -> Future[Item]:
        """Have something done, as soon as the main thread or another finds the time."""
        done = self._hand_in(self.waiting, function, *arguments)
        if len(self.waiting) > MOST_WAITING * self.threads:
            self._one(self.waiting)
        return done

    def finish(self, work: Future[Item]) -> Item:
        """The result of what was started; meanwhile the main thread does what else waits."""
        while not work.done() and self._one(self.waiting):
            pass
        return work.result()

    def ahead(self, items: Iterator[Item], gathered: int) -> Iterator[Item]:
        """`items`, each computed while the one before is used, where that pays.

        Args:
            items: without end; computed by torch and numpy, which leave Python to others.
            gathered: examples an epoch, all groups of runs together.
        """
        if not self.threads or gathered < WORTH_A_THREAD:
            yield from items
        made: deque[Future[Item]] = deque()
        turns = Lock()

        def make() -> None:
            with turns:  # a generator has one user at a time, and its items are in order
                made.append(Future())
                _settle(made[-1], next, (items,))

        coming = deque(self._hand_in(self.urgent, make) for _ in range(AHEAD))
        try:
            while True:
                self.finish(coming.popleft())
                coming.append(self._hand_in(self.urgent, make))
                yield made.popleft().result()
        finally:
            self.urgent.clear()

    def _hand_in(
        self, queue: deque[Callable[[], None]], function: Callable[..., Any], *arguments: Any
    ) -> Future[Any]:
        done: Future[Any] = Future()

        def work() -> None:
            with torch.inference_mode(self.inference), torch.no_grad():
                _settle(done, function, arguments)

        if not self.threads:
            work()
        else:
            queue.append(work)
            self.pool.submit(lambda: self._one(self.urgent) or self._one(self.waiting))
        return done

    @staticmethod
    def _one(queue: deque[Callable[[], None]]) -> bool:
        """Do the first piece of work of a queue; whether there was one."""
        try:
            work = queue.popleft()
        except IndexError:
            return False
        work()
        return True


def _settle(future: Future[Any], function: Callable[..., Any], arguments: tuple) -> None:
    """Give a future the result of a function, or the error that whoever asks is to get."""
    try:
        future.set_result(function(*arguments))
    except BaseException as error:
        future.set_exception(error)
