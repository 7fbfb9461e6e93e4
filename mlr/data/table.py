"""Tables of texts read from CSV files, with the line number of each row.

Errors name column, line and value; lines count from 1, the header included.

Source: RFC 4180.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from mlr.core.checks import listed
from mlr.data.faults import LONGEST, fault, shown, tail
from mlr.data.files import no_web_page, opened
from mlr.data.options import DELIMITERS, named

if TYPE_CHECKING:
    import _csv

    import numpy as np
    from numpy.typing import NDArray

MOST_BYTES = 256 * 2**20
"""Largest file of a table, which takes some twenty times as much memory while it is read."""
LONGEST_LINE = 4 * 2**20
"""Largest number of characters in one line."""
_LONGEST_NAME = 30
_COUNTING = frozenset({"", "index", "id", "unnamed: 0"})
"""Names, in lower case, of columns that may only count the rows."""
_LOOKED_AT = 1000
"""Number of rows that are compared with the first line."""
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
"""Texts of missing values, in lower case."""
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Format:
    """Format of a table in a file.

    Attributes:
        delimiter: character between columns.
        header: True if the first line names the columns; None refuses one that looks like data.
        comma: True if numbers have a decimal comma.
    """

    delimiter: str = ","
    header: bool | None = None
    comma: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of texts in named columns.

    Attributes:
        path: of the file.
        header: names of the columns, 0, 1, … where the file has none.
        rows: texts of each row.
        lines: line number of each row in the file.
        numbered: True if the file has no names of columns.
    """

    path: Path
    header: list[str]
    rows: list[list[str]]
    lines: list[int]
    numbered: bool = False

    @cached_property
    def columns(self) -> dict[str, tuple[str, ...]]:
        """Texts of each column by name; of several unnamed columns one that is not empty."""
        found: dict[str, tuple[str, ...]] = {}
        for name, texts in zip(self.header, zip(*self.rows, strict=True), strict=True):
            if name not in found or any(texts):
                found[name] = texts
        return found

    def refuse_missing(self, features: Sequence[str], label: str) -> None:
        """Refuse missing values; of labels only an empty one, since `none` may be a class.

        Raises:
            DataError: names the columns with missing values, and the first line.
        """
        columns = dict.fromkeys(features, MISSING) | {label: frozenset({""})}
        missing = {
            name: [i for i, text in enumerate(self.columns[name]) if text.lower() in texts]
            for name, texts in columns.items()
        }
        missing = {name: rows for name, rows in missing.items() if rows}
        if not missing:
            return
        first = min(rows[0] for rows in missing.values())
        parts = [
            f"{len(rows)}{self._of_all(len(rows)) * (not place)} in "
            f"{'column ' * (not place)}{tail(name, _LONGEST_NAME)}"
            for place, (name, rows) in enumerate(missing.items())
        ]
        columns_too = "" if set(missing) == {label} else ", or those columns by data.features=[…]"
        end = (
            f", the first in line {self.lines[first]}; fill them in or leave those lines out"
            f"{columns_too}."
        )
        raise fault(self.path, f"has {listed(parts, LONGEST - 15 - len(end))}{end}")

    def _of_all(self, count: int) -> str:
        return f" missing value{'s' * (count > 1)} of {len(self.rows)}"

    def numeric(self) -> list[str]:
        """Return the names of the columns that hold numbers.

        A single number makes a column numeric, so that a typing error in a column is reported by
        `numbers` and the column not left out silently.
        """
        return [name for name, texts in self.columns.items() if any(map(is_number, texts))]

    def is_count(self, name: str) -> bool:
        """Return True if a column only counts the rows, as an index saved with them does."""
        if name.lower() not in _COUNTING:
            return False
        values = [number(text) for text in self.columns[name]]
        first = values[0]
        return first in (0, 1) and values == [first + row for row in range(len(values))]

    def is_empty(self, name: str) -> bool:
        """Return True if a column is empty, as after a comma at the end of each line."""
        return not any(self.columns[name])

    def refuse_decimal_comma(self, names: Sequence[str]) -> None:
        """Refuse columns of texts that are numbers with a decimal comma.

        Raises:
            DataError: names the first such column.
        """
        for name in names:
            texts = self.columns[name]
            if all(map(has_decimal_comma, texts)):
                raise fault(
                    self.path,
                    f"has {shown(texts[0], 20)} in column {tail(name, _LONGEST_NAME)}: if that is "
                    "a number, add data.decimal=comma.",
                )

    def numbers(self, names: Sequence[str], option: str) -> NDArray[np.float64]:
        """Return columns (N, D) of finite numbers.

        Raises:
            DataError: names the column, line and value that is no finite number.
        """
        import numpy as np

        limit = float(np.finfo(np.float32).max)
        columns = []
        for name in names:
            texts = self.columns[name]
            values = [number(text) for text in texts]
            for line, text, value in zip(self.lines, texts, values, strict=True):
                if value is None or not abs(value) <= limit:
                    self._refuse_number(name, line, text, option)
            columns.append(np.array(values, np.float64))
        return np.stack(columns, axis=1)

    def categories(self, name: str) -> tuple[NDArray[np.int64], list[str]]:
        """Return the distinct texts of a column in sorted order, and the index (N,) of each text.

        Numbers are sorted by value, so that 10 follows 9; `1` and `1.0` stay two texts.
        """
        import numpy as np

        texts = self.columns[name]
        distinct = sorted(set(texts))
        if all(number(text) is not None for text in distinct):
            distinct.sort(key=float)
        place = {text: index for index, text in enumerate(distinct)}
        return np.array([place[text] for text in texts], np.int64), distinct

    def name(self, chosen: str | int, option: str) -> str:
        """Return the name of the column that an option chooses.

        Args:
            chosen: a name; without a header a number from 0, or from the end below 0.
            option: the override that chooses, as in data.label.

        Raises:
            InputError: there is none; names the nearest and lists the first of them.
        """
        if str(chosen) in self.columns:
            return str(chosen)
        if not self.numbered:
            return named(option, str(chosen), self.header, self.path.name)
        value = number(str(chosen))
        count = len(self.header)
        if value is not None and value.is_integer() and -count <= value < count:
            return str(int(value) % count)
        raise fault(
            self.path,
            f"has columns 0 to {count - 1} (-1 is the last) under data.header=false, and "
            f"{option}={tail(str(chosen), _LONGEST_NAME)} is none of them.",
        )

    def _refuse_number(self, name: str, line: int, text: str, option: str) -> NoReturn:
        hint = "; leave the column out of data.features" if option == "data.features" else ""
        if has_decimal_comma(text):
            hint = "; if it has a decimal comma, add data.decimal=comma"
        raise fault(
            f"{self.path}, line {line}, column {tail(name, _LONGEST_NAME)}:",
            f"{shown(text)} is not a number that float32 can hold{hint}.",
        )


