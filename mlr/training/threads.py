"""How many threads compute: one, but where a single product keeps more of them busy.

A sum that is split among threads rounds by the split, and the split by how many runs there
are. So programs run on one thread, and only products computed run by run use all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def threads(count: int) -> Iterator[int]:
    """Compute on `count` threads; gives the number there was before, and restores it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield before
    finally:
        torch.set_num_threads(before)
