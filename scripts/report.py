"""Report of a run or a sweep: one HTML page that needs nothing else, offline too.

python scripts/report.py runs/2026-01-31/12-00-00-abcdef
python scripts/report.py runs/2026-01-31/12-00-00-abcdef --out report.html
"""

import argparse
import sys

INTERRUPTED = 130


def main() -> int:
    """Write the page of the folder named on the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="of a run, of a sweep, or above them")
    parser.add_argument("--out", metavar="FILE", help="default: report.html in that folder")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    arguments = parser.parse_args()
    # numpy takes a moment, and --help needs none of it
    from mlr.app.report.command import main as report
    from mlr.app.telling import told

    return told(lambda: report(arguments.folder, arguments.out))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
