"""--debug: the traceback of what one sentence tells otherwise."""

from __future__ import annotations

import sys
import traceback

FLAG = "--debug"
asked = False
"""Whether this process was asked for it."""


def take_flag() -> None:
    """Take --debug, which Hydra does not know, from the command line."""
    global asked
    asked = FLAG in sys.argv[1:]
    sys.argv = [word for word in sys.argv if word != FLAG]


def show(error: BaseException) -> None:
    """Print the traceback on standard error, if that was asked for."""
    if asked:
        traceback.print_exception(error)
