"""Pictures of a run's event file, for a summary that shows them beside its means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

# the tag is field 1 of a Summary's value: key, length, text
_TAG = re.compile(rb"\x0a[\x00-\x7f](figure|pr_curve)/")
_HEADER, _CHECKSUM = 12, 4


def picture_records(folder: Path) -> bytes:
    """The records of a run's figures and PR curves, as they lie in its event files.

    Nothing of them is decoded: a record holds a tag of one kind only, and is copied whole. A
    damaged or missing file ends the copying and is no error, for the run itself stands.
    """
    found = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        try:
            content = path.read_bytes()
        except OSError:
            continue
        if b"figure/" in content:  # of most files nothing more is looked at
            found += [one for one in _records(content) if _TAG.search(one)]
    return b"".join(found)


def _records(content: bytes) -> Iterator[bytes]:
    """The whole records of an event file: length, its checksum, payload, its checksum."""
    start = 0
    while start + _HEADER <= len(content):
        length = int.from_bytes(content[start : start + 8], "little")
        end = start + _HEADER + length + _CHECKSUM
        if end > len(content):
            return
        yield content[start:end]
        start = end
