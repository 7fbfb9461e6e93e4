"""A table of texts, read from a CSV file, that knows where each value came from.

Whatever is wrong is told with column, line and value; lines count from 1, the header included.

Source: RFC 4180.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from mlr.data.faults import fault, shown, tail
from mlr.data.files import no_web_page, opened
from mlr.data.options import named

if TYPE_CHECKING:
    import _csv

    import numpy as np
    from numpy.typing import NDArray

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
"""Texts that mean a value is missing, in any case."""
MOST_BYTES = 256 * 2**20
"""Of a table, which takes some twenty times as much memory while it is read."""
LONGEST_LINE = 4 * 2**20
"""Characters of one line."""
_LONGEST_NAME = 30


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
            InputError: there is no such column.
            DataError: values are missing: how many, and the first.
        """
        index = self.index(name, option)
        texts = [row[index] for row in self.rows]
        missing = [i for i, text in enumerate(texts) if text.lower() in missing_texts]
        if missing:
            raise fault(
                self.path,
                f"misses {len(missing)} of {len(texts)} values in column "
                f"{tail(name, _LONGEST_NAME)}, the first in line {self.lines[missing[0]]}; fill "
                "them in or leave those lines out.",
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
            InputError: there is no such column.
            DataError: names the column, line and value that is no finite number.
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
            InputError: none; names the nearest and lists the first of them.
        """
        return self.header.index(named(option, name, self.header, self.path.name))

    def _refuse_number(self, name: str, line: int, text: str, option: str) -> NoReturn:
        hint = "; leave the column out of data.features" if option == "data.features" else ""
        raise fault(
            f"{self.path}, line {line}, column {tail(name, _LONGEST_NAME)}:",
            f"{shown(text)} is not a number that float32 can hold{hint}.",
        )


def read(path: Path, delimiter: str) -> Table:
    """Read a CSV file with a header line.

    Raises:
        InputError: there is no file of that name.
        DataError: the file is no UTF-8, no CSV, without rows, too large, or a line has more or
            fewer values than the header.
    """
    with opened(path, MOST_BYTES, "data.path") as (file, _):
        no_web_page(path, file.read(64))
        file.seek(0)
        text = TextIOWrapper(file, encoding="utf-8-sig", newline="")
        reader = csv.reader(_lines(path, text), delimiter=delimiter, strict=True)
        try:
            return _table(path, delimiter, reader)
        except csv.Error as error:
            raise fault(f"{path}, line {reader.line_num}:", f"{error}.") from None
        except UnicodeDecodeError as error:
            raise fault(
                path,
                f"is not UTF-8 text: byte 0x{error.object[error.start]:02x} near line "
                f"{reader.line_num + 1} cannot be read; save it as UTF-8, unpacked.",
            ) from None


def _lines(path: Path, text: TextIOWrapper) -> Iterator[str]:
    """The lines of a file, none of them longer than memory should hold."""
    number = 1
    while line := text.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise fault(path, f"has more than {LONGEST_LINE} characters in line {number}.")
        yield line
        number += 1


def _table(path: Path, delimiter: str, reader: _csv.Reader) -> Table:
    header = [name.strip() for name in next(reader, [])]
    if not any(header):
        raise fault(path, "has no header: its first line must name the columns.")
    name, times = Counter(header).most_common(1)[0]
    if times > 1:
        raise fault(path, f"has {times} columns of the name {shown(name)}; names must differ.")
    rows, lines = [], []
    for row in reader:
        if not row:
            continue
        if len(row) != len(header):
            raise fault(
                f"{path}, line {reader.line_num}",
                f"has {len(row)} values and the header {len(header)} names; is "
                f"data.delimiter={delimiter!r} right?",
            )
        rows.append([text.strip() for text in row])
        lines.append(reader.line_num)
    if not rows:
        raise fault(path, "has a header but no lines of data.")
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
