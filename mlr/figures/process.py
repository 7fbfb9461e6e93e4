"""A process that loads matplotlib while the network trains, and draws what it is sent.

matplotlib takes as long to load as a small run takes to train. The process ends with this one,
whose connection it reads. Without it, or where it fails, figures are drawn here: they are the same.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from mlr.core.commandline import CODE

_SERVE = """
import sys
sys.path.insert(0, {root!r})
from mlr.figures import record  # and so all figures
del sys.path[0]
record.process.serve({descriptor})
"""


class Drawing(NamedTuple):
    """A figure to draw: a function of a module of figures, what it draws, and the title."""

    draw: Callable[[Any, str], Any]
    found: Any
    title: str


Drawn = tuple[list[bytes], str]
"""PNG files of drawings, up to the first that fails, and `Error: message` of that one or ""."""


class _Process:
    """The process, and the connection to it."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.line, end = Pipe()
        try:
            code = _SERVE.format(root=str(CODE.parent), descriptor=end.fileno())
            self.child = subprocess.Popen(
                [sys.executable, "-P", "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[end.fileno()],
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                start_new_session=True,  # Ctrl-C is for this process to act on
            )
        except BaseException:
            self.line.close()
            raise
        finally:
            end.close()

    def close(self) -> None:
        """End the process, at once."""
        self.child.kill()
        self.child.wait()
        self.line.close()


_process: _Process | None = None


def start() -> None:
    """Start the process, unless there is one, or matplotlib is here already."""
    global _process
    known = _process is not None and _process.owner == os.getpid()
    # Windows passes no descriptors on
    if known or "matplotlib.figure" in sys.modules or os.name != "posix":
        return
    with suppress(OSError):  # figures are then drawn here
        _process = _Process()
        atexit.register(stop)


def stop() -> None:
    """End the process, if there is one."""
    global _process
    if _process is not None and _process.owner == os.getpid():
        _process.close()
    _process = None


def draw(drawings: Sequence[Drawing]) -> Drawn:
    """Draw figures, in the process if there is one."""
    if _process is not None and _process.owner == os.getpid():
        try:
            _process.line.send(drawings)
            answer: Drawn = _process.line.recv()
            return answer
        except (OSError, EOFError):  # it has been killed
            stop()
        except Exception:  # nothing was sent, as of a function within a function
            pass
        except BaseException:  # its answer would be taken for that of the next drawings
            stop()
            raise
    return _drawn(drawings)


def _drawn(drawings: Sequence[Drawing]) -> Drawn:
    from mlr.figures import canvas

    images: list[bytes] = []
    try:
        for draw, found, title in drawings:
            images.append(canvas.png(draw(found, title)))
    except Exception as error:
        return images, f"{type(error).__name__}: {error}"
    return images, ""


def serve(descriptor: int) -> None:
    """Draw what comes on a connection, until it ends."""
    line: Connection = Connection(descriptor)
    _load()
    with suppress(EOFError, OSError):
        while True:
            line.send(_drawn(line.recv()))


def _load() -> None:
    """Import what figures need, and draw one: fonts are read when they are first used."""
    import matplotlib.artist

    # lists of properties for docstrings, which nobody reads here, are a third of the import
    matplotlib.artist.kwdoc = lambda artist: ""

    from mlr.figures import canvas

    figure = canvas.new_figure("0", [("1", canvas.INK)])
    canvas.new_axes(figure, canvas.BODY, x=(0, 1), y=(0, 1), labels=("x", "y"))
    canvas.png(figure)
