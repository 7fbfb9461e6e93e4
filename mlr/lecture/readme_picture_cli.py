"""Draw the README's picture, from runs made for it.

mlr figures
mlr figures --out picture.png
"""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from mlr.app.config.output_paths import ROOT

TARGET = ROOT / ".assets" / "gradient.png"


def add_options(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "--out", metavar="FILE", default=TARGET, help="default: .assets/gradient.png, the README's"
    )


def run(out: Path | str) -> int:
    """Draw the picture into the file; returns the exit code."""
    from mlr.lecture.readme_picture import draw_readme_picture

    draw_readme_picture(Path(out))
    print(f"drawn: {out}")
    return 0
