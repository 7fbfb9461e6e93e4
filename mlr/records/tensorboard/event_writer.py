"""Writer of a run's event file."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Protocol

import numpy as np

from mlr.core import durable
from mlr.records.checksums import Checksum
from mlr.records.run_folder import EVENTS
from mlr.records.tensorboard.encoding import (
    check_steps,
    event,
    scalar_records,
    summary_record,
)
from mlr.records.tensorboard.framing import record

_NUMBER = count()
_SESSION_LOG, _START = 7, b"\x08\x01"  # Event.session_log = {status: START}
_NAME = re.compile(rf"{re.escape(EVENTS)}(\d+)\.")


class Serialisable(Protocol):
    """Any protocol-buffer message."""

    def SerializeToString(self) -> bytes:  # noqa: N802  protobuf's name
        """Serialise the message."""
        ...


class EventWriter:
    """Appends scalars and other summaries to one new event file of a folder.

    Everything stays in memory until `flush`, which appends it by one write and closes
    the file again; the file appears at the first flush. TensorBoard stores scalars as
    float32. Not for use by several threads at once.

    Attributes:
        path: of the file.
        size: bytes written.
    """

    def __init__(self, folder: Path, first: bool = False, purge_step: int | None = None):
        """Choose a file name that sorts after those in `folder`.

        Args:
            folder: where the file will be.
            first: True if the folder has no event file, so that it is not searched.
            purge_step: step from which on readers forget what they read before.
        """
        self.path = folder / _file_name(folder, first)
        self.size, self._digest = 0, sha256()
        version = event(time.time(), 0, 3, b"brain.Event:2")
        self._buffer = [record(version)]
        if purge_step is not None:
            start = record(event(time.time(), purge_step, _SESSION_LOG, _START))
            # twice: the reader of `tensorboard --load_fast=false` takes the first start that it
            # sees for the beginning of the run, whose first file has none
            self._buffer += [start, start]
        self._begun = False

    def scalars(
        self,
        steps: np.ndarray,
        tags: Sequence[str],
        values: np.ndarray,
        wall_times: np.ndarray,
        present: np.ndarray | None = None,
    ) -> None:
        """Add the values of many steps; all tags of a step share one event.

        Args:
            steps: int (P,), 0 or above.
            tags: T different names.
            values: (P, T), any finite or non-finite number; NaN is written as NaN.
            wall_times: (P,) seconds since 1970, UTC.
            present: bool (P, T); False leaves a value out, None means all are there.

        Raises:
            ValueError: shapes disagree, a tag occurs twice, or a step is negative.
        """
        steps, names = check_steps(steps), tuple(tags)
        values, wall_times = np.asarray(values), np.asarray(wall_times, dtype=np.float64)
        _check_shape("values", values, (len(steps), len(names)))
        _check_shape("wall_times", wall_times, (len(steps),))
        if len(set(names)) < len(names):
            raise ValueError(f"tags must differ, but one occurs twice: {', '.join(names)}.")
        if not values.size:
            return
        if present is not None:
            present = np.asarray(present, dtype=bool)
            _check_shape("present", present, values.shape)
        self.add(b"".join(scalar_records(steps, names, values, wall_times, present)))

    def add(self, records: bytes) -> None:
        """Add whole records, as `encoding` makes them."""
        self._buffer.append(records)

    def summary(self, proto: Serialisable, step: int, wall_time: float | None = None) -> None:
        """Add any `Summary` message: hparams, a layout, a figure.

        Args:
            proto: a tensorboard.compat.proto.summary_pb2.Summary.
            step: 0 or above.
            wall_time: seconds since 1970, UTC; None is now.

        Raises:
            ValueError: the step is negative.
        """
        check_steps([step])
        when = time.time() if wall_time is None else wall_time
        self.add(summary_record(proto.SerializeToString(), step, when))

    def pending_bytes(self) -> int:
        """Return the size of what waits in memory for the next flush."""
        return sum(map(len, self._buffer))

    def flush(self, sync: bool = False) -> None:
        """Append all that was added to the file; after an error it can be tried again.

        Args:
            sync: wait until it is on the disk.

        Raises:
            WriteError: naming the path and the cause; the file ends where it ended before.
        """
        if self._buffer or (sync and self._begun):  # an earlier flush did not wait
            content = b"".join(self._buffer)
            durable.append(self.path, content, new=not self._begun, sync=sync)
            self._begun = True
            self._buffer = []
            self.size += len(content)
            self._digest.update(content)

    def checksum(self) -> Checksum:
        """Return size and SHA-256 of the flushed file, without reading it."""
        return {"bytes": self.size, "sha256": self._digest.hexdigest()}


def _file_name(folder: Path, first: bool) -> str:
    """Choose a name that sorts after the event files already in the folder.

    TensorBoard reads a run's files by name; the time in it is pushed on where the clock
    went back or stood still.
    """
    newest = -1
    if not first and folder.is_dir():
        found = (_NAME.match(entry.name) for entry in folder.iterdir())
        newest = max((int(match[1]) for match in found if match), default=-1)
    when = max(int(time.time()), newest + 1)
    return f"{EVENTS}{when:010d}.{_host()}.{os.getpid()}.{next(_NUMBER)}"


@lru_cache(maxsize=1)
def _host() -> str:
    """Return this machine's name, as a part of a file name."""
    return re.sub(r"[^\w.-]", "-", socket.gethostname()) or "localhost"


def _check_shape(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless `array` has `shape`."""
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, not {array.shape}.")
