"""Columns of a table as features: numbers, and an indicator for each category.

Everything is fitted on the lines of the training split: categories are those that occur there, and
a missing number becomes the mean or median of its column there. A category that only occurs
elsewhere has no indicator: all of its column are 0.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlr.core.checks import InputError
from mlr.data import options
from mlr.data.faults import LONGEST, DataWarning, fault, shown, tail
from mlr.data.tables.table import Table, in_order

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = Mapping[str, NDArray[np.float64]]

MOST_CATEGORIES = 1000
"""Categories of one column, each of which is a feature; more are nearly always names or numbers."""


@dataclass(frozen=True)
class Columns:
    """Columns as they were fitted on training lines.

    Attributes:
        names: of the columns, in the order of the features.
        fill: number that stands for a missing one, by column; none where missing ones are refused.
        categories: texts of the indicators, by column; other columns are numbers.
    """

    names: tuple[str, ...]
    fill: Mapping[str, float]
    categories: Mapping[str, tuple[str, ...]]

    @property
    def indicators(self) -> NDArray[np.bool_]:
        """Tell of each feature (D,) if it is an indicator of a category."""
        import numpy as np

        counts = [(name in self.categories, self._width(name)) for name in self.names]
        return np.repeat([kind for kind, _ in counts], [width for _, width in counts])

    def _width(self, name: str) -> int:
        return len(self.categories[name]) if name in self.categories else 1

    def features(self, table: Table, numbers: Numbers) -> NDArray[np.float64]:
        """Compute features (N, D) of a table and its `numbers_of`."""
        import numpy as np

        parts = []
        for name in self.names:
            if name in self.categories:
                texts = np.array(table.columns[name], dtype=object)[:, None]
                own = np.array(self.categories[name], dtype=object)[None]
                parts.append((texts == own).astype(np.float64))
            else:
                values = numbers[name]
                if name in self.fill:
                    values = np.where(np.isnan(values), self.fill[name], values)
                parts.append(values[:, None])
        return np.concatenate(parts, axis=1)


def numbers_of(
    table: Table, names: Sequence[str], categorical: Collection[str], missing: str
) -> Numbers:
    """Read the columns (N,) that hold no categories; NaN where `missing` replaces a number.

    Raises:
        DataError: names the column, line and value that is no number.
    """
    may_miss = missing in (options.MEAN, options.MEDIAN)
    return {
        name: table.numbers([name], may_miss)[:, 0] for name in names if name not in categorical
    }


def fit(
    table: Table,
    numbers: Numbers,
    names: Sequence[str],
    categorical: Collection[str],
    missing: str,
    training: NDArray[np.int64],
) -> Columns:
    """Fit columns on the training lines of a table.

    Args:
        table: all lines.
        numbers: from `numbers_of`.
        names: of the columns that are features.
        categorical: those of them that hold categories.
        missing: mean or median, by which missing numbers are replaced; otherwise none is missing.
        training: numbers of the rows.

    Raises:
        InputError: a column has too many categories.
        DataError: no training line has a number in some column.
    """
    import numpy as np

    fill, categories = {}, {}
    for name in names:
        if name in categorical:
            texts = table.columns[name]
            found = in_order({texts[row] for row in training})
            if len(found) > MOST_CATEGORIES:
                raise InputError(
                    f"data.categorical: column {tail(name, 30)} has {len(found)} categories in "
                    f"{len(training)} training lines; {MOST_CATEGORIES} are the most."
                )
            categories[name] = tuple(found)
        elif missing in (options.MEAN, options.MEDIAN):
            known = numbers[name][training]
            known = known[~np.isnan(known)]
            if not len(known):
                raise fault(
                    table.file,
                    f"has no number in column {tail(name, 30)} in any training line; leave the "
                    "column out by data.features=[…].",
                )
            typical = np.mean(known) if missing == options.MEAN else np.median(known)
            fill[name] = float(typical)
    return Columns(tuple(names), fill, categories)


def warn_unknown(table: Table, columns: Columns, training: NDArray[np.int64]) -> None:
    """Warn of categories that no training line has, whose indicators are all 0."""
    for name, known in columns.categories.items():
        there = set(known)
        unknown = [text for text in table.columns[name] if text not in there]
        if unknown:
            few = f"{len(unknown)} of {len(table.lines) - len(training)} lines"
            warnings.warn(
                f"{tail(table.file, 40)}: column {tail(name, 30)} has categories that no training "
                f"line has in {few} held out, the first {shown(unknown[0], 20)}: all of its "
                "indicators are 0 there.",
                DataWarning,
                stacklevel=3,
            )


def without_missing(
    table: Table, numbers: Sequence[str], texts: Sequence[str], missing: str, filled: Sequence[str]
) -> Table:
    """Refuse or drop the lines with a missing value.

    Args:
        table: all lines.
        numbers: columns of numbers that are used.
        texts: columns of texts that are used.
        missing: one of `options.MISSING`.
        filled: columns in which mean and median replace what is missing.

    Raises:
        DataError: values are missing and not to be filled or dropped, or every line has one.
    """
    rule = missing in (options.MEAN, options.MEDIAN)
    rows: dict[int, str] = {}
    count, columns = 0, set()
    for names, find in ((numbers, table.missing_numbers), (texts, table.missing_texts)):
        for name in names:
            if rule and name in filled:
                continue
            for row in find(name):
                rows.setdefault(row, name)
                count += 1
                columns.add(name)
    if not rows:
        return table
    if missing != options.DROP:
        first = min(rows)
        if rule:
            raise fault(
                table.place(rows[first], first),
                f"a missing value, which data.missing={missing} replaces in features only "
                f"({count} in all); correct it, or use data.missing=drop.",
            )
        several = f"{count} values are missing in {len(columns)} columns, the first here"
        what = "a missing value" if count == 1 else several
        raise fault(
            table.place(rows[first], first),
            f"{what}; data.missing=mean or median fills features, drop leaves out the lines.",
        )
    rest = [row for row in range(len(table.lines)) if row not in rows]
    if not rest:
        raise fault(table.file, "has a missing value in every line; use data.missing=mean.")
    start = f"{tail(table.file, LONGEST - 120)}: data.missing=drop leaves out {len(rows)} of "
    warnings.warn(
        f"{start}{len(table.lines)} lines, which have missing values.", DataWarning, stacklevel=3
    )
    return table.kept(rest)
