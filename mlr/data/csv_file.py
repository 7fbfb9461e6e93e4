"""Tables in CSV files of a user's own, with columns chosen by name.

Errors name line, column and value; lines count from 1, the header included.

Source: RFC 4180.
"""

from __future__ import annotations

import csv
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from mlr.core.checks import DataError, InputError, flag, listed, typed
from mlr.data import options
from mlr.data.base import Dataset
from mlr.data.faults import LONGEST, DataWarning, fault, shown, tail
from mlr.data.files import opened
from mlr.data.prepare import Arrays, RealSource

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_BYTES = 256 * 2**20
"""Largest file of a table, which takes some twenty times as much memory while it is read."""
_LONGEST_NAME = 30
_COUNTING = frozenset({"", "index", "id", "unnamed: 0"})
"""Names, in lower case, of columns that may only count the rows."""


@dataclass(eq=False, kw_only=True)
class Csv(RealSource):
    """Text file with one example a line, most often below a header line.

    Args:
        path: the file, UTF-8.
        label: name of the label's column, without a header its number from 0 (-1 is the last);
            None takes the column `label`, without a header the last.
        features: names or numbers of the features' columns; None takes all numeric columns but
            the label, and warns of the others.
        delimiter: the character between columns, or comma, semicolon, tab or bar.
        header: True if the first line names the columns; None refuses one with numbers in it, if
            the label's column is not among its names.
        decimal: point or comma, as numbers are written.
        task: classification (labels of any text, mapped to 0..K−1 in sorted order, numbers by
            value) or regression (the label is a real number).
        target_scale: of a regression's targets: standardize, mean 0 and deviation 1 in training;
            none; auto standardises where the loss takes any real number.
    """

    name = "csv"
    classes = None
    path: str | PathLike[str] | None = None
    label: str | int | None = None
    features: Sequence[str | int] | None = None
    delimiter: str = ","
    header: bool | None = None
    decimal: str = "point"
    task: str = "classification"
    target_scale: str = options.AUTO

    def __post_init__(self) -> None:
        super().__post_init__()
        self.file = options.path("data.path", self.path, "the CSV file")
        if self.header is not None:
            flag("data.header", self.header)
        self.regression = self.task == "regression"
        if self.label is not None and not _is_column(self.label):
            raise InputError(
                f"data.label={typed(self.label)} must be the name of a column, or its number with "
                "data.header=false."
            )
        named = self.features
        is_list = isinstance(named, Sequence) and not isinstance(named, str)
        if named is not None and not (is_list and named and all(map(_is_column, named))):
            raise InputError(
                f"data.features={tail(str(named), 60)} must be a list of column names, "
                "[first,second], or null for all numeric columns."
            )
        self.separator = options.DELIMITERS.get(self.delimiter, self.delimiter)
        # the csv module refuses these itself, but in a TypeError and only when reading
        if not isinstance(self.separator, str) or (
            len(self.separator) != 1 or self.separator in '\r\n" '
        ):
            raise InputError(
                f"data.delimiter={typed(self.delimiter)} must be one character, or one of "
                f"{', '.join(options.DELIMITERS)}."
            )

    def load(self, seed: int) -> Dataset:
        """Read features (N, D), and labels (N,) or targets (N, 1).

        Raises:
            InputError: there is no such file or column.
            DataError: names the column, the line and the value that is wrong.
        """
        table = self._read()
        label = self.label
        if label is None:
            label = -1 if table.numbered else "label"
        label = table.name(label, "data.label")
        features, left_out = self._feature_columns(table, label)
        x = table.numbers(features)
        labels: list[str] = []
        if self.regression:
            data = Arrays(x, table.numbers([label]))
        else:
            indices, labels = table.categories(label)
            data = Arrays(x, indices)
        shares = (self.val_fraction, self.test_fraction)
        splits = self.split(data, shares, stratify=not self.regression, labels=labels)
        plain = [number(label) for label in labels] == list(range(len(labels)))
        dataset = self.dataset(seed, len(labels) or None, splits, () if plain else tuple(labels))
        if left_out:
            start = f"{tail(self.file, 40)}: not used as features: "
            end = "; data.features=[…] chooses among columns of numbers."
            text = listed(left_out, LONGEST - len(start + end))
            warnings.warn(f"{start}{text}{end}", DataWarning, stacklevel=2)
        return dataset

    def _feature_columns(self, table: _Table, label: str) -> tuple[list[str], list[str]]:
        """Return the names of the features' columns, and the columns left out with the reason."""
        if self.features is not None:
            names = [table.name(one, "data.features") for one in self.features]
            name, times = Counter([*names, label]).most_common(1)[0]
            if times > 1:
                raise InputError(
                    f"data.features names {tail(name, 60)} twice, or it is the label, which is no "
                    "feature."
                )
            return names, []
        names, left_out = [], []
        for name, texts in table.columns.items():
            if name == label:
                continue
            if not any(map(_almost_number, texts)):
                left_out.append(f"{shown(name, 20)} (text)")
            elif _counts(name, texts):
                left_out.append(f"{shown(name, 20)} (it counts the rows)")
            else:
                names.append(name)
        if not names:
            raise fault(self.file, f"has no numeric column besides {tail(label, 30)}.")
        return names, left_out

    def _read(self) -> _Table:
        """Read the file.

        Raises:
            InputError: there is no file of that name.
            DataError: the file is no UTF-8, no CSV, without rows, too large, a line has more or
                fewer values than the first, or that one looks like data and not like a header.
        """
        rows, lines = [], []
        with opened(self.file, MOST_BYTES, "data.path") as file:
            text = TextIOWrapper(file, encoding="utf-8-sig", newline="")
            reader = csv.reader(text, delimiter=self.separator, strict=True)
            try:
                for row in reader:
                    if not row:
                        continue
                    row = [text.strip() for text in row]
                    rows.append(list(map(with_point, row)) if self.decimal == "comma" else row)
                    lines.append(reader.line_num)
                    if len(row) != len(rows[0]) or len(row) == 1:
                        raise self._wrong_width(rows, reader.line_num)
            except csv.Error as error:
                raise fault(f"{self.file}, line {reader.line_num}:", f"{error}.") from None
            except UnicodeDecodeError as error:
                raise fault(
                    self.file,
                    f"is not UTF-8 text: byte 0x{error.object[error.start]:02x} near line "
                    f"{reader.line_num + 1} cannot be read; save it as UTF-8, unpacked.",
                ) from None
        if len(rows) < 2:
            raise fault(self.file, "has no lines of data below its first line.")
        label = "label" if self.label is None else str(self.label)
        unnamed = label not in rows[0] or number(label) is not None
        if self.header is None and unnamed and any(map(_almost_number, rows[0])):
            cells = listed([shown(cell, 15) for cell in rows[0]], 40)
            raise fault(
                self.file,
                f"seems to have no header: its first line is {cells}. data.header=false names "
                "columns by number, data.header=true takes it as a header.",
            )
        numbered = self.header is False
        names = list(map(str, range(len(rows[0])))) if numbered else rows[0]
        first = 0 if numbered else 1
        columns: dict[str, tuple[str, ...]] = {}
        for name, texts in zip(names, zip(*rows[first:], strict=True), strict=True):
            # spreadsheets may leave empty columns to the right of the table
            if not name and not any(texts):
                continue
            if name in columns:
                raise fault(self.file, f"has two columns named {shown(name)}; rename one of them.")
            columns[name] = texts
        return _Table(self.file, columns, lines[first:], numbered)

    def _wrong_width(self, rows: list[list[str]], line: int) -> DataError:
        if len(rows[0]) == 1:
            return fault(
                self.file,
                f"has the single column {shown(rows[0][0], 30)}; name the character between its "
                f"columns by data.delimiter={', '.join(options.DELIMITERS)}.",
            )
        return fault(
            f"{self.file}, line {line}",
            f"has {len(rows[-1])} values and the first line {len(rows[0])}; is data.delimiter="
            f"{self.separator!r} right?",
        )


