"""Draw the README's picture anew, from runs made for it.

python scripts/figures.py
"""

from pathlib import Path

from mlr.app.readme_picture import draw_readme_picture

TARGET = Path(__file__).parents[1] / ".assets" / "gradient.png"


def main() -> None:
    """Write the picture and say where."""
    TARGET.parent.mkdir(exist_ok=True)
    draw_readme_picture(TARGET)
    print(f"drawn: {TARGET}")


if __name__ == "__main__":
    main()
