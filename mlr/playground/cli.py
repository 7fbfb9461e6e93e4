"""Play with heads and losses in the browser: write playground.html and open it.

mlr play
mlr play runs/2026-01-31/12-00-00-sigmoid+se-1a2b3c
"""

from __future__ import annotations

import os
import webbrowser
from argparse import ArgumentParser
from pathlib import Path

FILE = "playground.html"


def add_options(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "folder",
        nargs="?",
        help="of a run, or of two that differ in head and loss, whose setting and examples are "
        "shown; without it, the lecture's saturated neuron",
    )
    parser.add_argument("--out", metavar="FILE", default=FILE, help=f"the page (default: {FILE})")
    parser.add_argument(
        "--no-browser", dest="browser", action="store_false", help="write the page only"
    )


def run(folder: str | None, out: str, browser: bool) -> int:
    """Write the page and open it; returns the exit code."""
    from rich.text import Text

    from mlr.analysis.webpage import refuse_foreign_page
    from mlr.app.board.command import has_browser
    from mlr.core.console import console
    from mlr.core.durable import atomic_write
    from mlr.playground.page import page_html
    from mlr.playground.settings import Opening, opening_of

    path = Path(out)
    refuse_foreign_page(path)
    opening = Opening({}) if folder is None else opening_of(Path(folder))
    atomic_write(path, page_html(opening).encode(), sync=False)
    console().print(Text(f"page         {path}"), soft_wrap=True)
    if browser and has_browser(os.environ):
        webbrowser.open(path.resolve().as_uri())
    return 0
