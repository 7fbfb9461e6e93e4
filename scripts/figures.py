"""Draw runs, sweeps and pairs of head and loss into files for slides and papers.

python scripts/figures.py runs
"""

if __name__ == "__main__":
    from _start import start

    start("figures")
