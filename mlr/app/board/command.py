"""The command board: start TensorBoard, open its page, and wait for Ctrl-C."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stderr, suppress
from io import StringIO
from pathlib import Path
from typing import Any

from rich.text import Text

from mlr.app.board.view import view
from mlr.core.console import console, shown

REMOTE = ("CI", "SSH_CONNECTION", "SSH_TTY")
SCREENS = ("DISPLAY", "WAYLAND_DISPLAY")
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


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
    """Return True if a page opened by a process of this environment would be seen."""
    if environment.get("BROWSER"):  # set by editors that forward a remote machine's pages
        return True
    if any(map(environment.get, REMOTE)):
        return False
    return platform in ("darwin", "win32") or any(map(environment.get, SCREENS))


def serve(folder: Path, link: Callable[[], str]) -> str:
    """Start TensorBoard on the first free port from 6006 on; returns its address.

    The plain address redirects to the one with the end that `link` returns.
    """
    # its dashboards take seconds to import
    from tensorboard.program import TensorBoard, create_port_scanning_werkzeug_server

    def server(application: Application, flags: Any) -> Any:
        return create_port_scanning_werkzeug_server(leading_to(link, application), flags)

    for name in ("tensorboard", "werkzeug"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with redirect_stderr(StringIO()):  # its advice on its own installation
        board = TensorBoard(server_class=server)
        board.configure(["tensorboard", "--logdir", str(folder)])
        address: str = board.launch()
    return address


def leading_to(link: Callable[[], str], inner: Application) -> Application:
    """Wrap an application so that its page without settings redirects to the one with them."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") == "/" and not environ.get("QUERY_STRING"):
            start_response("302 Found", [("Location", f"/{link()}"), ("Content-Length", "0")])
            return []
        return inner(environ, start_response)

    return application
