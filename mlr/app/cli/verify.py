"""Verify runs: every file against its checksum, what is damaged, and what to do.

mlr verify runs/2026-01-31/12-00-00-abcdef
mlr verify runs
"""

from __future__ import annotations

from argparse import ArgumentParser


def add_options(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("folder", nargs="+", help="of a run, of a sweep, or above them")


def run(folder: list[str]) -> int:
    """Verify the runs in the folders; returns the exit code."""
    from mlr.analysis.verify.command import main as verify

    return verify(folder)
