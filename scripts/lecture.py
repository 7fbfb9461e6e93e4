"""Run the lecture: measure every claim of its slides, and write runs/lecture/index.html.

python scripts/lecture.py
python scripts/lecture.py 29
python scripts/lecture.py published nielsen_curves
"""

import argparse
import signal
import sys

INTERRUPTED = 130


def main() -> int:
    """Ask the slides named on the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "slide",
        nargs="*",
        help="numbers of slides, 1 to 45 in our numbering, whose sections of the page are "
        "replaced; without any: all. Or published, followed by names of published results; "
        "without any: all but the slowest",
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    arguments = parser.parse_args()
    # torch takes seconds, and --help needs none of it
    from mlr.app.lecture.command import main as lecture
    from mlr.app.telling import told

    return told(lambda: lecture(arguments.slide))


if __name__ == "__main__":
    # SIGTERM is treated like Ctrl-C: the answers so far are saved
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # before there was anything to save
        sys.exit(INTERRUPTED)
