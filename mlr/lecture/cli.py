"""Run the lecture: measure every claim of its slides, and write lecture/index.html.

mlr lecture
mlr lecture 29
mlr lecture published nielsen_curves
"""

from __future__ import annotations

import signal
from argparse import ArgumentParser


def add_options(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "slide",
        nargs="*",
        help="numbers of slides, 1 to 45 in our numbering, whose sections of the page are "
        "replaced; without any: all. Or published, followed by names of published results; "
        "without any: all but the slowest",
    )


def run(slide: list[str]) -> int:
    """Ask the slides; returns the exit code."""
    from mlr.lecture.command import main as lecture

    # a SIGTERM saves the answers so far, as Ctrl-C does
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return lecture(slide)
