"""Run the task of a command: its errors in one sentence, and their exit codes."""

from __future__ import annotations

from collections.abc import Callable

from mlr.core import console
from mlr.core.checks import InputError
from mlr.core.durable import WriteError

INTERRUPTED = 130


def exit_code_of(task: Callable[[], int]) -> int:
    """Return the exit code of a task; print an expected error in one sentence.

    Args:
        task: the work of a command; returns its exit code.
    """
    console.take_debug_flag()
    try:
        return task()
    except (InputError, WriteError) as error:
        console.show_traceback(error)
        console.refuse(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