def read(path: Path, form: Format) -> Table:
    """Read a CSV file.

    Raises:
        InputError: there is no file of that name.
        DataError: the file is no UTF-8, no CSV, without rows, too large, a line has more or
            fewer values than the first, or that one looks like data and not like a header.
    """
    with opened(path, MOST_BYTES, "data.path") as (file, _):
        no_web_page(path, file.read(64))
        file.seek(0)
        text = TextIOWrapper(file, encoding="utf-8-sig", newline="")
        reader = csv.reader(_lines(path, text), delimiter=form.delimiter, strict=True)
        try:
            return _table(path, form, reader)
        except csv.Error as error:
            raise fault(f"{path}, line {reader.line_num}:", f"{error}.") from None
        except UnicodeDecodeError as error:
            raise fault(
                path,
                f"is not UTF-8 text: byte 0x{error.object[error.start]:02x} near line "
                f"{reader.line_num + 1} cannot be read; save it as UTF-8, unpacked.",
            ) from None


def _lines(path: Path, text: TextIOWrapper) -> Iterator[str]:
    """Yield the lines of a file; refuse one that is too long."""
    number = 1
    while line := text.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise fault(path, f"has more than {LONGEST_LINE} characters in line {number}.")
        yield line
        number += 1


def _table(path: Path, form: Format, reader: _csv.Reader) -> Table:
    rows: list[list[str]] = []
    lines: list[int] = []
    for row in reader:
        if not row:
            continue
        if rows and len(row) != len(rows[0]):
            _refuse_width(f"{path}, line {reader.line_num}", form, row, len(rows[0]))
        cells = (text.strip() for text in row)
        rows.append([with_point(text) for text in cells] if form.comma else list(cells))
        lines.append(reader.line_num)
        if len(rows) == 1:
            _check_delimiter(path, form, row)
    first = rows[0] if rows else []
    if not any(first):
        raise fault(path, "has no header: its first line must name the columns.")
    if form.header is False:
        _refuse_names(path, first, rows[1:])
        return Table(path, [str(place) for place in range(len(first))], rows, lines, numbered=True)
    if len(rows) == 1:
        raise fault(path, "has a header but no lines of data.")
    if form.header is None:
        _refuse_data(path, first, rows[1:])
    # spreadsheets may leave empty columns to the right of the table
    filled = [own for place, own in enumerate(first) if own or any(row[place] for row in rows[1:])]
    name, times = Counter(filled).most_common(1)[0]
    if times > 1:
        raise fault(path, f"has {times} columns of the name {shown(name)}; rename one of them.")
    return Table(path, first, rows[1:], lines[1:])


