"""Write one HTML page about runs, which works offline.

python scripts/report.py runs
"""

if __name__ == "__main__":
    from _start import start

    start("report")
