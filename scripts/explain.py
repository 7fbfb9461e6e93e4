"""Say what is wrong with runs, in plain words, with the evidence and the remedy.

python scripts/explain.py runs/2026-01-31/12-00-00-sigmoid+se-1a2b3c
python scripts/explain.py runs/<sweep> --json
"""

import argparse
import sys

INTERRUPTED = 130


def main() -> int:
    """Explain the folder named on the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="of a run, of a sweep, or one above them, as runs")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    arguments = parser.parse_args()
    from mlr.app.explain.command import main as explain
    from mlr.app.telling import told

    return told(lambda: explain(arguments.folder, arguments.json))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
