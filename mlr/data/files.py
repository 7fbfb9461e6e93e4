"""Files that a person names: opened only if they are files, never read beyond what is sensible."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from os import fstat
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO, Protocol

from mlr.checks import InputError, memory_limit
from mlr.data.faults import LONGEST, fault, tail

MOST_BYTES = 4 * 2**30
"""Of one array, as its file declares it: four times that when bytes become float32."""
BEST_RATIO = 1032
"""Deflate cannot do better; whoever declares more than that lies."""
_PIECE = 1 << 20


class Stream(Protocol):
    """What bytes are read from in order, a file or what is packed in one."""

    def read(self, most: int, /) -> bytes:
        """Some bytes, `most` of them at most; none at the end."""


@contextmanager
def opened(path: Path, most: int, option: str = "") -> Iterator[tuple[BinaryIO, int]]:
    """A file and its size; what cannot be read of it becomes a DataError.

    Args:
        path: the file.
        most: bytes that it may have.
        option: that names it, as in data.path; empty for a file found in a folder.

    Raises:
        InputError: there is no file of the name that `option` gives.
        DataError: it is no file but a folder, a pipe or a device, which might never end; too
            large; cannot be read, or does not fit into memory.
    """
    try:
        _refuse_what_is_no_file(path, option)
        with path.open("rb") as file:
            size = fstat(file.fileno()).st_size
            if size > most:
                raise fault(path, f"has {size:,} bytes; {most:,} are the most that is read.")
            yield file, size
    except OSError as error:
        raise fault(path, f"cannot be read: {error.strerror or type(error).__name__}.") from None
    except MemoryError:
        raise fault(path, f"does not fit into memory{memory_limit()}.") from None


def _refuse_what_is_no_file(path: Path, option: str) -> None:
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
    """How many bytes there were for `room`."""
    filled = 0
    while filled < len(room) and (piece := stream.read(min(_PIECE, len(room) - filled))):
        room[filled : filled + len(piece)] = piece
        filled += len(piece)
    return filled


def no_web_page(path: Path, opening: bytes) -> None:
    """Refuse the page that a server sent in place of a file.

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
