"""Run the lecture: measure the claims of its slides, and write its page.

python scripts/lecture.py 29
"""

if __name__ == "__main__":
    from _start import start

    start("lecture")
