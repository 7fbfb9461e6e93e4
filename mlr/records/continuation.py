"""Truncation of a run's files to where its checkpoint was taken, and their continuation.

Rows and records that were written after the checkpoint are cut off. The events continue in a
new file: it makes readers forget the steps that were cut off, and repeats what lies before the
checkpoint at the same steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlr.core import durable
from mlr.core.checks import DataError
from mlr.records.metrics_table import rows_before
from mlr.records.run_folder import EVENTS, METRICS
from mlr.records.tensorboard.event_writer import EventWriter
from mlr.records.tensorboard.framing import records

_LIMIT = 1 << 62
_DTYPES = ("float16", "float32", "float64")


def truncate(folder: Path, sizes: Mapping[str, int]) -> None:
    """Cut the event files of `folder` to their sizes, and remove those without one.

    Raises:
        WriteError: a file is shorter, missing or cannot be changed.
    """
    for path in sorted(folder.glob(f"{EVENTS}*")):
        if path.name not in sizes:
            durable.remove(path)
    for name, size in sizes.items():
        durable.cut(folder / name, size)


def continue_events(folder: Path, sizes: Mapping[str, int], step: int) -> EventWriter:
    """Begin a new event file, whose readers forget steps from `step` on that they read before.

    Args:
        folder: of the run.
        sizes: bytes of the event files before, by name.
        step: updates that the run has done.

    Raises:
        DataError: a file before it is damaged.
    """
    writer = EventWriter(folder, purge_step=step)
    repeated: list[tuple[bytes, int]] = []
    for name, size in sizes.items():
        for framed, own, is_start in _summaries(folder / name, size):
            if is_start:  # its file repeats what was there before at these steps
                repeated = [one for one in repeated if one[1] < own]
            elif own >= step:
                repeated.append((framed, own))
    for framed, _ in repeated:
        writer.add(framed)
    return writer


def _summaries(path: Path, size: int) -> Iterator[tuple[bytes, int, bool]]:
    """Read the records of summaries and session starts in the first `size` bytes of a file.

    Yields each record, its step, and True for the start of a session. The rest is cut
    off: a power failure may have left a part of it.
    """
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.event_pb2 import Event

    try:
        for record in records(path.read_bytes()[:size]):
            event = Event.FromString(record.payload)
            kind = event.WhichOneof("what")
            if kind in ("summary", "session_log"):
                yield record.framed, event.step, kind == "session_log"
    except (ValueError, DecodeError) as error:
        raise DataError(
            f"{path} {error}; restore it from a copy, or train the run again."
        ) from error


def check_position(folder: Path, position: Any) -> None:
    """Check that a position was taken in this folder, whose files are as long at least.

    Args:
        folder: of the run.
        position: from `Recorder.position`, or anything in its place.

    Raises:
        DataError: it is no position, or a file is missing or shorter.
    """
    try:
        table, events = position["table"], position["events"]
        sizes = {METRICS: table["bytes"], **events}
        steps = (position["step"], table["step"] + 1, *(step + 1 for step in position["seen"]))
        sound = (
            all(map(_is_size, (*steps, *sizes.values())))
            # no path, so that nothing outside of the folder is cut
            and all(one.startswith(EVENTS) and not set(one) & set("/\\\0") for one in events)
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
    # the last row is written again, and may be missing if the run was killed before that
    sizes[METRICS] -= len(table["last"].encode())
    for name, size in sizes.items():
        path = folder / name
        found = path.stat().st_size if path.is_file() and not path.is_symlink() else 0
        if found < size:
            raise DataError(
                f"{path} has {found} of the {size} bytes that the checkpoint counts on: it is cut "
                "off, or the checkpoint is of another run."
            )


def check_files(folder: Path, position: Mapping[str, Any]) -> None:
    """Check that files are, up to a checked position, as they were written.

    Raises:
        DataError: naming the file, and what to do.
    """
    for name, size in position["events"].items():
        for _ in _summaries(folder / name, size):
            pass
    rows_before(folder / METRICS, position["table"])


def _is_size(number: Any) -> bool:
    return type(number) is int and 0 <= number < _LIMIT
