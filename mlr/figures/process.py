"""A process that loads matplotlib while the network trains, and draws what it is sent.

matplotlib takes as long to load as a small run takes to train. The process ends with this one,
whose pipe it reads. Without it, or where it fails, figures are drawn here: they are the same.
"""

from __future__ import annotations

import atexit
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from mlr.core.commandline import CODE

_SERVE = """
import sys
sys.path.insert(0, {root!r})
from mlr.figures.process import serve
del sys.path[0]
serve()
"""


class Drawing(NamedTuple):
    """A figure to draw: a function of a module of figures, what it draws, and the title."""

    draw: Callable[[Any, str], Any]
    found: Any
    title: str


class _Process:
    """The process, and the pipes to it."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.child = subprocess.Popen(
            [sys.executable, "-P", "-c", _SERVE.format(root=str(CODE.parent))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C is for this process to act on
        )

    def draw(self, request: bytes) -> tuple[list[bytes], str]:
        """Send pickled drawings; return their images, up to the first error, and that error."""
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self.child.stdin.write(request)
        self.child.stdin.flush()
        answer: tuple[list[bytes], str] = pickle.load(self.child.stdout)
        return answer

    def close(self) -> None:
        """End the process, at once."""
        self.child.kill()
        self.child.communicate()


_process: _Process | None = None


def start() -> None:
    """Start the process, unless there is one, or matplotlib is here already."""
    global _process
    known = _process is not None and _process.owner == os.getpid()
    if known or "matplotlib.figure" in sys.modules:
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


def draw(drawings: Sequence[Drawing]) -> tuple[list[bytes], str]:
    """Draw figures, in the process if there is one.

    Returns:
        The PNG file of each drawing in turn, up to the first that fails, and `Error: message` of
        that one, empty without any.
    """
    if _process is not None and _process.owner == os.getpid():
        try:
            return _process.draw(pickle.dumps(drawings))
        except (pickle.PicklingError, AttributeError, TypeError):  # as of a function in a function
            pass
        except (OSError, EOFError):  # it has been killed
            stop()
        except BaseException:  # its answer would be taken for that of the next request
            stop()
            raise
    return _drawn(drawings)


def _drawn(drawings: Sequence[Drawing]) -> tuple[list[bytes], str]:
    from mlr.figures import canvas

    images: list[bytes] = []
    try:
        for draw, found, title in drawings:
            images.append(canvas.png(draw(found, title)))
    except Exception as error:
        return images, f"{type(error).__name__}: {error}"
    return images, ""


def serve() -> None:
    """Draw what standard input asks for, until it ends."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # for what others print
    _load()
    with suppress(EOFError, BrokenPipeError):
        while True:
            pickle.dump(_drawn(pickle.load(requests)), answers)
            answers.flush()


def _load() -> None:
    """Import what figures need, and draw one: fonts are read when they are first used."""
    import matplotlib.artist

    # lists of properties for docstrings, which nobody reads here, are a third of the import
    matplotlib.artist.kwdoc = lambda artist: ""

    from mlr.figures import canvas, record

    assert record.PICTURES
    figure = canvas.new_figure("0", [("1", canvas.INK)])
    canvas.new_axes(figure, canvas.BODY, x=(0, 1), y=(0, 1), labels=("x", "y"))
    canvas.png(figure)
