"""Texts of a CSV file by column, and what they are: numbers, classes, weights, groups, splits.

Errors name line, column and value; lines count from 1, the header included.

Source: RFC 4180.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

from mlr.core.checks import DataError, listed
from mlr.data import options
from mlr.data.base import SPLITS
from mlr.data.faults import fault, shown, tail
from mlr.data.files import opened

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_BYTES = 256 * 2**20
"""Largest file of a table, which takes some twenty times as much memory while it is read."""
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
"""Texts, in lower case, of a missing number. Of classes and categories only the empty text is
missing: None or NA may be one of them."""
LONGEST_NAME = 30


@dataclass(frozen=True)
class Table:
    """Texts of each column by name, 0, 1, … where the file is `numbered`; line of each row."""

    file: Path
    columns: dict[str, tuple[str, ...]]
    lines: list[int]
    numbered: bool

    def name(self, chosen: str | int, option: str) -> str:
        """Return the name of the column that an option chooses.

        Args:
            chosen: a name; without a header a number from 0, or from the end below 0.
            option: the override that chooses, as in data.label.

        Raises:
            InputError: there is none; lists the first names.
        """
        value, count = number(str(chosen)), len(self.columns)
        if self.numbered and value is not None and value in range(-count, 0):
            chosen = int(value) + count
        if str(chosen) not in self.columns:
            raise options.unknown_name(option, str(chosen), self.columns, self.file.name)
        return str(chosen)

    def names(self, chosen: Sequence[str | int] | None, option: str) -> list[str]:
        """Return the names of the columns that an option chooses, as `name` does."""
        return [self.name(one, option) for one in chosen or ()]

    def kept(self, rows: Sequence[int]) -> Table:
        """Return the table of these rows alone."""
        columns = {name: tuple(texts[row] for row in rows) for name, texts in self.columns.items()}
        return Table(self.file, columns, [self.lines[row] for row in rows], self.numbered)

    def place(self, name: str, row: int) -> str:
        """Name a cell, for messages."""
        return f"{self.file}, line {self.lines[row]}, column {tail(name, LONGEST_NAME)}:"

    def missing_numbers(self, name: str) -> list[int]:
        """List the rows in which a column of numbers has none."""
        return [row for row, text in enumerate(self.columns[name]) if text.lower() in MISSING]

    def missing_texts(self, name: str) -> list[int]:
        """List the rows in which a column of texts is empty."""
        return [row for row, text in enumerate(self.columns[name]) if not text]

    def numbers(self, names: Sequence[str], may_miss: bool = False) -> NDArray[np.float64]:
        """Return columns (N, D) of finite numbers; NaN where one is missing and `may_miss`.

        Raises:
            DataError: names the column, line and value that is no finite number.
        """
        import numpy as np

        limit = float(np.finfo(np.float32).max)
        columns = []
        for name in names:
            values = [number(text) for text in self.columns[name]]
            if may_miss:
                for row in self.missing_numbers(name):
                    values[row] = limit
            for row, value in enumerate(values):
                if value is None or not abs(value) <= limit:
                    text = self.columns[name][row]
                    given = shown(text) if text else "a missing value"
                    comma = "; a decimal comma needs data.decimal=comma" * ("," in text)
                    raise fault(
                        self.place(name, row),
                        f"{given} is not a number that float32 can hold{comma}; correct it, "
                        "or drop its line, or its column by data.features=[…].",
                    )
            column = np.array(values, np.float64)
            if may_miss:
                column[self.missing_numbers(name)] = np.nan
            columns.append(column)
        return np.stack(columns, axis=1) if columns else np.empty((len(self.lines), 0))

    def categories(self, name: str) -> tuple[NDArray[np.int64], list[str]]:
        """Return the index (N,) of each text in a column, and the distinct texts in sorted order.

        Numbers are sorted by value, so that 10 follows 9; `1` and `1.0` stay two texts.

        Raises:
            DataError: a text is empty, or all are the same.
        """
        import numpy as np

        texts = self.columns[name]
        distinct = in_order(set(texts))
        if "" in distinct or len(distinct) < 2:
            what = "an empty label" if "" in distinct else f"the single label {shown(texts[0])}"
            where = f"{self.file}, line {self.lines[texts.index(distinct[0])]}"
            raise fault(
                where,
                f"has {what} in column {tail(name, LONGEST_NAME)}; a classifier needs two classes "
                "and a label in each line.",
            )
        place = {text: index for index, text in enumerate(distinct)}
        return np.array([place[text] for text in texts], np.int64), distinct

    def yes_or_no(self, names: Sequence[str]) -> NDArray[np.float64]:
        """Return columns (N, K) of labels that are 0 or 1.

        Raises:
            DataError: names the column, line and value that is neither.
        """
        values = self.numbers(names)
        for column, name in enumerate(names):
            for row in ((values[:, column] != 0) & (values[:, column] != 1)).nonzero()[0][:1]:
                raise fault(
                    self.place(name, row),
                    f"{shown(self.columns[name][row])} is no label of data.task=multilabel; each "
                    "is 0 or 1.",
                )
        return values

    def weights(self, name: str) -> NDArray[np.float64]:
        """Return a column (N,) of weights ≥ 0.

        Raises:
            DataError: names the line and the weight that is no finite number, or below 0.
        """
        values = self.numbers([name])[:, 0]
        for row in (values < 0).nonzero()[0][:1]:
            raise fault(
                self.place(name, row),
                f"the weight {shown(self.columns[name][row])} is below 0; a weight multiplies the "
                "loss of its example.",
            )
        return values

    def split_rows(self, name: str) -> list[NDArray[np.int64]]:
        """Return the rows of the training, the validation and the test split, named in a column.

        Raises:
            DataError: a text is none of the three names, or there is no line to train on or test.
        """
        import numpy as np

        texts = np.array([text.lower() for text in self.columns[name]])
        for row in (~np.isin(texts, SPLITS)).nonzero()[0][:1]:
            raise fault(
                self.place(name, row),
                f"{shown(self.columns[name][row])} names no split; each line has one of "
                f"{', '.join(SPLITS)}.",
            )
        rows = [np.flatnonzero(texts == split) for split in SPLITS]
        for split in ("train", "test"):
            if not len(rows[SPLITS.index(split)]):
                raise fault(self.file, f"has no line of {split} in column {tail(name, 30)}.")
        return rows


def read_table(
    path: Path,
    separator: str,
    header: bool | None,
    comma: bool,
    label: str,
    one_column: bool = False,
) -> Table:
    """Read a CSV file.

    Args:
        path: of the file.
        separator: character between columns.
        header: True if the first line names the columns, None if that is to be found out.
        comma: True if numbers are written with a decimal comma.
        label: name of a column that a header must have.
        one_column: True if a single column is no sign of another separator.

    Raises:
        InputError: there is no file of that name.
        DataError: the file is no UTF-8, no CSV, without rows, too large, a line has more or
            fewer values than the first, or that one looks like data and not like a header.
    """
    rows: list[list[str]] = []
    lines = []
    with opened(path, MOST_BYTES, "data.path") as file:
        text = TextIOWrapper(file, encoding="utf-8-sig", newline="")
        reader = csv.reader(text, delimiter=separator, strict=True)
        try:
            for row in reader:
                if not row:
                    continue
                row = [text.strip() for text in row]
                rows.append(list(map(with_point, row)) if comma else row)
                lines.append(reader.line_num)
                if len(row) != len(rows[0]) or (len(row) == 1 and not one_column):
                    raise _wrong_width(path, separator, rows, reader.line_num)
        except csv.Error as error:
            raise fault(f"{path}, line {reader.line_num}:", f"{error}.") from None
        except UnicodeDecodeError as error:
            raise fault(
                path,
                f"is not UTF-8 text: byte 0x{error.object[error.start]:02x} near line "
                f"{reader.line_num + 1} cannot be read; save it as UTF-8, unpacked.",
            ) from None
    if len(rows) < 2:
        raise fault(path, "has no lines of data below its first line.")
    unnamed = label not in rows[0] or number(label) is not None
    if header is None and unnamed and any(map(almost_number, rows[0])):
        cells = listed([shown(cell, 15) for cell in rows[0]], 40)
        raise fault(
            path,
            f"seems to have no header: its first line is {cells}. data.header=false names "
            "columns by number, data.header=true takes it as a header.",
        )
    numbered = header is False
    names = list(map(str, range(len(rows[0])))) if numbered else rows[0]
    first = 0 if numbered else 1
    columns: dict[str, tuple[str, ...]] = {}
    for name, texts in zip(names, zip(*rows[first:], strict=True), strict=True):
        # spreadsheets may leave empty columns to the right of the table
        if not name and not any(texts):
            continue
        if name in columns:
            raise fault(path, f"has two columns named {shown(name)}; rename one of them.")
        columns[name] = texts
    return Table(path, columns, lines[first:], numbered)


def _wrong_width(path: Path, separator: str, rows: list[list[str]], line: int) -> DataError:
    if len(rows[0]) == 1:
        return fault(
            path,
            f"has the single column {shown(rows[0][0], 30)}; name the character between its "
            f"columns by data.delimiter={', '.join(options.DELIMITERS)}.",
        )
    return fault(
        f"{path}, line {line}",
        f"has {len(rows[-1])} values and the first line {len(rows[0])}; is data.delimiter="
        f"{separator!r} right?",
    )


def in_order(texts: set[str]) -> list[str]:
    """Sort distinct texts, by value if all are numbers."""
    found = sorted(texts)
    if all(number(text) is not None for text in found):
        found.sort(key=float)
    return found


def number(text: str) -> float | None:
    """Return the number that a text is, or None."""
    # Python reads 1_000 as a number; in a table it is a typing error
    if "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def with_point(text: str) -> str:
    """Replace the decimal comma of a number by a point; return other texts unchanged."""
    return text.replace(",", ".") if almost_number(text) else text


def almost_number(text: str) -> bool:
    """Return True for a number, with a decimal point or comma, that is not `nan`.

    A single number makes a column numeric, so that a typing error in a column is reported and the
    column not left out silently.
    """
    value = number(text.replace(",", "."))
    return value is not None and value == value
