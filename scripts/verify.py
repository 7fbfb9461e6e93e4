"""Verify runs: every file against its checksums, what is damaged, and what to do.

python scripts/verify.py runs/2026-01-31/12-00-00-abcdef
python scripts/verify.py runs --repair
"""

import argparse
import sys

INTERRUPTED = 130


def main() -> int:
    """Look at the folders named on the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="+", help="of a run, of a sweep, or above them")
    parser.add_argument(
        "--repair",
        action="store_true",
        help="mend event files, so that all records but the damaged are read, and remove what "
        "killed writers left; originals are kept beside as .damaged",
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    arguments = parser.parse_args()
    # numpy takes a moment, and --help needs none of it
    from mlr.app.telling import told
    from mlr.app.verify.command import main as verify

    return told(lambda: verify(arguments.folder, arguments.repair))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
