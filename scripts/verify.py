"""Check every file of runs against its checksum.

python scripts/verify.py runs
"""

if __name__ == "__main__":
    from _start import start

    start("verify")
