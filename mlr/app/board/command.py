"""The command board: start TensorBoard, open its page, and wait for Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
import webbrowser
from contextlib import suppress
from pathlib import Path

from rich.text import Text

from mlr.app.board.browser import has_browser
from mlr.app.board.server import serve
from mlr.app.board.view import view
from mlr.core.console import console, shown


def main(folder: str, browser: bool = True, every: bool = False) -> int:
    """Show the runs in a folder until the person ends it; returns the exit code.

    Args:
        folder: of a run, of a sweep, or above them.
        browser: open the page where there is a browser.
        every: every run, even where they are too many for one page.

    Raises:
        InputError: there is no such folder.
    """
    found = view(Path(folder), every)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    out = console()
    with suppress(KeyboardInterrupt):
        address = serve(found.folder, found.link)
        out.print(Text(f"board        {address}"), soft_wrap=True)
        hint = f": {found.hint}" if found.hint else ""
        out.print(Text(f"shows        {shown(found.folder)}{hint}"), soft_wrap=True)
        out.print(Text("Ctrl-C ends it"))
        if browser and has_browser(os.environ):
            webbrowser.open(address)
        threading.Event().wait()
    return 0
