"""Reading of files that a person names: regular files only, of limited size."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from os import fstat
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO, Protocol

from mlr.core.checks import InputError, memory_limit
from mlr.data.faults import LONGEST, fault, tail

MOST_BYTES = 4 * 2**30
"""Largest array, as its file declares it; four times as much when bytes become float32."""
BEST_RATIO = 1032
"""Largest ratio of unpacked to packed bytes that deflate reaches."""
_PIECE = 1 << 20


class Stream(Protocol):
    """Sequence of bytes, of a file or unpacked from one."""

    def read(self, most: int, /) -> bytes:
        """Return 1 to `most` bytes, none at the end."""


@contextmanager
def opened(path: Path, most: int, option: str = "") -> Iterator[tuple[BinaryIO, int]]:
    """Open a file and yield it with its size; errors of reading become a DataError.

    Args:
        path: the file.
        most: largest size in bytes.
        option: override that names the file, as in data.path; empty for a file found in a folder.

    Raises:
        InputError: there is no file of the name that `option` gives.
        DataError: it is a folder, a pipe or a device; is too large; cannot be read, or does not
            fit into memory.
    """
    try:
        _require_regular_file(path, option)
        with path.open("rb") as file:
            size = fstat(file.fileno()).st_size
            if size > most:
                raise fault(path, f"has {size:,} bytes; {most:,} are the most that is read.")
            yield file, size
    except OSError as error:
        raise fault(path, f"cannot be read: {error.strerror or type(error).__name__}.") from None
    except MemoryError:
        raise fault(path, f"does not fit into memory{memory_limit()}.") from None


def _require_regular_file(path: Path, option: str) -> None:
    try:
        found = path.stat().st_mode
    except (FileNotFoundError, ValueError):  # ValueError: a null character in the name
        if not option:
            raise fault(path, "does not exist.") from None
        fix = f"does not exist; name another file by {option}=FILE."
        raise InputError(f"{tail(path, LONGEST - len(fix) - 1)} {fix}") from None
    if not S_ISREG(found):
        raise fault(path, "is not a file: a folder, a pipe or a device.")


def fill(room: memoryview, stream: Stream) -> int:
    """Fill `room` from a stream; return the number of bytes that there were."""
    filled = 0
    while filled < len(room) and (piece := stream.read(min(_PIECE, len(room) - filled))):
        room[filled : filled + len(piece)] = piece
        filled += len(piece)
    return filled


def no_web_page(path: Path, opening: bytes) -> None:
    """Refuse a web page that a server sent in place of a file.

    Raises:
        DataError: `opening`, the first bytes, are those of HTML or XML.
    """
    if opening.lstrip()[:1] == b"<":
        raise fault(path, "is an HTML or XML page, not data: get the file again, by another way.")


def is_intact(target: Path, sha256: str) -> bool:
    """Return True if the file exists and has the content that it should have."""
    return target.is_file() and digest(target) == sha256


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise fault(path, f"cannot be read: {error.strerror or error}.") from None
