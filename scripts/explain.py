"""Say what is wrong with runs, in plain words, with the evidence and the remedy.

python scripts/explain.py runs
"""

if __name__ == "__main__":
    from _start import start

    start("explain")
