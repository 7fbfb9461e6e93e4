"""Say what is wrong with runs, in plain words, with the evidence and the remedy.

mlr explain runs/2026-01-31/12-00-00-sigmoid+se-1a2b3c
mlr explain runs/<sweep> --json
"""

from __future__ import annotations

from argparse import ArgumentParser


def add_options(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("folder", help="of a run, of a sweep, or one above them, as runs")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(folder: str, json: bool) -> int:
    """Explain the runs in the folder; returns the exit code."""
    from mlr.analysis.explain.command import main as explain

    return explain(folder, json)
