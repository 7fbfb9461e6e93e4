"""Export a trained run as a program that needs no mlr.

python scripts/export.py runs/2026-01-31/12-00-00-abcdef
"""

if __name__ == "__main__":
    from _start import start

    start("export")
