"""Time mlr beside a hand-written loop, in turn, in one process.

python scripts/benchmark.py
python scripts/benchmark.py --repeats 21
"""

import argparse

from mlr.app.benchmark import WORKS, compare


def main() -> None:
    """Print one line for each work: medians, their ratio, and the ratio promised."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=11, help="runs of each, medians of these")
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error(f"--repeats {arguments.repeats} must be at least 1")
    for work in WORKS:
        hand, own = compare(work, arguments.repeats)
        print(work.title)
        print(f"  by hand, no logging {hand * 1000:8.1f} ms")
        print(f"  mlr, default logging{own * 1000:8.1f} ms")
        print(f"  ratio {own / hand:.2f} (promised: at most {work.bar})")


if __name__ == "__main__":
    main()
