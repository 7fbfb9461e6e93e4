"""Standard output and error: closed, full or of any encoding, they never end the work.

A result is in its files before it is printed. What a standard stream cannot take is dropped, and
the exit code says so at the end; what its encoding lacks is written in ASCII.
"""

from __future__ import annotations

import codecs
import io
import os
import select
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from mlr.core.durable import WriteError
from mlr.core.text import in_ascii

_ERRORS = "in_ascii_or_"


class _Forgiving(io.FileIO):
    """The file of a standard stream; what it cannot take is dropped.

    fault: why the first time, None if it never was.
    """

    fault: OSError | None = None

    def write(self, content: Any) -> int:
        """Write all that can be written; a part of it would be all that `python -u` writes."""
        left = memoryview(content).cast("B")
        size = len(left)
        try:
            while left:
                if (taken := super().write(left)) is None:  # a pipe that does not block
                    select.select([], [self], [])
                else:
                    left = left[taken:]
        except OSError as error:
            self.fault = self.fault or error
        return size


def read_letters() -> None:
    """Start again in UTF-8 mode where the locale, as LC_ALL=C, made lone bytes of letters.

    Hydra writes its files in UTF-8, which has no such bytes.
    """
    if sys.getfilesystemencoding() == "utf-8" or os.environ.get("PYTHONUTF8") == "1":
        return
    lone = {chr(0xDC00 + byte) for byte in range(0x80, 0x100)}
    with suppress(FileNotFoundError):  # the working directory is gone
        if lone.isdisjoint("".join((str(Path.cwd()), *sys.argv))):
            return
    os.environ["PYTHONUTF8"] = "1"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def prepare() -> None:
    """Have standard output and error take everything from now on; may be called again."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed: a run's file would get its number, and what is printed there
            os.open(os.devnull, os.O_RDWR)
    sys.stdout, sys.stderr = _taking_all(sys.stdout, 1), _taking_all(sys.stderr, 2)


def exit_code(task: Callable[[], int]) -> int:
    """Run `task`; return its exit code, or 74 if that is 0 and standard output was lost."""
    try:
        code = task()
    except SystemExit as end:  # of a --help
        if end.code:
            raise
        code = 0
    sys.stdout.flush()
    fault = getattr(_file(sys.stdout), "fault", None)
    # a reader that leaves, as `head`, has seen enough
    if code or fault is None or isinstance(fault, BrokenPipeError):
        return code
    print(f"mlr: cannot write the output: {fault.strerror}.", file=sys.stderr)
    return WriteError.exit_code


def write_utf8(text: str) -> None:
    """Write what programs read to standard output: the bytes that a file would get."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    sys.stdout.buffer.flush()


def as_shown(text: str) -> str:
    """Return `text` as standard output shows it, so that columns can be aligned."""
    errors = getattr(sys.stdout, "errors", None) or ""
    if not errors.startswith(_ERRORS):
        return text
    return text.encode("ascii", errors).decode(errors.removeprefix(_ERRORS))


def _taking_all(stream: TextIO | None, number: int) -> TextIO:
    if stream is None:
        stream = io.TextIOWrapper(
            _Forgiving(number, "w", closefd=False), "utf-8", write_through=True
        )
    elif type(stream) is io.TextIOWrapper and type(_file(stream)) is io.FileIO:
        stream.flush()
        file: Any = _Forgiving(stream.fileno(), "w", closefd=False)
        buffered = isinstance(stream.buffer, io.BufferedWriter)  # not so with python -u
        stream = io.TextIOWrapper(
            io.BufferedWriter(file) if buffered else file,
            stream.encoding,
            stream.errors,
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )
    _set_errors(stream)
    return stream


def _file(stream: Any) -> Any:
    """Return the file below the buffers of a stream."""
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)


def _set_errors(stream: Any) -> None:
    """Have a stream write what its encoding lacks in ASCII."""
    if not hasattr(stream, "reconfigure") or stream.errors.startswith(_ERRORS):
        return
    encoding = codecs.lookup(stream.encoding).name
    if encoding.startswith("utf"):
        stream.reconfigure(errors="backslashreplace")  # half a character, as of a name of a file
        return
    codecs.register_error(f"{_ERRORS}{encoding}", partial(_replaced, encoding))
    # each run of other characters then comes to `_replaced` as a whole
    stream.reconfigure(encoding="ascii", errors=f"{_ERRORS}{encoding}")


def _replaced(encoding: str, error: UnicodeError) -> tuple[str | bytes, int]:
    """Encode a run of characters, all of it in ASCII if `encoding` lacks one: 10²⁰ is not 102."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    run = error.object[error.start : error.end]
    try:
        return run.encode(encoding), error.end
    except UnicodeEncodeError:
        return in_ascii(run), error.end
