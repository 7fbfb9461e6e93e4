"""Verify runs: every file against its checksums, what is damaged, and what to do.

mlr verify runs/2026-01-31/12-00-00-abcdef
mlr verify runs --repair
"""

from __future__ import annotations

from argparse import ArgumentParser


def add_options(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("folder", nargs="+", help="of a run, of a sweep, or above them")
    parser.add_argument(
        "--repair",
        action="store_true",
        help="repair event files, so that all records but the damaged are read, and remove what "
        "killed writers left; the originals are saved as .damaged",
    )


def run(folder: list[str], repair: bool) -> int:
    """Verify the runs in the folders; returns the exit code."""
    from mlr.analysis.verify.command import main as verify

    return verify(folder, repair)
