"""Draw the README's picture, from runs made for it.

python scripts/figures.py
"""

if __name__ == "__main__":
    from _start import start

    start("figures")
