"""Name the runs that a table, a page or a diagnosis leaves out, since they cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlr.core import console
from mlr.core.checks import listed
from mlr.records.reading import Recorded, remedied

MOST_NAMES = 60
"""Most characters of names of runs in one line."""


def tell_left_out(runs: Sequence[Recorded], places: Sequence[Path | str]) -> None:
    """Print `left_out` on standard error."""
    if line := left_out(runs, places):
        console.refuse(line)


def left_out(runs: Sequence[Recorded], places: Sequence[Path | str]) -> str:
    """Write one line on the runs that cannot be read; empty if all can.

    Args:
        runs: all that were found.
        places: the folders in which they were found.
    """
    lost = [run for run in runs if run.changed]
    if not lost:
        return ""
    first, *others = lost
    reason = remedied(first, places[0] if len(places) == 1 else first.folder)
    count = f"{len(lost)} of {len(runs)} runs"
    if not others:
        return f"{count} is left out: {reason}"
    names = listed([run.name for run in lost], MOST_NAMES)
    return f"{count} are left out ({names}), the first: {reason}"
