"""metrics.csv: one row a logged step, for spreadsheets, pandas and people."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mlr.records import durable
from mlr.records.encoding import check_steps


class MetricsTable:
    r"""A growing CSV file with columns step, epoch and the tags given at the start.

    Numbers are the shortest that read back as the same number of the array's own dtype:
    a float32 0.1 stands as 0.1. A value that is absent leaves its cell empty; nan and inf
    stand as such. UTF-8, comma, line ends \n. Kept in memory until `flush`.
    """

    def __init__(self, path: Path, tags: Sequence[str]):
        self.path = path
        self.tags = tuple(tags)
        if len({"step", "epoch", *self.tags}) < len(self.tags) + 2:
            raise ValueError(f"columns must differ, but one occurs twice: {', '.join(tags)}.")
        self._buffer = [_line(["step", "epoch", *self.tags])]
        self._begun = False
        self._last: list[str] = []  # cells of the last row: step, epoch, values

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
        before = int(self._last[0]) if self._last else -1
        if len(steps) and (steps[0] < before or (np.diff(steps) <= 0).any()):
            raise ValueError(f"steps must increase, from {before} on.")
        rows = self._rows(steps, epochs, values, present)
        if rows and steps[0] == before:
            self._fill_last(rows.pop(0))
        self._buffer += [",".join(row) + "\n" for row in rows]
        self._last = rows[-1] if rows else self._last

    def _rows(
        self, steps: np.ndarray, epochs: np.ndarray, values: np.ndarray, present: np.ndarray | None
    ) -> list[list[str]]:
        """The cells of each row."""
        cells, width = _texts(values), len(self.tags)
        if present is not None:
            for absent in np.flatnonzero(~np.broadcast_to(present, values.shape)).tolist():
                cells[absent] = ""
        heads = zip(map(str, steps.tolist()), _texts(epochs), strict=True)
        return [
            [step, epoch, *cells[at * width : (at + 1) * width]]
            for at, (step, epoch) in enumerate(heads)
        ]

    def _fill_last(self, row: list[str]) -> None:
        """Replace the cells of the last row where `row` has any, so that a step has one row."""
        old = ",".join(self._last) + "\n"
        merged = [new or former for new, former in zip(row, self._last, strict=True)]
        line = ",".join(merged) + "\n"
        if self._buffer:
            self._buffer[-1] = line
        else:
            content = self.path.read_bytes().removesuffix(old.encode("utf-8"))
            durable.atomic_write(self.path, content + line.encode("utf-8"), sync=False)
        self._last = merged

    def flush(self, sync: bool = False) -> None:
        """Append what was added to the file; after an error it is still there to try again.

        Args:
            sync: wait until it is on the disk.

        Raises:
            WriteError: naming the path and the cause; the file ends where it ended before.
        """
        if self._buffer or sync:
            content = "".join(self._buffer).encode("utf-8")
            durable.append(self.path, content, new=not self._begun, sync=sync)
            self._begun = True
            self._buffer = []

    def close(self) -> None:
        """Flush, and wait until the file is on the disk."""
        self.flush(sync=True)


def _texts(numbers: np.ndarray) -> list[str]:
    """Each number as the shortest text that reads back as the same number of its dtype."""
    if numbers.dtype.kind == "f" and numbers.dtype.itemsize < 8:
        numbers = _shortest(numbers)
    return list(map(repr, numbers.ravel().tolist()))


def _shortest(numbers: np.ndarray) -> np.ndarray:
    """float64 numbers with few digits that round to the same float32 (or float16) numbers.

    A whole number of d digits divided by an exact power of ten is the double nearest to
    that decimal, and `repr` prints it with those digits; nine tell all float32 apart.
    Beyond 10^±13 the powers are not exact, and numpy prints one number at a time.
    """
    with np.errstate(all="ignore"):
        result = numbers.astype(np.float64)
        left = np.isfinite(result) & (result != 0)
        exponent = np.floor(np.log10(np.abs(result), where=left, out=np.zeros_like(result)))
        far = left & (np.abs(exponent) > 13)
        result[far] = [float(str(number)) for number in numbers[far]]
        left &= ~far
        exact = result.copy()
        for digits in range(1, 10):
            if not left.any():
                break
            shift = digits - 1 - exponent
            scale, up = 10.0 ** np.abs(shift), shift >= 0
            whole = np.rint(np.where(up, exact * scale, exact / scale))
            short = np.where(up, whole / scale, whole * scale)
            done = left & (short.astype(numbers.dtype) == numbers)
            result[done] = short[done]
            left &= ~done
    return result


def _line(cells: Sequence[str]) -> str:
    """A row of texts, quoted where CSV needs it."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()
