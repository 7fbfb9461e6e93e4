"""The next batches, gathered on another core while these are trained on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")

WORTH_A_THREAD = 100_000
"""Gathered examples an epoch from which a second thread pays for its switches."""


@contextmanager
def prefetched(items: Iterator[Item], gathered: int) -> Iterator[Iterator[Item]]:
    """`items`, each computed while the one before is used, where that pays.

    Args:
        items: without end; computed by torch and numpy, which leave Python to others meanwhile.
        gathered: how much work they are, in examples.
    """
    if gathered < WORTH_A_THREAD:
        yield items
        return
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
        # a mode of torch belongs to a thread
        yield _ahead(items, thread, torch.is_inference_mode_enabled())


def _ahead(items: Iterator[Item], thread: ThreadPoolExecutor, inference: bool) -> Iterator[Item]:
    def following() -> Item:
        with torch.inference_mode(inference), torch.no_grad():
            return next(items)

    coming = thread.submit(following)
    while True:
        item = coming.result()
        coming = thread.submit(following)
        yield item
