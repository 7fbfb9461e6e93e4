"""Commands around a task: its errors in one sentence, and their exit codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlr.app import console, debugging
from mlr.checks import InputError
from mlr.durable import WriteError

if TYPE_CHECKING:
    from mlr.records.reading import Recorded

INTERRUPTED = 130


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
    """One line on standard error where some of several runs are damaged.

    Args:
        runs: all that were read.
        places: the folders that they were read from.
    """
    damaged = [run for run in runs if run.changed]
    if not damaged:
        return
    from mlr.records.reading import remedied  # numpy takes a moment

    first, *others = damaged
    place = places[0] if len(places) == 1 else first.folder
    which = "are left out, the first" if others else "is left out"
    count = f"{len(damaged)} of {len(runs)} runs"
    console.refuse(f"{count} {which}: {remedied(first, place)}")
