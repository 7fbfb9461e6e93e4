"""Run the lecture: measure every claim of its slides, and write lecture/index.html.

python scripts/lecture.py 29
"""

if __name__ == "__main__":
    from _start import start

    start("lecture")
