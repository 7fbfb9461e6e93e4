"""The recorded series of a run, read back from its metrics.csv."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

_MOST_STEPS = 1 << 53
"""A float64 counts no further."""
_BLANKS = bytes.maketrans(b",\n", b"  ")


class Series(NamedTuple):
    """The table that one run recorded, P logged steps of T tags."""

    tags: tuple[str, ...]  # T names
    steps: np.ndarray  # int (P,)
    values: np.ndarray  # float32 (P, T); NaN for no value, infinite for a value that was not finite
    epochs: np.ndarray | None = None  # float (P,); None if they were not counted

    def of(self, tag: str) -> tuple[np.ndarray, np.ndarray]:
        """Return rows (N,) and values (N,) of a tag, finite or not; both empty for none."""
        if tag not in self.tags:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        column = self.values[:, self.tags.index(tag)]
        rows = np.flatnonzero(~np.isnan(column))
        return rows, column[rows]

    @property
    def diverged(self) -> bool:
        """True if a loss of the last row is not finite."""
        losses = [column for column, tag in enumerate(self.tags) if tag.startswith("loss/")]
        return bool(np.isinf(self.values[-1, losses]).any())


def as_read(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Return values (P, T), of single or double precision, as `read_series` would have them."""
    with np.errstate(over="ignore", invalid="ignore"):  # a signalling nan
        read = values.astype(np.float32)
    read[np.isnan(read)] = np.inf
    read[~present] = np.nan
    return read


def fill_last(before: Series, block: Series) -> Series:
    """Fill the last row of `before` by the first of `block`, of one step; return the others."""
    first = block.values[0]
    np.copyto(before.values[-1], first, where=~np.isnan(first))
    epochs = None if block.epochs is None else block.epochs[1:]
    return Series(block.tags, block.steps[1:], block.values[1:], epochs)


def joined(blocks: Sequence[Series]) -> Series:
    """Join blocks of one table."""
    first, *others = blocks
    if not others:
        return first
    return Series(first.tags, *map(np.concatenate, zip(*(one[1:] for one in blocks), strict=True)))


def read_series(metrics: Path) -> Series | None:
    """Read a run's metrics.csv; None if there is no table that mlr wrote."""
    tags, table = read_table(metrics)
    if not len(table):
        return None
    with np.errstate(over="ignore"):
        values = table[:, 2:].astype(np.float32)
    # a view of the epochs would hold the whole table in memory
    return Series(tags, table[:, 0].astype(np.int64), values, table[:, 1].copy())


def read_table(metrics: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """Read a run's metrics.csv in full precision.

    Returns:
        T tags, and float64 (P, 2 + T): step, epoch, values; NaN for no value, infinite for a
        value that was not finite. (0, 2) if there is no table that mlr wrote.
    """
    try:
        return _parsed(metrics.read_bytes())
    except (OSError, ValueError):
        return (), np.empty((0, 2))


def _parsed(content: bytes) -> tuple[tuple[str, ...], np.ndarray]:
    """Parse the table's text; without rows if it has no complete one.

    Raises:
        ValueError: it is not as `table.table_rows` writes it.
    """
    head, _, body = content.partition(b"\n")
    tags = tuple(head.decode("utf-8").split(",")[2:])
    body = body[: body.rfind(b"\n") + 1]  # a run that was killed may end in half a row
    if not body or not tags:
        return (), np.empty((0, 2))
    marks = np.frombuffer(body, np.uint8)
    ends = np.flatnonzero((marks == ord(",")) | (marks == ord("\n")))
    numbers = np.full(len(ends), np.nan)
    filled = np.diff(ends, prepend=-1) > 1
    # numpy's parser skips blanks, so empty cells cost nothing
    written = np.fromstring(body.translate(_BLANKS).decode("ascii"), sep=" ")
    numbers[filled] = np.where(np.isnan(written), np.inf, written)
    table = numbers.reshape(-1, len(tags) + 2)
    if not _are_steps(table[:, 0]):
        raise ValueError("its steps do not increase")
    return tags, table


def _are_steps(found: np.ndarray) -> bool:
    """Return True for integers that increase."""
    with np.errstate(invalid="ignore"):
        whole = (found >= 0) & (found < _MOST_STEPS) & (found == np.floor(found))
    return bool(whole.all() and (np.diff(found) > 0).all())
