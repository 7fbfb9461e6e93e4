"""Commands around a task: its errors in one sentence, and their exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable

from mlr.app import console, debugging
from mlr.checks import InputError
from mlr.durable import WriteError

INTERRUPTED = 130


def told(task: Callable[[], int]) -> int:
    """The exit code of a task; what ends it early is told in one sentence.

    Args:
        task: does what a command is for, and returns its exit code.
    """
    debugging.take_flag()
    try:
        code = task()
        sys.stdout.flush()
    except (InputError, WriteError) as error:
        debugging.show(error)
        console.refuse(str(error))
        return error.exit_code
    except BrokenPipeError:  # the reader, as `head`, has seen enough
        console.close_output()
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return code
