"""Files of a run that grow while it is recorded: tables and TensorBoard's event files."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Mapping
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.summary_pb2 import Summary

from mlr.core import durable
from mlr.records.checksums import Checksum
from mlr.records.continuation import rows_before
from mlr.records.encoding import event
from mlr.records.run_folder import EVENTS

_NUMBER = count()
_VERSION, _SUMMARY, _SESSION_LOG = 3, 5, 7
_START = b"\x08\x01"  # status: START
_NAME = re.compile(rf"{re.escape(EVENTS)}(\d+)\.")


class GrowingFile:
    """A file that is appended to: what is added stays in memory until `flush` writes all at once.

    Attributes:
        path: of the file, which appears at the first flush.
        size: bytes written.
        digest: SHA-256 of all that was added but `last`.
        last: the end of it, which `replace_last` may still change.
    """

    def __init__(self, path: Path, head: bytes = b""):
        self.path, self.size = path, 0
        self.digest, self.last = sha256(head), b""
        self._buffer, self._begun = [head], False

    def cut(self, position: Mapping[str, Any]) -> None:
        """Continue a table where `position` was taken; errors are those of `Recorder.resume`."""
        self.digest, self.last = rows_before(self.path, position), position["last"].encode()
        # the last row may have been filled since: it is written once more
        self.size = position["bytes"] - len(self.last)
        durable.cut(self.path, self.size)
        self._buffer, self._begun = [self.last], True

    def add(self, content: bytes, last: bytes = b"") -> None:
        """Add bytes that end with `last`."""
        self.digest.update(self.last)
        self.digest.update(content.removesuffix(last))
        self.last = last
        self._buffer.append(content)

    def replace_last(self, new: bytes) -> None:
        """Replace `last` by bytes that are no fewer; WriteError if that cannot be written."""
        if self._buffer:
            self._buffer[-1] = self._buffer[-1].removesuffix(self.last) + new
        else:
            durable.replace_end(self.path, self.last, new)
            self.size += len(new) - len(self.last)
        self.last = new

    def flush(self, sync: bool = False) -> None:
        """Append what was added; after an error it can be tried again.

        Args:
            sync: wait until it is on the disk, with what earlier flushes did not wait for.

        Raises:
            WriteError: naming the path and the cause; the file ends where it ended before.
        """
        if self._buffer or sync:
            content = b"".join(self._buffer)
            durable.append(self.path, content, new=not self._begun, sync=sync)
            self._buffer, self._begun = [], True
            self.size += len(content)

    def checksum(self) -> Checksum:
        """Return size and SHA-256 of the flushed file, without reading it."""
        whole = self.digest.copy()
        whole.update(self.last)
        return {"bytes": self.size, "sha256": whole.hexdigest()}


def new_events(folder: Path, purge_step: int | None = None) -> GrowingFile:
    """Begin an event file whose name sorts after those in `folder`.

    TensorBoard reads a run's files by name; the time in it is pushed on where the clock went back
    or stood still.

    Args:
        folder: where the file will be.
        purge_step: step from which on readers forget what they read before.
    """
    now, found = time.time(), (_NAME.match(entry.name) for entry in folder.iterdir())
    newest = max((int(match[1]) for match in found if match), default=-1)
    host = re.sub(r"[^\w.-]", "-", socket.gethostname()) or "localhost"
    name = f"{max(int(now), newest + 1):010d}.{host}.{os.getpid()}.{next(_NUMBER)}"
    head = event(now, 0, _VERSION, b"brain.Event:2")
    if purge_step is not None:
        # twice: the reader of `tensorboard --load_fast=false` takes the first start that it
        # sees for the beginning of the run, whose first file has none
        head += 2 * event(now, purge_step, _SESSION_LOG, _START)
    return GrowingFile(folder / f"{EVENTS}{name}", head)


def summary_record(summary: Summary, step: int, wall_time: float | None = None) -> bytes:
    """Build the record of hparams, a layout or a figure; `wall_time` None is now."""
    when = time.time() if wall_time is None else wall_time
    return event(when, step, _SUMMARY, summary.SerializeToString())
