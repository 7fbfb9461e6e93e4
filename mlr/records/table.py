"""metrics.csv: one row a logged step, for spreadsheets, pandas and people."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlr.core import durable
from mlr.core.checks import DataError
from mlr.records.decimals import cells, texts
from mlr.records.encoding import check_steps
from mlr.records.manifest import Entry

if TYPE_CHECKING:
    from hashlib import _Hash as Digest


class MetricsTable:
    r"""A growing CSV file with columns step, epoch and the tags given at the start.

    Numbers are the shortest that read back as the same number of the array's own dtype:
    a float32 0.1 stands as 0.1. A value that is absent leaves its cell empty, which numpy,
    pandas, polars, R, SQL and spreadsheets take for missing: a nan would be text in a
    spreadsheet, and make every mean of SQL and polars nan. nan and inf stand only for values
    that were recorded so. A column without any value is text to duckdb, until it is cast:
    `try_cast("loss/test" as double)`. UTF-8, comma, line ends \n. Kept in memory until `flush`.
    """

    def __init__(self, path: Path, tags: Sequence[str]):
        self.path = path
        self.tags = tuple(tags)
        if len({"step", "epoch", *self.tags}) < len(self.tags) + 2:
            raise ValueError(f"columns must differ, but one occurs twice: {', '.join(tags)}.")
        self._buffer = [_line(["step", "epoch", *self.tags]).encode("utf-8")]
        self._begun = False
        self._size = 0
        self._step, self._last = -1, b""  # the last row, and its step
        # of the file without its last row, which may still be filled; then that row
        self._digest, self._tail = sha256(), b""

    def append(
        self,
        steps: np.ndarray,
        epochs: np.ndarray,
        values: np.ndarray,
        present: np.ndarray | None = None,
    ) -> None:
        """Add one row a step; a first step equal to the last row's fills that row's cells.

        Args:
            steps: int (P,), increasing.
            epochs: (P,) passes over the training data so far.
            values: (P, T) in the order of the tags.
            present: bool (P, T); False leaves the cell empty, None means all are there.

        Raises:
            ValueError: shapes disagree, or the steps do not increase.
            WriteError: a row that is in the file already could not be filled.
        """
        steps, epochs, values = check_steps(steps), np.asarray(epochs), np.asarray(values)
        shape = (len(steps), len(self.tags))
        if values.shape != shape or epochs.shape != shape[:1]:
            raise ValueError(
                f"epochs and values must have shapes {shape[:1]} and {shape}, "
                f"not {epochs.shape} and {values.shape}."
            )
        if len(steps):
            check_increase(steps)
            there = None if present is None else np.broadcast_to(present, shape)
            lines = text(row_starts(steps, epochs), values, there)
            self.add(lines.tobytes(), int(steps[0]), int(steps[-1]))

    def add(self, rows: bytes, first: int, last: int) -> None:
        """Add rows as `text` makes them, from step `first` to step `last`."""
        if first < self._step:
            raise ValueError(f"steps must increase, from {self._step} on.")
        lines = rows.translate(None, b"\0")
        if first == self._step:
            line, end, lines = lines.partition(b"\n")
            self._fill_last(line + end)
        if lines:
            self._buffer.append(lines)
            self._last = lines[lines.rfind(b"\n", 0, -1) + 1 :]
            self._step = last

    def _fill_last(self, line: bytes) -> None:
        """Replace the cells of the last row where `line` has any, so that a step has one row."""
        pairs = zip(line[:-1].split(b","), self._last[:-1].split(b","), strict=True)
        merged = b",".join([new or former for new, former in pairs]) + b"\n"
        if self._buffer:
            self._buffer[-1] = self._buffer[-1].removesuffix(self._last) + merged
        else:
            durable.replace_end(self.path, self._last, merged)
            self._size += len(merged) - len(self._last)
            self._tail = merged
        self._last = merged

    def position(self) -> dict[str, Any]:
        """Where the flushed file ends, for `go_on`; JSON can hold it."""
        return {
            "bytes": self._size,
            "step": self._step,
            "last": self._last.decode(),
            "sha256": self._digest.hexdigest(),
        }

    def go_on(self, position: Mapping[str, Any]) -> None:
        """Cut the file where `position` was taken, and go on from there.

        Raises:
            DataError: the file is not there, or is not what it was.
            WriteError: it cannot be cut.
        """
        self._digest = rows_before(self.path, position)
        self._step, self._last = position["step"], position["last"].encode()
        # the last row may have been filled since: it is written once more
        self._size = position["bytes"] - len(self._last)
        durable.cut(self.path, self._size)
        self._begun, self._buffer = True, [self._last]

    def pending_bytes(self) -> int:
        """What is in memory until the next flush."""
        return sum(map(len, self._buffer))

    def flush(self, sync: bool = False) -> None:
        """Append what was added to the file; after an error it is still there to try again.

        Args:
            sync: wait until it is on the disk.

        Raises:
            WriteError: naming the path and the cause; the file ends where it ended before.
        """
        if self._buffer or sync:
            content = b"".join(self._buffer)
            durable.append(self.path, content, new=not self._begun, sync=sync)
            self._begun = True
            self._size += len(content)
            self._buffer = []
            tail = self._tail + content
            done = len(tail) - len(self._last)
            self._digest.update(tail[:done])
            self._tail = tail[done:]

    def entry(self) -> Entry:
        """What a manifest says of the flushed file."""
        whole = self._digest.copy()
        whole.update(self._tail)
        return {"bytes": self._size, "sha256": whole.hexdigest()}

    def close(self) -> None:
        """Flush, and wait until the file is on the disk."""
        self.flush(sync=True)


def rows_before(path: Path, position: Mapping[str, Any]) -> Digest:
    """The SHA-256 of all rows but the last of what stood in the file when `position` was taken.

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


def check_increase(steps: np.ndarray) -> None:
    """Raise ValueError unless each step is above the one before."""
    if (np.diff(steps) <= 0).any():
        raise ValueError("steps must increase.")


def row_starts(steps: np.ndarray, epochs: np.ndarray) -> np.ndarray:
    """The first two cells of rows, uint8 (P, width), with zero bytes behind."""
    pairs = zip(steps.tolist(), texts(epochs), strict=True)
    starts = np.array([f"{step},{epoch}" for step, epoch in pairs], dtype="S")
    return starts.view(np.uint8).reshape(len(starts), -1)


def text(starts: np.ndarray, values: np.ndarray, present: np.ndarray | None) -> np.ndarray:
    """Rows of the table as characters, with zero bytes between, which are to be deleted.

    Args:
        starts: uint8 (N, width) from `row_starts`.
        values: (N, T).
        present: bool (N, T); False leaves the cell empty, None means all are there.

    Returns:
        uint8 (N, length).
    """
    shape = values.shape
    if present is None or present.all():
        filled = cells(values.ravel())
    else:
        there = np.flatnonzero(present)
        some = cells(values.ravel()[there]).view(np.uint64)
        words = np.zeros((values.size, some.shape[1]), np.uint64)
        words[:, 0] = ord(",")
        words[there] = some
        filled = words.view(np.uint8)
    width = starts.shape[1]
    rows = np.zeros((shape[0], width + shape[1] * filled.shape[1] + 1), np.uint8)
    rows[:, :width] = starts
    rows[:, width:-1] = filled.reshape(shape[0], -1)
    rows[:, -1] = ord("\n")
    return rows


def _line(cells: Sequence[str]) -> str:
    """A row of texts, quoted where CSV needs it."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()
