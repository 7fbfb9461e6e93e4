"""The command board: start TensorBoard, open its page, and wait for Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
import threading
import webbrowser
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from rich.text import Text

from mlr.app.board.server import serve
from mlr.app.board.view import view
from mlr.core.console import console, shown

REMOTE = ("CI", "SSH_CONNECTION", "SSH_TTY")
SCREENS = ("DISPLAY", "WAYLAND_DISPLAY")


def main(folder: str, browser: bool = True, every: bool = False) -> int:
    """Show the runs in a folder until Ctrl-C; returns the exit code.

    Args:
        folder: of a run, of a sweep, or above them.
        browser: open the page if there is a browser.
        every: show every run, even if they are too many for one page.

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


def has_browser(environment: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Return True if a page opened by this process would be seen.

    Args:
        environment: of the process.
        platform: as in `sys.platform`.
    """
    if environment.get("BROWSER"):  # set by editors that forward a remote machine's pages
        return True
    if any(map(environment.get, REMOTE)):
        return False
    return platform in ("darwin", "win32") or any(map(environment.get, SCREENS))
