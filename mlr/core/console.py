"""Terminal output: tables, progress and error messages, with control characters escaped."""

import re
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from mlr.core.text import printable

Progress = Callable[[float, int], None]
"""Called with what is done, updates or runs, and the number of all."""
WIDE = 200
"""Columns of a table that goes into a file."""
NARROW = 40
"""Columns of the narrowest terminal: in fewer, its own broken lines read better than cut words."""


class Output(Console):
    """Standard output, on which names that others gave are shown, never obeyed."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """Yield the pieces that are printed."""
        for piece in super().render(renderable, options):
            lines = piece.text.split("\n")
            if piece.control or all(line.isprintable() for line in lines):
                yield piece
            else:
                yield Segment("\n".join(map(printable, lines)), piece.style)


def console() -> Console:
    """Return standard output, without rich's highlighting of numbers and paths."""
    width = WIDE
    if sys.stdout and sys.stdout.isatty():  # COLUMNS, where it is a number above 0
        width = max(NARROW, shutil.get_terminal_size().columns)
    return Output(highlight=False, width=width)


def print_lines(out: Console, *lines: str, style: str = "") -> None:
    """Print whole lines without markup, which the terminal wraps."""
    for line in lines:
        out.print(Text(line, style=style), soft_wrap=True)


def is_watched() -> bool:
    """Return True if standard error is a terminal that can redraw a line."""
    return bool(sys.stderr) and sys.stderr.isatty() and Console(stderr=True).is_interactive


is_debugging = False
"""True if the command line has --debug: the traceback of an error is shown too."""


def take_debug_flag() -> None:
    """Take --debug, which Hydra does not know, from the command line."""
    global is_debugging
    is_debugging = "--debug" in sys.argv[1:]
    sys.argv = [word for word in sys.argv if word != "--debug"]


def show_traceback(error: BaseException) -> None:
    """Print the traceback on standard error after --debug."""
    if is_debugging:
        traceback.print_exception(error)


LONGEST = 200
"""Characters of a refusal, for nobody reads more; --debug shows all of it."""
LONGEST_PATH = 30


def refuse(message: str) -> None:
    """Print one sentence on standard error."""
    line = printable(" ".join(f"mlr: {message}".split()))
    print(line if is_debugging else shortened(line), file=sys.stderr)


def shortened(line: str) -> str:
    """Cut a line to `LONGEST` characters: the beginnings of long paths, then the middle."""
    for path in sorted(re.findall(r"[^\s=]*/\S*", line), key=len, reverse=True):
        if len(line) > LONGEST and len(path) > LONGEST_PATH:
            line = line.replace(path, f"…{path[1 - LONGEST_PATH :]}", 1)
    if len(line) <= LONGEST:
        return line
    begin, end = line[: 2 * LONGEST // 3], line[3 - LONGEST // 3 :]
    begin = begin.rpartition(" ")[0] or begin
    end = end.partition(" ")[2] or end
    return f"{begin.rstrip()} … {end.lstrip()}"


def say(message: str) -> None:
    """Print to standard error, never shortened."""
    print(printable(f"mlr: {message}"), file=sys.stderr)


_said: set[str] = set()


def say_once(message: str) -> None:
    """Print to standard error what holds for many runs, unless it was printed before."""
    pass_on(printable(f"mlr: {message}"))


def pass_on(line: str) -> None:
    """Print a line to standard error as it is, one of mlr's unless it was printed before."""
    if line not in _said:
        print(line, file=sys.stderr)
    if line.startswith("mlr: "):
        _said.add(line)


@contextmanager
def progress_bar(label: str, watched: bool = True) -> Iterator[Progress]:
    """Show a bar that vanishes at the end; nothing if no terminal is there."""
    if not (watched and is_watched()):
        yield lambda done, total: None
        return
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def shown(path: Path) -> str:
    """Return `path` relative to the working directory if it lies below, never as an option."""
    found = str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
    if found == ".":  # which is no folder for a run
        return str(Path.cwd())
    return f"./{found}" if found.startswith("-") else found
