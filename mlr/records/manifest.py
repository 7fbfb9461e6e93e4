"""What makes a changed bit of a run's folder visible: a seal within a file, SHA-256 of the others.

A sealed file ends with the SHA-256 of all that stands before it, so that there is one
spelling of what it says and any other is refused. It lists the other files, but for those
that carry checksums themselves: of event files it tells the size only.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from mlr.records.format import SEAL_DIGITS

Entry = dict[str, Any]
"""`bytes`, and `sha256` as hexadecimal digits."""
JSON = (b',\n  "seal": "', b'"\n}\n')
"""What stands before and behind the seal of a JSON object."""
YAML = (b"seal: ", b"\n")
LISTED = (
    *("metrics.csv", "checkpoint.safetensors", "checkpoint-previous.safetensors"),
    *(".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml"),
)
"""Files of a run that change no more when it has ended."""
MOST = 64 << 20
"""Bytes of a file that is read for what it tells; a foreign one may be of any size."""


class SealError(ValueError):
    """A file is not, to the bit, what was sealed."""


def sealed(body: bytes, marks: tuple[bytes, bytes]) -> bytes:
    """`body` and its seal, between `marks`."""
    before, behind = marks
    return body + before + sha256(body).hexdigest().encode() + behind


def unsealed(content: bytes, marks: tuple[bytes, bytes]) -> bytes:
    """The body of what `sealed` made.

    Raises:
        SealError: it is anything else.
    """
    body = content[: -(len(marks[0]) + SEAL_DIGITS + len(marks[1]))]
    if sealed(body, marks) != content:
        raise SealError("its SHA-256 is not the one written into it")
    return body


def entry(content: bytes) -> Entry:
    """What a manifest says of a file that holds `content`."""
    return {"bytes": len(content), "sha256": sha256(content).hexdigest()}


def entries(folder: Path, known: Mapping[str, Entry]) -> dict[str, Entry]:
    """Of the files of a run that has ended: the `known` as they were written, others read back."""
    found = dict(known)
    for name in LISTED:
        if name not in found:
            with suppress(OSError):  # most often there is none
                found[name] = entry((folder / name).read_bytes())
    return dict(sorted(found.items()))


def read_small(path: Path) -> bytes:
    """All of a file that is one, and not too large to be what it should be.

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


def listed(status: Mapping[str, Any]) -> dict[str, Entry]:
    """The list of files in status.json; empty of a run that goes on."""
    return dict(status.get("files") or {})


def size_of(path: Path, folder: Path) -> int:
    """Bytes of a file of `folder`.

    Raises:
        ValueError: it is a link out of there, or no file.
        OSError: it cannot be looked at.
    """
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise ValueError("is a link out of the folder, which is not followed")
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("is not a file")
    return found.st_size


def check_entry(path: Path, folder: Path, entry: Entry) -> None:
    """Hold a file against what a manifest says of it.

    Raises:
        ValueError: it is another.
        OSError: it cannot be read.
    """
    size, expected = size_of(path, folder), entry["bytes"]
    if size != expected:
        how = "ends at byte" if size < expected else "is longer:"
        raise ValueError(f"{how} {size:,} of {expected:,}")
    if "sha256" in entry:
        with path.open("rb") as file:
            if file_digest(file, "sha256").hexdigest() != entry["sha256"]:
                raise ValueError(f"its {size:,} bytes have another SHA-256 than they had")
