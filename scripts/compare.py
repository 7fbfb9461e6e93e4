"""Compare runs: a table by head and loss, or any other key, over seeds.

python scripts/compare.py runs/2026-01-31/12-00-00-abcdef
python scripts/compare.py runs --by model,optimizer.lr --metric loss/val --csv -
"""

import argparse
import sys

INTERRUPTED = 130


def main() -> int:
    """Compare the folders named on the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="+", help="of a run, of a sweep, or above them")
    parser.add_argument(
        "--by",
        metavar="KEY[,KEY]",
        default="head,loss",
        help="what tells rows apart: head, loss, pair, model, data, lr, or any other key of the "
        "configuration (default: head,loss). Where lr is not among them, a row is of its best lr",
    )
    parser.add_argument(
        "--metric",
        metavar="TAG",
        help="final number that ranks (default: accuracy/test, of a regression loss/test)",
    )
    parser.add_argument(
        "--sort",
        metavar="COLUMN",
        help="a key of --by or a column of --csv, the smallest first (default: the best first)",
    )
    parser.add_argument(
        "--csv", metavar="FILE", help="write all numbers; - prints them in place of the table"
    )
    parser.add_argument("--json", metavar="FILE", help="likewise, with every unfinished run")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    arguments = parser.parse_args()
    # numpy takes a moment, and --help needs none of it
    from mlr.app.compare.command import main as compare
    from mlr.app.telling import told

    chosen = {name: own for name, own in vars(arguments).items() if name != "debug"}
    return told(lambda: compare(chosen.pop("folder"), **chosen))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
