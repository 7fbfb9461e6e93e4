"""Search of a folder for runs and sweeps, and for folders that cannot be searched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mlr.records.run_folder import CHECKPOINT, METRICS, RUNS_TABLE, STATUS, STORY

SWEEP = (RUNS_TABLE, STORY)
_LEFT_BEHIND = {METRICS, CHECKPOINT}
"""Files of a run whose status.json was removed."""


class FoundFolder(NamedTuple):
    """A folder, the names in it, and the reason why it was not searched, if it was not."""

    path: Path
    names: frozenset[str] = frozenset()
    problem: str = ""

    @property
    def is_run(self) -> bool:
        """True for a run's folder, and for one that was not searched."""
        return bool(self.problem) or STATUS in self.names or self.names >= _LEFT_BEHIND

    @property
    def is_sweep(self) -> bool:
        """True for a sweep's folder."""
        return not self.names.isdisjoint(SWEEP)


def folders_below(top: Path) -> Iterator[FoundFolder]:
    """Yield `top` and all folders below it; links out of it are not followed.

    Folders that cannot be read, and links to a run or a sweep elsewhere, have a problem.
    """
    waiting = [os.fspath(top)]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as found:
                entries = list(found)
        except OSError as error:
            problem = f"{folder} cannot be read: {error.strerror}."
            yield FoundFolder(Path(folder), problem=problem)
            continue
        yield FoundFolder(Path(folder), frozenset(one.name for one in entries))
        waiting += [one.path for one in entries if one.is_dir(follow_symlinks=False)]
        for one in entries:
            if one.is_symlink() and (target := _elsewhere(one.path, top)):
                problem = f"{one.path} is a link, which is not followed: give {target} itself."
                yield FoundFolder(Path(one.path), problem=problem)


def _elsewhere(link: str, top: Path) -> str:
    """Return the target of a link to a run or a sweep that is not below `top`, else nothing."""
    target = Path(os.path.realpath(link))
    if target.is_relative_to(os.path.realpath(top)):
        return ""
    known = any(os.access(target / name, os.F_OK) for name in (STATUS, *SWEEP))
    return str(target) if known else ""
