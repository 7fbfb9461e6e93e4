"""Write one HTML page about runs that needs nothing else, offline too.

python scripts/report.py runs
"""

if __name__ == "__main__":
    from _start import start

    start("report")
