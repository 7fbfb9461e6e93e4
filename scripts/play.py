"""Play with heads and losses in the browser: write playground.html and open it.

python scripts/play.py
"""

if __name__ == "__main__":
    from _start import start

    start("play")
