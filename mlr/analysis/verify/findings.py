"""What is found out about the files of a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mlr.records.format import FormatError
from mlr.records.manifest import size_of

GOOD, NOTE, MENDED = "ok", "note", "mended"
DAMAGED, UNREADABLE, FORMAT = "damaged", "unreadable", "format"
MOST = 2 << 30
"""Bytes of a file that is read as a whole."""


class Finding(NamedTuple):
    """One file.

    kind: of the six above.
    name: within the folder.
    text: where it is damaged, and what to do.
    """

    kind: str
    name: str
    text: str = ""


@dataclass(frozen=True)
class Examined:
    """One folder.

    place: of a run or a sweep.
    state: in a few words, as in `done, 640 updates`.
    go_on: the command that goes on with what was ended early.
    found: a file each.
    """

    place: Path
    state: str
    go_on: str
    found: Sequence[Finding]


def judged(name: str, remedy: str, check: Callable[[], str]) -> Finding:
    """A file by a check that tells what is good about it, or raises.

    Args:
        name: of the file.
        remedy: what to do where it is damaged.
        check: raises ValueError where it is damaged, OSError where it cannot be read.
    """
    try:
        return Finding(GOOD, name, check())
    except FileNotFoundError:
        return Finding(DAMAGED, name, f"is missing; {remedy}")
    except OSError as error:
        return Finding(UNREADABLE, name, error.strerror or str(error))
    except MemoryError:
        return Finding(UNREADABLE, name, "it is more than memory holds")
    except FormatError as error:
        return Finding(FORMAT, name, str(error).rstrip("."))
    except ValueError as error:
        return Finding(DAMAGED, name, f"{str(error).rstrip('.')}; {remedy}")


def content_of(path: Path, folder: Path) -> bytes:
    """All of a file of `folder`.

    Raises:
        ValueError: it is no file, or a larger one than any of mlr's.
        OSError: it cannot be read.
    """
    size = size_of(path, folder)
    if size > MOST:
        raise ValueError(f"has {size:,} bytes, more than {MOST:,}")
    return path.read_bytes()
