"""Train one configuration, or with -m every combination of several."""

from __future__ import annotations

import atexit
import gc
import signal
import sys

INTERRUPTED, TERMINATED = 130, 143


def main() -> int:
    """Run the command line; return the exit code."""
    # imports make half a million objects that live to the end: to search them for cycles
    # again and again, and once more at the exit, takes a quarter of a short command
    gc.set_threshold(200_000, 20, 50)
    atexit.register(gc.freeze)
    # before there is anything to keep
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        from mlr.app.cli.command import main as train

        return train()
    except KeyboardInterrupt:  # before there was anything to keep
        return INTERRUPTED
