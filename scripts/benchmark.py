"""Time mlr and other programs that do the same, and print each promise with its measurement.

python scripts/benchmark.py --help
"""

if __name__ == "__main__":
    from _start import start

    start("benchmark")
