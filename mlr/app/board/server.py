"""Run TensorBoard in this process; its plain address redirects to a view."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from io import StringIO
from pathlib import Path
from typing import Any

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def leading_to(link: Callable[[], str], inner: Application) -> Application:
    """Wrap an application so that its page without settings redirects to the one with them.

    Args:
        link: returns the end of the address, from `?` on.
        inner: TensorBoard's own application.
    """

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        plain = environ.get("PATH_INFO") == "/" and not environ.get("QUERY_STRING")
        with suppress(OSError):  # runs may be removed meanwhile
            if plain:
                place = ("Location", f"/{link()}")
                start_response("302 Found", [place, ("Content-Length", "0")])
                return []
        return inner(environ, start_response)

    return application


def serve(folder: Path, link: Callable[[], str]) -> str:
    """Start TensorBoard on the first free port from 6006 on; returns its address.

    Args:
        folder: the logdir.
        link: returns the end of the address to which the plain one redirects.
    """
    # its dashboards take seconds to import
    from tensorboard.program import TensorBoard, create_port_scanning_werkzeug_server

    def server(application: Application, flags: Any) -> Any:
        return create_port_scanning_werkzeug_server(leading_to(link, application), flags)

    with _quiet():
        board = TensorBoard(server_class=server)
        board.configure(["tensorboard", "--logdir", str(folder)])
        address: str = board.launch()
    return address


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence TensorBoard's advice on its own installation."""
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with redirect_stderr(StringIO()):
        yield
