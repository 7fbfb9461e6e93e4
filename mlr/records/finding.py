"""The folders below one, looked through once: runs, sweeps, and what nobody may look into."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

STATUS = "status.json"
SWEEP = ("runs.csv", "sweep.yaml")
_LEFT_BEHIND = {"metrics.csv", "checkpoint.safetensors"}
"""Files of a run from which status.json has been taken away."""


class Found(NamedTuple):
    """A folder.

    path: of it.
    names: of what is in it.
    problem: why it is not looked into; empty where it is.
    """

    path: Path
    names: frozenset[str] = frozenset()
    problem: str = ""

    @property
    def is_run(self) -> bool:
        """True of a run's folder, and where there could be one."""
        return bool(self.problem) or STATUS in self.names or self.names >= _LEFT_BEHIND

    @property
    def is_sweep(self) -> bool:
        """True of a sweep's folder."""
        return not self.names.isdisjoint(SWEEP)


def below(top: Path) -> Iterator[Found]:
    """`top` and all folders below it; links out of it are not followed, and told where they lead.

    Those of which nobody may see what is in them, and links to a run or a sweep elsewhere, have
    a problem.
    """
    waiting = [os.fspath(top)]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as found:
                entries = list(found)
        except OSError as error:
            yield Found(Path(folder), problem=f"{folder} cannot be read: {error.strerror}.")
            continue
        yield Found(Path(folder), frozenset(one.name for one in entries))
        waiting += [one.path for one in entries if one.is_dir(follow_symlinks=False)]
        for one in entries:
            if one.is_symlink() and (target := _elsewhere(one.path, top)):
                problem = f"{one.path} is a link, which is not followed: give {target} itself."
                yield Found(Path(one.path), problem=problem)


def _elsewhere(link: str, top: Path) -> str:
    """Where a link leads; empty unless a run or a sweep is there that is not below `top`."""
    target = Path(os.path.realpath(link))
    if target.is_relative_to(os.path.realpath(top)):
        return ""
    return str(target) if any(_exists(target / name) for name in (STATUS, *SWEEP)) else ""


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # nobody may look
        return False
