"""Time mlr and other ways to do the same, and print each promise with what was measured.

python scripts/benchmark.py --help
"""

if __name__ == "__main__":
    from _start import start

    start("benchmark")
