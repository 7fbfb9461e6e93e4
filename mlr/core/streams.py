"""Standard output and error: closed, full or of any encoding, they never end the work.

A result is in its files before it is printed. What a standard stream cannot take is dropped, and
the exit code says so at the end; what its encoding lacks is written in ASCII.
"""

import codecs
import io
import os
import re
import select
import sys
import unicodedata
from collections.abc import Callable
from typing import Any, TextIO

from mlr.core.durable import WriteError

IN_ASCII = {
    **{"‖": "||", "±": "+-", "−": "-", "–": "-", "×": "x", "·": "*", "∞": "inf", "√": "sqrt"},
    **{"↑": "^", "↓": "v", "→": "->", "≤": "<=", "≥": ">=", "⁄": "/", "’": "'", "Σ": "sum"},
    **{"⟨": "<", "⟩": ">", "←": "<-", "↦": "->", "⇔": "<=>", "∂": "d", "∇": "grad", "∈": "in"},
    **{"∑": "sum", "∏": "prod", "∫": "int", "∓": "-+", "∘": "o", "✓": "yes", "✗": "no"},
    **{"—": "--", "‐": "-", "‑": "-", "‒": "-", "‘": "'", "′": "'", "÷": "/", "≈": "~"},
    **dict.fromkeys("“”„", '"'),
}
"""Stand-ins of signs that mlr prints and Unicode does not decompose into ASCII."""
_RAISED = re.compile("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹ᶻˢ]+")


def in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Handle an error of encoding: 10⁻¹² ½ becomes 10^-12 1/2, and any other sign `?`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = _RAISED.sub(lambda raised: f"^{raised[0]}", error.object[error.start : error.end])
    parts = unicodedata.normalize("NFKD", text)
    signs = (_sign(one) for one in parts if not unicodedata.combining(one))
    return "".join(sign if sign.isascii() else "?" for sign in signs), error.end


def _sign(one: str) -> str:
    """Return the stand-in of a sign, for a Greek letter its name; without one the sign itself."""
    name = unicodedata.name(one, "")
    return IN_ASCII.get(one, name.split()[-1].lower() if name.startswith("GREEK") else one)


codecs.register_error("in_ascii", in_ascii)


class _Forgiving(io.FileIO):
    """The file of a standard stream; what it cannot take is dropped.

    fault: why the first time, None if it never was.
    """

    fault: OSError | None = None

    def write(self, content: Any) -> int:
        """Write all that can be written."""
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


def _taking_all(stream: TextIO | None, number: int) -> TextIO:
    encoding, by_line = "utf-8", True
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="in_ascii")
        encoding, by_line = stream.encoding, stream.line_buffering or stream.write_through
    if stream is not None and type(_file(stream)) is not io.FileIO:  # done before, or a notebook's
        return stream
    file = io.BufferedWriter(_Forgiving(number, "w", closefd=False))
    return io.TextIOWrapper(file, encoding, "in_ascii", line_buffering=by_line)


def _file(stream: Any) -> Any:
    """Return the file below the buffers of a stream; with `python -u` it has one buffer fewer."""
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)
