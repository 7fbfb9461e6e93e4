"""Where the files of a run end when it is kept, and how they go on from there.

What was written behind that place is cut off. The events go on in a file of their own: readers
that saw what was cut off are told to forget it, and what lies before it at the same step is
told once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlr.core import durable
from mlr.core.checks import DataError
from mlr.core.commandline import command
from mlr.records.eventfile import payload, spans
from mlr.records.events import EventWriter
from mlr.records.table import rows_before

PREFIX = "events.out.tfevents."
METRICS = "metrics.csv"
_LIMIT = 1 << 62
_DTYPES = ("float16", "float32", "float64")


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
    told: list[tuple[bytes, int]] = []
    for name, size in sizes.items():
        for whole, own, starts in _records(folder / name, size):
            if starts:  # what was told before at these steps, this file tells once more
                told = [one for one in told if one[1] < own]
            elif own >= step:
                told.append((whole, own))
    for whole, _ in told:
        writer.add(whole)
    return writer


def _records(path: Path, size: int) -> Iterator[tuple[bytes, int, bool]]:
    """Each summary of a file's first bytes, its step, and whether it is the start of one instead.

    What lies behind them is cut off: a power failure may have left a part of it.
    """
    from tensorboard.compat.proto.event_pb2 import Event

    content = path.read_bytes()[:size]
    for span in spans(content):
        if not span.whole:
            raise DataError(
                f"{path} is damaged at byte {span.start}; "
                f"repair it: {command('verify', '--repair', str(path.parent))}"
            )
        event = Event.FromString(payload(content, span))
        kind = event.WhichOneof("what")
        if kind in ("summary", "session_log"):
            yield content[span.start : span.end], event.step, kind == "session_log"


def check_position(folder: Path, position: Any) -> None:
    """Refuse a position that was not taken in this folder, or behind which nothing is left.

    Args:
        folder: of the run.
        position: from `Recorder.position`, or whatever somebody put in its place.

    Raises:
        DataError: it is no position; a file that it tells of is missing, or shorter.
    """
    try:
        table, events = position["table"], position["events"]
        sizes = {METRICS: table["bytes"], **events}
        steps = (position["step"], table["step"] + 1, *(step + 1 for step in position["seen"]))
        sound = (
            all(map(_is_size, (*steps, *sizes.values())))
            # no path, so that nothing outside of the folder is cut
            and all(one.startswith(PREFIX) and not set(one) & set("/\\\0") for one in events)
            and len(table["last"].encode()) <= table["bytes"]
            and isinstance(table["sha256"], str)
            and len(events) > 0
            and position["dtype"] in _DTYPES
            and float(position["epoch"]) >= 0
        )
    except (KeyError, TypeError, AttributeError, ValueError):
        sound = False
    if not sound:
        raise DataError(f"the checkpoint in {folder} does not say where its records end.")
    # the last row is written once more, and a run that was killed before it was is without it
    sizes[METRICS] -= len(table["last"].encode())
    for name, size in sizes.items():
        path = folder / name
        found = path.stat().st_size if path.is_file() and not path.is_symlink() else 0
        if found < size:
            raise DataError(
                f"{path} has {found} of the {size} bytes that the checkpoint tells of: it is cut "
                "off, or the checkpoint is of another run."
            )


def check_files(folder: Path, position: Mapping[str, Any]) -> None:
    """Refuse files that are not, up to a sound position, what was written.

    Raises:
        DataError: naming the file, and what to do.
    """
    for name, size in position["events"].items():
        for _ in _records(folder / name, size):
            pass
    rows_before(folder / METRICS, position["table"])


def _is_size(number: Any) -> bool:
    return type(number) is int and 0 <= number < _LIMIT