@dataclass(frozen=True)
class _Table:
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

    def numbers(self, names: Sequence[str]) -> NDArray[np.float64]:
        """Return columns (N, D) of finite numbers.

        Raises:
            DataError: names the column, line and value that is no finite number.
        """
        import numpy as np

        limit = float(np.finfo(np.float32).max)
        columns = []
        for name in names:
            values = [number(text) for text in self.columns[name]]
            for place, value in enumerate(values):
                if value is None or not abs(value) <= limit:
                    text = self.columns[name][place]
                    given = shown(text) if text else "a missing value"
                    comma = "; a decimal comma needs data.decimal=comma" * ("," in text)
                    raise fault(
                        f"{self.file}, line {self.lines[place]}, column "
                        f"{tail(name, _LONGEST_NAME)}:",
                        f"{given} is not a number that float32 can hold{comma}; correct it, "
                        "or drop its line, or its column by data.features=[…].",
                    )
            columns.append(np.array(values, np.float64))
        return np.stack(columns, axis=1)

    def categories(self, name: str) -> tuple[NDArray[np.int64], list[str]]:
        """Return the index (N,) of each text in a column, and the distinct texts in sorted order.

        Numbers are sorted by value, so that 10 follows 9; `1` and `1.0` stay two texts.

        Raises:
            DataError: a text is empty, or all are the same.
        """
        import numpy as np

        texts = self.columns[name]
        distinct = sorted(set(texts))
        if "" in distinct or len(distinct) < 2:
            what = "an empty label" if "" in distinct else f"the single label {shown(texts[0])}"
            where = f"{self.file}, line {self.lines[texts.index(distinct[0])]}"
            raise fault(
                where,
                f"has {what} in column {tail(name, _LONGEST_NAME)}; a classifier needs two classes "
                "and a label in each line.",
            )
        if all(number(text) is not None for text in distinct):
            distinct.sort(key=float)
        place = {text: index for index, text in enumerate(distinct)}
        return np.array([place[text] for text in texts], np.int64), distinct


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
    return text.replace(",", ".") if _almost_number(text) else text


def _almost_number(text: str) -> bool:
    """Return True for a number, with a decimal point or comma, that is not `nan`.

    A single number makes a column numeric, so that a typing error in a column is reported and the
    column not left out silently.
    """
    value = number(text.replace(",", "."))
    return value is not None and value == value


def _counts(name: str, texts: Sequence[str]) -> bool:
    """Return True if a column only counts the rows, as an index saved with them does."""
    if name.lower() not in _COUNTING:
        return False
    values = list(map(number, texts))
    return any(values == list(range(start, start + len(values))) for start in (0, 1))


def _is_column(chosen: object) -> bool:
    """Return True for the name or number of a column."""
    return isinstance(chosen, (str, int)) and not isinstance(chosen, bool)
