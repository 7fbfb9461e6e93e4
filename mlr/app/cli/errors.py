"""Commands around a task: its errors in one sentence, and their exit codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlr.core import console, debugging
from mlr.core.checks import InputError, listed
from mlr.core.durable import WriteError

if TYPE_CHECKING:
    from mlr.records.reading import Recorded

INTERRUPTED = 130
MOST_NAMES = 60
"""Characters of the names of runs in one line."""


def told(task: Callable[[], int]) -> int:
    """The exit code of a task; what ends it early is told in one sentence.

    Args:
        task: does what a command is for, and returns its exit code.
    """
    debugging.take_flag()
    try:
        return task()
    except (InputError, WriteError) as error:
        debugging.show(error)
        console.refuse(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED


def tell_left_out(runs: Sequence[Recorded], places: Sequence[Path | str]) -> None:
    """Print `left_out` on standard error."""
    if line := left_out(runs, places):
        console.refuse(line)


def left_out(runs: Sequence[Recorded], places: Sequence[Path | str]) -> str:
    """One line on the runs that cannot be read; empty where all can.

    Args:
        runs: all that were found.
        places: the folders in which they were found.
    """
    lost = [run for run in runs if run.changed]
    if not lost:
        return ""
    from mlr.records.reading import remedied  # numpy takes a moment

    first, *others = lost
    reason = remedied(first, places[0] if len(places) == 1 else first.folder)
    count = f"{len(lost)} of {len(runs)} runs"
    if not others:
        return f"{count} is left out: {reason}"
    names = listed([run.name for run in lost], MOST_NAMES)
    return f"{count} are left out ({names}), the first: {reason}"