def _refuse_data(path: Path, first: list[str], rows: list[list[str]]) -> None:
    """Refuse a first line that looks like data."""
    if is_data(first, rows):
        cells = listed([shown(cell, 15) for cell in first], 40)
        raise fault(
            path,
            f"seems to have no header: its first line is {cells}. data.header=false names columns "
            "by number, data.header=true takes it as a header.",
        )


def _refuse_names(path: Path, first: list[str], rows: list[list[str]]) -> None:
    """Refuse a first line that can be no data."""
    if is_names(first, rows):
        cells = listed([shown(cell, 15) for cell in first], 60)
        raise fault(path, f"has a header, {cells}, in its first line; leave data.header=false out.")


def _check_delimiter(path: Path, form: Format, first: list[str]) -> None:
    """Refuse a first line that contains another delimiter but not the given one."""
    if len(first) > 1:
        return
    found = {name: first[0].count(char) for name, char in DELIMITERS.items()}
    name = max(found, key=lambda one: found[one])
    if found[name]:
        raise fault(
            path,
            f"has no {form.delimiter!r} in its first line, but {found[name]} of "
            f"{DELIMITERS[name]!r}; give data.delimiter={name}.",
        )
    if " " in first[0]:
        raise fault(
            path,
            f"has the single column {shown(first[0], 30)}; separate its columns by commas, "
            "semicolons, tabs or bars.",
        )


def _refuse_width(where: str, form: Format, row: list[str], width: int) -> NoReturn:
    hint = f"is data.delimiter={form.delimiter!r} right?"
    if len(row) == width + 1 and not row[-1]:
        hint = f"take the {form.delimiter!r} off its end."
    raise fault(where, f"has {len(row)} values and the first line {width}; {hint}")


class Sign(Enum):
    """Evidence of one cell of the first line that it is a header or data."""

    NUMBER = auto()
    """a number above numbers"""
    VALUE = auto()
    """a text that occurs below"""
    NAME = auto()
    """a text above numbers"""
    OTHER = auto()
    """a text that is none of the few below, which repeat"""
    NOTHING = auto()


def signs(first: Sequence[str], rows: Sequence[Sequence[str]]) -> set[Sign]:
    """Return the evidence of all cells of the first line, compared with the rows below."""
    below = zip(*rows[:_LOOKED_AT], strict=True)
    return {_sign(cell, texts) for cell, texts in zip(first, below, strict=True)}


def is_data(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Return True if the first line looks like the rows below it, and no cell like a name."""
    found = signs(first, rows)
    return bool(found & {Sign.NUMBER, Sign.VALUE}) and not found & {Sign.NAME, Sign.OTHER}


def is_names(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Return True if the first line cannot be data: texts stand above numbers, and no number."""
    found = signs(first, rows)
    return Sign.NAME in found and Sign.NUMBER not in found


def _sign(cell: str, below: Sequence[str]) -> Sign:
    there = [text for text in below if not is_missing(text)]
    if is_missing(cell) or not there:
        return Sign.NOTHING
    numbers = sum(map(is_number, there))
    if 2 * numbers > len(there):
        return Sign.NUMBER if is_number(cell) else Sign.NAME
    if cell in there:
        return Sign.VALUE
    return Sign.OTHER if len(set(there)) < len(there) else Sign.NOTHING


def number(text: str) -> float | None:
    """Return the number that a text is, or None."""
    # Python reads 1_000 as a number; in a table it is a typing error
    if "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def is_missing(text: str) -> bool:
    """Return True if a text means a missing value."""
    return text.lower() in MISSING


def is_number(text: str) -> bool:
    """Return True if a text is a number; `nan` counts as missing."""
    return not is_missing(text) and number(text) is not None


def has_decimal_comma(text: str) -> bool:
    """Return True if a text is a number with a decimal comma, as in 5,1."""
    return _DECIMAL_COMMA.fullmatch(text) is not None


def with_point(text: str) -> str:
    """Replace the decimal comma of a number by a point; return other texts unchanged."""
    return text.replace(",", ".") if has_decimal_comma(text) else text
