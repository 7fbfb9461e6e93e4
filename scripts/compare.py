"""Compare runs: a table by head and loss, or any other key, over seeds.

python scripts/compare.py runs
"""

if __name__ == "__main__":
    from _start import start

    start("compare")
