"""Check every file of runs against its checksums, and repair.

python scripts/verify.py runs --repair
"""

if __name__ == "__main__":
    from _start import start

    start("verify")
