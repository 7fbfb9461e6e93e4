r"""Text of metrics.csv: its head, and rows of all runs of a program at once.

The digits of all numbers are computed together, column by column of text, because formatting one
number after the other takes longer than training them. Each cell has the same number of bytes, of
which those that are zero are left out in the end. UTF-8, comma, line ends \n.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

Text = np.ndarray  # of uint8, a byte each; 0 for none
_DIGITS = 9
"""Nine digits tell all float32 apart."""
_LEAST = -4
"""Exponent of the smallest numbers that are written without it, as in C's %g."""
_POWER_0 = 64
_POWERS = 10.0 ** np.arange(-_POWER_0, _POWER_0)
_TIE = 0.49999
"""Distance from a whole number above which its rounding is left to C."""
_WIDTH = 22
"""Bytes of a cell: a comma and a sign, 0.000, ten digits and a point, e-05."""


def table_head(tags: Sequence[str]) -> bytes:
    """Build the first row of metrics.csv, quoted where needed."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(["step", "epoch", *tags])
    return line.getvalue().encode("utf-8")


def table_rows(
    steps: np.ndarray, epochs: np.ndarray, values: np.ndarray, present: np.ndarray
) -> list[bytes]:
    """Format rows of metrics.csv, each with the end of its line.

    Numbers are the shortest that read back as the same number of the array's own dtype:
    a float32 0.1 stands as 0.1. A value that is absent leaves its cell empty, which numpy,
    pandas, polars, R, SQL and spreadsheets take for missing: a nan would be text in a
    spreadsheet, and make every mean of SQL and polars nan. nan and inf stand only for values
    that were recorded as such. A column without any value is text to duckdb, until it is cast:
    `try_cast("loss/test" as double)`.

    Args:
        steps: int (N,).
        epochs: (N,).
        values: (N, T).
        present: bool (N, T); False leaves the cell empty.
    """
    numbers = values[present]
    if values.dtype == np.float64:
        texts = _packed([b",%r" % number for number in numbers.tolist()])
    else:
        texts = _texts(numbers)
    width = texts.shape[1]
    cells = np.zeros((*values.shape, width), np.uint8)
    cells[..., 0] = ord(",")
    whole = f"V{width}"  # one item a cell is copied five times as fast as its bytes
    cells.view(whole)[..., 0][present] = texts.view(whole)[:, 0]
    starts = _packed(list(map(_row_start, steps.tolist(), epochs.tolist())))
    ends = np.full((len(steps), 1), ord("\n"), np.uint8)
    body = cells.reshape(len(steps), values.shape[1] * width)
    rows = np.concatenate([starts, body, ends], axis=1)
    return rows[rows != 0].tobytes().splitlines(keepends=True)


@lru_cache(maxsize=1 << 12)
def _row_start(step: int, epoch: float) -> bytes:
    return f"{step},{float(epoch)!r}".encode()


def _packed(texts: Sequence[bytes]) -> Text:
    """Return texts as rows (N, length of the longest)."""
    packed = np.array(texts, dtype=bytes)
    return packed.view(np.uint8).reshape(len(texts), packed.itemsize)


def _texts(values: np.ndarray) -> Text:
    """Write numbers (N,) of half or single precision (N, _WIDTH), as "%.9g" writes the shortest.

    Whole numbers get their point and zero, so that no reader takes them for integers.
    """
    mantissas, power, regular = _shortest(values)
    digits, last = _digits(mantissas)
    fixed, small = (power >= 0) & (power < _DIGITS), (power >= _LEAST) & (power < 0)
    scientific = ~(fixed | small)
    shown = np.maximum(last, (power + 1) * fixed)
    # the place of the digit before the point; small numbers have theirs before all digits
    point = power * fixed + (small | (scientific & (last == 0))) * np.int8(len(digits))
    columns = [np.full(len(values), _byte(",")), np.signbit(values) * _byte("-")]
    columns += [(small & (power <= -place)) * _byte(one) for place, one in enumerate("0.000")]
    before = blank = np.zeros(len(values), np.uint8)
    for place, digit in enumerate([*digits, blank]):
        own = digit * (place <= shown)
        # a choice by np.where takes five times as long
        columns.append(
            own * (place <= point)
            + (place == point + 1) * _byte(".")
            + before * (place > point + 1)
        )
        before = own
    sign = (power < 0) * _byte("-") + (power >= 0) * _byte("+")
    power = np.abs(power).astype(np.uint8)
    tens = power // np.uint8(10)
    exponent = (_byte("e"), sign, tens + _byte("0"), power - tens * np.uint8(10) + _byte("0"))
    columns += [scientific * one for one in exponent]
    texts = np.stack(columns, axis=1)
    if not regular.all():
        others = np.flatnonzero(~regular)
        packed = _packed([b",%.9g" % number for number in values[others].tolist()])
        texts[others] = 0
        texts[others, : packed.shape[1]] = packed
    return texts


def _shortest(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find decimals of few digits that read back as `values`, but for their sign.

    One digit more than the precision's suffices for nearly all, two for most others, nine for
    every float32. Subnormal numbers have more digits than they need.

    Returns:
        Mantissas of nine digits, powers of ten of the first of them, and False where C must
        write the number: it is not finite, or nearly between two decimals.
    """
    precision = np.finfo(values.dtype).precision
    with np.errstate(all="ignore"):  # zero and what is not finite
        size = np.abs(values.astype(np.float64))
        floor = np.floor(np.log10(size))
        power = np.where(np.isfinite(floor), floor, 0).astype(np.int64)
        scaled = size * _POWERS[_POWER_0 + _DIGITS - 1 - power]
        mantissas = np.rint(scaled)
        regular = np.abs(scaled - mantissas) < _TIE
        for digits in (precision + 2, precision + 1):
            scale = _POWERS[_POWER_0 + digits - 1 - power]
            rounded = np.rint(size * scale)
            fits = (rounded / scale).astype(values.dtype) == np.abs(values)
            np.copyto(mantissas, rounded * 10.0 ** (_DIGITS - digits), where=fits)
            regular |= fits
        longer = mantissas >= 10**_DIGITS  # rounded up to the next power of ten
        power += longer
        np.copyto(mantissas, mantissas / 10, where=longer)
        regular &= (mantissas >= 10 ** (_DIGITS - 1)) & (mantissas < 10**_DIGITS) | (size == 0)
        return np.where(regular, mantissas, 0).astype(np.uint32), power.astype(np.int8), regular


def _digits(mantissas: np.ndarray) -> tuple[list[Text], np.ndarray]:
    """Return ten columns of digits, of which the tenth is 0, and the place of the last not zero."""
    digits, last = [np.full(len(mantissas), ord("0"), np.uint8)], np.zeros(len(mantissas), np.int8)
    for place in range(_DIGITS - 1, -1, -1):
        rest = mantissas // np.uint32(10)  # divmod takes four times as long
        digit = (mantissas - rest * np.uint32(10)).astype(np.uint8)
        digits.append(digit + _byte("0"))
        np.maximum(last, (digit != 0) * np.int8(place), out=last)
        mantissas = rest
    return digits[::-1], last


def _byte(letter: str) -> np.uint8:
    return np.uint8(ord(letter))
