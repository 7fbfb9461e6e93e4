"""The next batches, gathered on another core while these are trained on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")

WORTH_A_THREAD = 100_000
"""Gathered examples an epoch from which a second thread pays for its switches."""


def prefetched(items: Iterator[Item], gathered: int) -> Iterator[Item]:
    """`items`, each computed while the one before is used, where that pays.

    Args:
        items: computed by torch and numpy, which leave Python to others meanwhile.
        gathered: how much work they are, in examples.
    """
    if gathered < WORTH_A_THREAD:
        yield from items
        return
    # a mode of torch belongs to a thread
    inference = torch.is_inference_mode_enabled()

    def following() -> Item | None:
        with torch.inference_mode(inference), torch.no_grad():
            return next(items, None)

    with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
        coming = thread.submit(following)
        while (item := coming.result()) is not None:
            coming = thread.submit(following)
            yield item
