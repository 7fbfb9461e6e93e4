"""Time mlr beside other ways to do the same, and print each promise with what was measured."""

import argparse
import sys

from mlr.app.benchmark import SECTIONS, chosen, measure
from mlr.checks import InputError


def main() -> None:
    """Measure the sections named on the command line."""
    width = max(map(len, SECTIONS))
    lines = [f"  {section.name:{width}}  {section.title}" for section in SECTIONS.values()]
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\n\nsections:\n" + "\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    named = "which to measure; without any: all but memory, which takes minutes"
    parser.add_argument("section", nargs="*", help=named)
    parser.add_argument(
        "--repeats",
        type=int,
        default=11,
        help="times that each is measured, medians of these (default: 11); commands 3 at most",
    )
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error(f"--repeats {arguments.repeats} must be at least 1")
    try:
        sections = chosen(arguments.section)
    except InputError as error:
        parser.error(str(error))
    measure(sections, arguments.repeats)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
