"""Reading of files that a person names: regular files only, of limited size."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

from mlr.core.checks import InputError, memory_limit
from mlr.data.faults import LONGEST, fault, tail

MOST_BYTES = 4 * 2**30
"""Largest array, as its file declares it; four times as much when bytes become float32."""


@contextmanager
def opened(path: Path, most: int, option: str = "") -> Iterator[BinaryIO]:
    """Open a file; errors of reading become a DataError.

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
        try:
            status = path.stat()
        except (FileNotFoundError, ValueError):  # ValueError: a null character in the name
            if not option:
                raise fault(path, "does not exist.") from None
            fix = f"does not exist; name another file by {option}=FILE."
            raise InputError(f"{tail(path, LONGEST - len(fix) - 1)} {fix}") from None
        if not S_ISREG(status.st_mode):
            raise fault(path, "is not a file: a folder, a pipe or a device.")
        if status.st_size > most:
            raise fault(path, f"has {status.st_size:,} bytes; {most:,} are the most that is read.")
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise fault(path, f"cannot be read: {error.strerror or type(error).__name__}.") from None
    except MemoryError:
        raise fault(path, f"does not fit into memory{memory_limit()}.") from None


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
