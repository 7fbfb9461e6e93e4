"""Number of torch's threads: one, except for products of a single run.

A sum that is split among threads rounds by the split, which depends on the number of runs. So
programs run on one thread, and only products computed run by run use all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def threads(count: int) -> Iterator[int]:
    """Compute on `count` threads; yields the number before, and restores it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield before
    finally:
        torch.set_num_threads(before)
