"""Pictures of a run's event files, copied into a summary that shows them next to its means."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from mlr.records.run_folder import EVENTS
from mlr.records.tensorboard.framing import records

# the tag is field 1 of a Summary's value: key, length, text
_TAG = re.compile(rb"\x0a[\x00-\x7f](figure|pr_curve)/")


def picture_records(folder: Path) -> bytes:
    """Copy the records of a run's figures and PR curves from its event files.

    Nothing is decoded: a record holds a tag of one kind only, and is copied whole. A damaged or
    missing file ends the copying and is no error, because the run itself is not affected.
    """
    found: list[bytes] = []
    for path in sorted(folder.glob(f"{EVENTS}*")):
        with suppress(OSError, ValueError):
            content = path.read_bytes()
            if b"figure/" in content:  # most files are not searched further
                for record in records(content):
                    if _TAG.search(record.framed):
                        found.append(record.framed)
    return b"".join(found)
