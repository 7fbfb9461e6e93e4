"""Train one configuration, or with -m every combination of several.

python scripts/train.py head=sigmoid loss=se
python scripts/train.py --help
"""

if __name__ == "__main__":
    from _start import start

    start("train")
