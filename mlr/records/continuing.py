"""Where the files of a run end when it is kept, and how they go on from there.

What was written behind that place is cut off. The events go on in a file of their own: readers
that saw what was cut off are told to forget it, and what lies before it at the same step is
told once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlr import durable
from mlr.checks import DataError
from mlr.records.encoding import record
from mlr.records.events import EventWriter

PREFIX = "events.out.tfevents."
_FRAME, _HEADER, _FOOTER = 8, 12, 4


def take_back(folder: Path, sizes: Mapping[str, int]) -> None:
    """Cut the event files of `folder` to their sizes, and remove those without one.

    Raises:
        WriteError: a file is shorter, missing or cannot be changed.
    """
    for path in sorted(folder.glob(f"{PREFIX}*")):
        if path.name not in sizes:
            durable.remove(path)
    for name, size in sizes.items():
        durable.cut(folder / name, size)


def going_on(folder: Path, sizes: Mapping[str, int], step: int) -> EventWriter:
    """The writer of a new file, whose readers forget steps from `step` on that they read before.

    Raises:
        DataError: a file before it is damaged.
    """
    writer = EventWriter(folder, purge_step=step)
    for name in sizes:
        for whole, own in _records(folder / name):
            if own >= step:
                writer.add(whole)
    return writer


def _records(path: Path) -> Iterator[tuple[bytes, int]]:
    """Each record of a file that holds a summary, and its step."""
    from tensorboard.compat.proto.event_pb2 import Event

    content, at = path.read_bytes(), 0
    while at < len(content):
        length = int.from_bytes(content[at : at + _FRAME], "little")
        whole = content[at : at + _HEADER + length + _FOOTER]
        payload = whole[_HEADER:-_FOOTER]
        if record(payload) != whole:  # its checksums, and its length
            raise DataError(f"{path} is damaged at byte {at}, so its run must be begun anew.")
        event = Event.FromString(payload)
        if event.WhichOneof("what") == "summary":
            yield whole, event.step
        at += len(whole)


def check_name(name: str) -> str:
    """A name from a checkpoint that is one of an event file, and no path.

    Raises:
        DataError: it is not.
    """
    if not name.startswith(PREFIX) or "/" in name or "\\" in name:
        raise DataError(f"the checkpoint names {name!r}, which is no event file of its run.")
    return name


def is_position(found: Any) -> bool:
    """Whether `found` is what `Recorder.position` gives, with what its table gives in it."""
    if not isinstance(found, Mapping):
        return False
    table, events, seen = (found.get(key) for key in ("table", "events", "seen"))
    return (
        isinstance(found.get("step"), int)
        and isinstance(found.get("epoch"), (int, float))
        and found.get("dtype") in ("float32", "float64")
        and isinstance(seen, list)
        and all(isinstance(one, int) for one in seen)
        and isinstance(events, Mapping)
        and all(isinstance(size, int) and size >= 0 for size in events.values())
        and isinstance(table, Mapping)
        and isinstance(table.get("last"), str)
        and all(isinstance(table.get(key), int) for key in ("step", "bytes"))
        and table["bytes"] >= len(table["last"].encode("utf-8", "replace")) >= 0
    )
