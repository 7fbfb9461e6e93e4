"""Table of the logged steps, metrics.csv, for spreadsheets, pandas and people."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlr.core import durable
from mlr.core.checks import DataError
from mlr.records.checksums import Checksum

if TYPE_CHECKING:
    from hashlib import _Hash as Digest


_CELLS = (",", ",%.9g", ",%.1f", ",%r")
"""Formats of a cell: without a value, of float32, of a whole number, of float64."""
_LARGEST_WHOLE = 1e9
"""Nine digits tell all float32 apart."""


class MetricsTable:
    r"""A CSV file with columns step, epoch and the tags given at the start, appended to by rows.

    Numbers are the shortest that read back as the same number of the array's own dtype:
    a float32 0.1 stands as 0.1. A value that is absent leaves its cell empty, which numpy,
    pandas, polars, R, SQL and spreadsheets take for missing: a nan would be text in a
    spreadsheet, and make every mean of SQL and polars nan. nan and inf stand only for values
    that were recorded as such. A column without any value is text to duckdb, until it is cast:
    `try_cast("loss/test" as double)`. UTF-8, comma, line ends \n. Rows wait in memory for `flush`.
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

    def add(self, lines: bytes, first: int, last: int) -> None:
        """Add rows; a first step equal to the last row's fills the cells of that row.

        Args:
            lines: the rows, as `format_rows` makes them, in UTF-8.
            first: step of the first row.
            last: step of the last row.

        Raises:
            ValueError: the steps do not increase.
            WriteError: a row that is in the file already could not be filled.
        """
        if first < self._step:
            raise ValueError(f"steps must increase, from {self._step} on.")
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
        """Return where the flushed file ends, for `resume`; JSON can hold it."""
        return {
            "bytes": self._size,
            "step": self._step,
            "last": self._last.decode(),
            "sha256": self._digest.hexdigest(),
        }

    def resume(self, position: Mapping[str, Any]) -> None:
        """Cut the file where `position` was taken, and continue from there.

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
        """Return the size of what waits in memory for the next flush."""
        return sum(map(len, self._buffer))

    def flush(self, sync: bool = False) -> None:
        """Append the added rows to the file; after an error it can be tried again.

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

    def checksum(self) -> Checksum:
        """Return size and SHA-256 of the flushed file, without reading it."""
        whole = self._digest.copy()
        whole.update(self._tail)
        return {"bytes": self._size, "sha256": whole.hexdigest()}


def rows_before(path: Path, position: Mapping[str, Any]) -> Digest:
    """Compute the SHA-256 of all rows but the last that the file had at `position`.

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


def format_rows(
    steps: np.ndarray, epochs: np.ndarray, values: np.ndarray, present: np.ndarray
) -> list[str]:
    """Format rows of the table, each with the end of its line.

    Args:
        steps: int (N,).
        epochs: (N,).
        values: (N, T).
        present: bool (N, T); False leaves the cell empty.
    """
    numbers = _shortest(values)
    if values.dtype == np.float64:
        kinds = np.where(present, np.uint8(3), np.uint8(0)).tobytes()
    else:  # whole numbers get their point and zero, so that no reader takes them for integers
        with np.errstate(invalid="ignore"):  # a signalling nan
            whole = (np.rint(numbers) == numbers) & (np.abs(numbers) < _LARGEST_WHOLE)
        kinds = np.where(present, np.uint8(1) + whole, np.uint8(0)).tobytes()
    cells, width, start, rows = numbers[present].tolist(), values.shape[1], 0, []
    ends = np.cumsum(present.sum(axis=1)).tolist()
    for row, (step, epoch, end) in enumerate(
        zip(steps.tolist(), epochs.tolist(), ends, strict=True)
    ):
        format_ = _row_format(step, epoch, kinds[row * width : (row + 1) * width])
        rows.append(format_ % tuple(cells[start:end]))
        start = end
    return rows


@lru_cache(maxsize=1 << 12)
def _row_format(step: int, epoch: float, kinds: bytes) -> str:
    """Format of a row; of each cell the position in `_CELLS`."""
    return f"{step},{float(epoch)!r}" + "".join(map(_CELLS.__getitem__, kinds)) + "\n"


def _shortest(values: np.ndarray) -> np.ndarray:
    """Find doubles of few decimal digits that read back as `values` in their own dtype.

    One digit more than the precision's suffices for nearly all, two for most others, nine for
    every float32. Subnormal numbers have more digits than they need.
    """
    with np.errstate(all="ignore"):  # zero and what is not finite stay as they are
        numbers = values.astype(np.float64)
        if values.dtype == np.float64:
            return numbers
        exact, precision = numbers.copy(), np.finfo(values.dtype).precision
        power = np.floor(np.log10(np.abs(exact)))
        for digits in (precision + 2, precision + 1):
            scale = 10.0 ** (digits - 1 - power)
            rounded = np.rint(exact * scale) / scale
            np.copyto(numbers, rounded, where=rounded.astype(values.dtype) == values)
    return numbers


def _line(cells: Sequence[str]) -> str:
    """Write a row of texts as CSV, quoted where needed."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()
