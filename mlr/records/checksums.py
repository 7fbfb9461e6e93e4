"""Sizes and SHA-256 of files: computed when they are written, compared when they are read."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

Checksum = dict[str, Any]
"""`bytes`, and `sha256` as hexadecimal digits."""
MOST = 64 << 20
"""Largest size of a small file, in bytes; a file of somebody else may be of any size."""


def checksum(content: bytes) -> Checksum:
    """Return size and SHA-256 of a file that holds `content`."""
    return {"bytes": len(content), "sha256": sha256(content).hexdigest()}


def read_small(path: Path) -> bytes:
    """Read a regular file of at most `MOST` bytes.

    Raises:
        OSError: it cannot be read.
        ValueError: it is a device, a pipe or a folder, or larger than `MOST`.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is not a file")
    if found.st_size > MOST:
        raise ValueError(f"it has {found.st_size:,} bytes, more than {MOST:,}")
    return path.read_bytes()


def size_of(path: Path, folder: Path) -> int:
    """Return the bytes of a file of `folder`.

    Raises:
        ValueError: it is a link out of the folder, or no file.
        OSError: it cannot be looked at.
    """
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise ValueError("is a link out of the folder, which is not followed")
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("is not a file")
    return found.st_size


def check_file(path: Path, folder: Path, expected: Mapping[str, Any]) -> None:
    """Compare a file of `folder` with its checksum.

    Raises:
        ValueError: it has changed.
        OSError: it cannot be read.
    """
    size, known = size_of(path, folder), expected["bytes"]
    if size != known:
        how = "ends at byte" if size < known else "is longer:"
        raise ValueError(f"{how} {size:,} of {known:,}")
    if "sha256" in expected:
        with path.open("rb") as file:
            if file_digest(file, "sha256").hexdigest() != expected["sha256"]:
                raise ValueError(f"its {size:,} bytes have another SHA-256 than they had")
