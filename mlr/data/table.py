"""A table of texts, read from a CSV file, that knows where each value came from.

Whatever is wrong is told with column, line and value; lines count from 1, the header included.

Source: RFC 4180.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from mlr.checks import InputError, known

if TYPE_CHECKING:
    import _csv

    import numpy as np
    from numpy.typing import NDArray

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
"""Texts that mean a value is missing, in any case."""
_LONGEST_SHOWN = 40


@dataclass(frozen=True)
class Table:
    """Rows of texts under a header; `lines` are the rows' line numbers in the file."""

    path: Path
    header: list[str]
    rows: list[list[str]]
    lines: list[int]

    def column(self, name: str, option: str, missing_texts: frozenset[str] = MISSING) -> list[str]:
        """The texts of a column, none of them missing.

        Raises:
            InputError: there is no such column, or values are missing: how many, and the first.
        """
        index = self.index(name, option)
        texts = [row[index] for row in self.rows]
        missing = [i for i, text in enumerate(texts) if text.lower() in missing_texts]
        if missing:
            raise InputError(
                f"{self.path} misses {len(missing)} of {len(texts)} values in column {name}, the "
                f"first in line {self.lines[missing[0]]}; fill them in or leave those lines out."
            )
        return texts

    def numeric(self) -> list[str]:
        """Names of the columns that hold numbers.

        A single number makes a column numeric: of a column with one typing error the error is
        told by `numbers`, rather than the column left out in silence.
        """
        return [
            name
            for index, name in enumerate(self.header)
            if any(_is_number(row[index]) for row in self.rows)
        ]

    def numbers(self, names: Sequence[str], option: str) -> NDArray[np.float64]:
        """Columns (N, D) of finite numbers.

        Raises:
            InputError: names the column, line and value that is no finite number.
        """
        import numpy as np

        limit = float(np.finfo(np.float32).max)
        columns = []
        for name in names:
            texts = self.column(name, option)
            values = [_number(text) for text in texts]
            for line, text, value in zip(self.lines, texts, values, strict=True):
                if value is None or not abs(value) <= limit:
                    self._refuse_number(name, line, text, option)
            columns.append(np.array(values, np.float64))
        return np.stack(columns, axis=1)

    def categories(self, name: str) -> tuple[NDArray[np.int64], list[str]]:
        """Indices (N,) of a column's texts among its distinct ones, and these in sorted order.

        Numbers are sorted by value, so that 10 follows 9; `1` and `1.0` stay two texts.
        Only an empty text is missing here: a class may well be called `none`.
        """
        import numpy as np

        texts = self.column(name, "data.label", frozenset({""}))
        distinct = sorted(set(texts))
        if all(_number(text) is not None for text in distinct):
            distinct.sort(key=float)
        place = {text: index for index, text in enumerate(distinct)}
        return np.array([place[text] for text in texts], np.int64), distinct

    def index(self, name: str, option: str) -> int:
        """Which column has this name.

        Raises:
            InputError: none; names the nearest and lists all.
        """
        return self.header.index(known(option, name, self.header))

    def _refuse_number(self, name: str, line: int, text: str, option: str) -> NoReturn:
        hint = "; leave the column out of data.features" if option == "data.features" else ""
        raise InputError(
            f"{self.path}, line {line}, column {name}: {_shown(text)} is no number that float32 "
            f"can hold{hint}."
        )


def read(path: Path, delimiter: str) -> Table:
    """Read a CSV file with a header line.

    Raises:
        InputError: the file is missing, no UTF-8, no CSV, without rows, or a line has more or
            fewer values than the header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            try:
                return _table(path, delimiter, reader)
            except csv.Error as error:
                raise InputError(f"{path}, line {reader.line_num}: {error}.") from None
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; name the CSV file with data.path=FILE.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no UTF-8 text: byte {error.start} cannot be read.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None


def _table(path: Path, delimiter: str, reader: _csv.Reader) -> Table:
    header = [name.strip() for name in next(reader, [])]
    if not any(header):
        raise InputError(f"{path} has no header: its first line must name the columns.")
    doubled = {name for name in header if header.count(name) > 1}
    if doubled:
        names = ", ".join(map(repr, sorted(doubled)))
        raise InputError(f"{path} names several columns {names}; names must differ.")
    rows, lines = [], []
    for row in reader:
        if not row:
            continue
        if len(row) != len(header):
            raise InputError(
                f"{path}, line {reader.line_num} has {len(row)} values and the header "
                f"{len(header)} names; is data.delimiter={delimiter!r} right?"
            )
        rows.append([text.strip() for text in row])
        lines.append(reader.line_num)
    if not rows:
        raise InputError(f"{path} has a header but no lines of data.")
    return Table(path, header, rows, lines)


def _number(text: str) -> float | None:
    # Python reads 1_000 as a number; in a table it is a typing error
    if "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _is_number(text: str) -> bool:
    # `nan` alone says nothing of its column
    return text.lower() not in MISSING and _number(text) is not None


def _shown(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…")
