"""Compare runs: a table by head and loss, or any other key, over seeds.

mlr compare runs/2026-01-31/12-00-00-abcdef
mlr compare runs --by model,optimizer.lr --metric loss/val --csv -
"""

from __future__ import annotations

from argparse import ArgumentParser


def add_options(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("folder", nargs="+", help="of a run, of a sweep, or above them")
    parser.add_argument(
        "--by",
        metavar="KEY[,KEY]",
        default="head,loss",
        help="what tells rows apart: head, loss, pair, model, data, lr, or any other key of the "
        "configuration (default: head, loss and whatever else varies); where lr is not among "
        "them, a row is of the lr chosen on validation data",
    )
    parser.add_argument(
        "--metric",
        metavar="TAG",
        help="final number that ranks (default: accuracy/test; of a regression loss/test, or "
        "rmse/test where losses differ)",
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


def run(folder: list[str], by: str, **chosen: str | None) -> int:
    """Compare the runs in the folders; returns the exit code."""
    from mlr.analysis.compare.command import main as compare

    return compare(folder, by, **chosen)
