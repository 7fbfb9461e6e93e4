"""Open TensorBoard on runs, in the browser, with the charts that tell most on top.

mlr board
mlr board runs/2026-01-31/12-00-00-abcdef
"""

from __future__ import annotations

from argparse import ArgumentParser


def add_options(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "folder",
        nargs="?",
        default="runs",
        help="of a run, of a sweep, or above them (default: runs)",
    )
    parser.add_argument("--no-browser", action="store_true", help="print the address only")
    parser.add_argument(
        "--all",
        action="store_true",
        help="show every run; of more than 500, TensorBoard ticks none at first",
    )


def run(folder: str, no_browser: bool, all: bool) -> int:
    """Show the runs in the folder until Ctrl-C; returns the exit code."""
    from mlr.app.board.command import main as board

    return board(folder, not no_browser, all)
