"""Standard output and error that never end the work: closed, full, or of any encoding.

A result is in its files before it is printed. What a standard stream cannot take is dropped, and
the exit code says so at the end; what its encoding lacks is escaped.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import Any

from mlr.core.durable import WriteError


class _Forgiving(io.FileIO):
    """The file of a standard stream; what it cannot take is dropped.

    fault: why the first time, None if it never was.
    """

    fault: OSError | None = None

    def write(self, content: Any) -> int:
        try:
            return super().write(content)
        except OSError as error:
            self.fault = self.fault or error
            return len(content)


def prepare() -> None:
    """Have standard output and error take everything from now on; may be called again."""
    for number in range(3):
        try:
            os.set_blocking(number, True)
        except OSError:  # closed: a run's file would get its number, and what is printed there
            os.open(os.devnull, os.O_RDWR)
    sys.stdout, sys.stderr = _taking_all(sys.stdout, 1), _taking_all(sys.stderr, 2)


def _taking_all(stream: Any, number: int) -> Any:
    encoding = "utf-8"
    if type(stream) is io.TextIOWrapper and type(_file(stream)) is io.FileIO:
        stream.flush()
        number, encoding, stream = stream.fileno(), stream.encoding, None
    if stream is None:
        file = io.BufferedWriter(_Forgiving(number, "w", closefd=False))
        stream = io.TextIOWrapper(file, encoding, line_buffering=True)
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
    return stream


def _file(stream: Any) -> Any:
    """Return the file below the buffers of a stream."""
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)  # python -u has no buffer


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
