"""The position of a checkpoint in its run's files: its check, and what lies before and after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlr.core import durable
from mlr.core.checks import DataError
from mlr.records.encoding import payload_of, records
from mlr.records.run_folder import EVENTS, METRICS

if TYPE_CHECKING:
    from hashlib import _Hash as Digest

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


def repeated_records(folder: Path, sizes: Mapping[str, int], step: int) -> bytes:
    """Return the records of steps from `step` on, for a new event file that makes readers forget.

    Raises:
        DataError: a file of `sizes`, bytes by name, is damaged.
    """
    repeated: list[tuple[bytes, int]] = []
    for name, size in sizes.items():
        for framed, own, is_start in _summaries(folder / name, size):
            if is_start:  # its file repeats what was there before at these steps
                repeated = [one for one in repeated if one[1] < own]
            elif own >= step:
                repeated.append((framed, own))
    return b"".join(framed for framed, _ in repeated)


def _summaries(path: Path, size: int) -> Iterator[tuple[bytes, int, bool]]:
    """Read the records of summaries and session starts in the first `size` bytes of a file.

    Yields each record, its step, and True for the start of a session. The rest is cut
    off: a power failure may have left a part of it.
    """
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.event_pb2 import Event

    try:
        for framed in records(path.read_bytes()[:size]):
            event = Event.FromString(payload_of(framed))
            kind = event.WhichOneof("what")
            if kind in ("summary", "session_log"):
                yield framed, event.step, kind == "session_log"
    except (ValueError, DecodeError) as error:
        raise DataError(
            f"{path} {error}; restore it from a copy, or train the run again."
        ) from error


def check_position(folder: Path, position: Any) -> None:
    """Check that a position, or anything, was taken in this folder, whose files are as long.

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


def rows_before(path: Path, position: Mapping[str, Any]) -> Digest:
    """Compute the SHA-256 of all rows but the last that a table had at `position`.

    Raises:
        DataError: the file is not there, or is not what it was.
    """
    size = position["bytes"] - len(position["last"].encode())
    try:
        with path.open("rb") as file:
            digest = sha256(file.read(size))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    if digest.hexdigest() != position["sha256"]:
        raise DataError(
            f"{path} is damaged within its first {size} bytes, so its run must be started again."
        )
    return digest


def _is_size(number: Any) -> bool:
    return type(number) is int and 0 <= number < _LIMIT
