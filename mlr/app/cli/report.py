"""Report of a run or a sweep: one HTML page that needs nothing else, offline too.

mlr report runs/2026-01-31/12-00-00-abcdef
mlr report runs/2026-01-31/12-00-00-abcdef --out report.html
"""

from __future__ import annotations

from argparse import ArgumentParser


def add_options(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("folder", help="of a run, of a sweep, or above them")
    parser.add_argument("--out", metavar="FILE", help="default: report.html in that folder")


def run(folder: str, out: str | None) -> int:
    """Write the page of the folder; returns the exit code."""
    from mlr.analysis.report.command import main as report

    return report(folder, out)
