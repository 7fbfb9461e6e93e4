"""Time mlr and other ways to do the same, and print each promise with what was measured.

mlr benchmark
mlr benchmark own-loop sweep --repeats 5
"""

from __future__ import annotations

from argparse import ArgumentParser

from mlr.benchmarks import SECTIONS, chosen, measure
from mlr.core.checks import whole


def add_options(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    width = max(map(len, SECTIONS))
    lines = [f"  {section.name:{width}}  {section.title}" for section in SECTIONS.values()]
    parser.epilog = "\n".join(["sections:", *lines])
    parser.add_argument(
        "section", nargs="*", help="default: all but memory, which takes many minutes"
    )
    parser.add_argument(
        "--repeats",
        type=int,
        default=11,
        help="measurements of each, of which the median counts (default: 11); commands 3 at most",
    )


def run(section: list[str], repeats: int) -> int:
    """Measure the sections; returns the exit code."""
    measure(chosen(section), whole("--repeats", repeats))
    return 0
