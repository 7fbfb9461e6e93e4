"""Open TensorBoard on runs, in the browser.

python scripts/board.py runs
"""

if __name__ == "__main__":
    from _start import start

    start("board")
