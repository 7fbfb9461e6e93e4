"""Tables in CSV files of a user's own, with columns chosen by name."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

from mlr.core.checks import InputError, flag, listed, typed
from mlr.data import options
from mlr.data.base import Dataset
from mlr.data.faults import LONGEST, DataWarning, fault, shown, tail
from mlr.data.prepare import Arrays, RealSource, split_rows
from mlr.data.tables import columns as encoding
from mlr.data.tables.groups import split_groups
from mlr.data.tables.table import Table, almost_number, number, read_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlr.data.prepare import Rows

_COUNTING = frozenset({"", "index", "id", "unnamed: 0"})
"""Names, in lower case, of columns that may only count the rows."""


@dataclass(eq=False, kw_only=True)
class Csv(RealSource):
    """Text file with one example a line, most often below a header line.

    Args:
        path: the file, UTF-8.
        label: name of the label's column, without a header its number from 0 (-1 is the last);
            None takes the column `label`, without a header the last. A list of several for a
            regression or for several labels.
        features: names or numbers of the features' columns; None takes all numeric columns but
            the label, and warns of the others.
        categorical: columns of categories, which are features too: one indicator, 0 or 1 and not
            scaled, for each category of the training lines. Others have all indicators 0.
        missing: refuse; drop: leave out lines with a missing value in a column that is used;
            mean, median: of the training lines, for missing numbers among the features, where an
            empty category is a category too.
        weights: column of factors ≥ 0 on the loss of each line in training; None: 1 each.
        groups: column of names: no group is in two splits.
        split_column: column that says train, val or test of each line; None splits by shares.
        delimiter: the character between columns, or comma, semicolon, tab or bar.
        header: True if the first line names the columns; None refuses one with numbers in it, if
            the label's column is not among its names.
        decimal: point or comma, as numbers are written.
        task: classification (labels of any text, mapped to 0..K−1 in sorted order, numbers by
            value), regression (the label is a real number) or multilabel (labels are 0 or 1).
        target_scale: of a regression's targets: standardize, mean 0 and deviation 1 in training;
            none; auto standardises where the loss takes any real number.
    """

    name = "csv"
    classes = None
    path: str | PathLike[str] | None = None
    label: str | int | Sequence[str | int] | None = None
    features: Sequence[str | int] | None = None
    categorical: Sequence[str | int] | None = None
    missing: str = options.REFUSE
    weights: str | int | None = None
    groups: str | int | None = None
    split_column: str | int | None = None
    delimiter: str = ","
    header: bool | None = None
    decimal: str = "point"
    task: str = options.CLASSIFICATION
    target_scale: str = options.AUTO

    def __post_init__(self) -> None:
        super().__post_init__()
        self.file = options.path("data.path", self.path, "the CSV file")
        if self.header is not None:
            flag("data.header", self.header)
        self.regression = self.task == options.REGRESSION
        self.multilabel = self.task == options.MULTILABEL
        self.labels = _chosen(self.label)
        if self.labels is None or not all(map(_is_column, self.labels)):
            raise InputError(
                f"data.label={typed(self.label)} must be the name of a column, or its number with "
                "data.header=false, or a list of several."
            )
        if len(self.labels) > 1 and self.task == options.CLASSIFICATION:
            raise InputError(
                f"data.label={typed(self.label)} names {len(self.labels)} columns, but a class is "
                "one; several need data.task=multilabel (each 0 or 1) or data.task=regression."
            )
        for option in ("weights", "groups", "split_column"):
            named = getattr(self, option)
            if named is not None and not _is_column(named):
                raise InputError(
                    f"data.{option}={typed(named)} must be the name of a column, or null."
                )
        for option, otherwise in (("features", "all numeric columns"), ("categorical", "none")):
            named = getattr(self, option)
            if named is not None and not (_is_list(named) and all(map(_is_column, named))):
                raise InputError(
                    f"data.{option}={tail(str(named), 60)} must be a list of column names, "
                    f"[first,second], or null for {otherwise}."
                )
        if self.split_column is not None and (self.groups is not None or self.split is not None):
            other = "groups" if self.groups is not None else "split"
            raise InputError(
                f"data.split_column={self.split_column} says the split of each line; leave "
                f"data.{other} out."
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
        """Read features (N, D), and labels (N,), targets (N, K) or labels (N, K).

        Raises:
            InputError: there is no such file or column.
            DataError: names the column, the line and the value that is wrong.
        """
        assert self.labels is not None
        first = str(self.labels[0]) if self.labels else "label"
        table = read_table(self.file, self.separator, self.header, self.decimal == "comma", first)
        labels = table.names(self.labels or [-1 if table.numbered else "label"], "data.label")
        other = {
            option: table.name(getattr(self, option), f"data.{option}")
            for option in ("weights", "groups", "split_column")
            if getattr(self, option) is not None
        }
        features, categorical, left_out = self._feature_columns(table, labels, other)
        table = self._complete(table, labels, features, categorical, other)
        numbers = encoding.numbers_of(table, features, categorical, self.missing)
        targets, names = self._targets(table, labels)
        rows = self._split(table, targets, names, other)
        found = encoding.fit(table, numbers, features, categorical, self.missing, rows[0])
        weights = table.weights(other["weights"]) if "weights" in other else None
        data = Arrays(found.features(table, numbers), targets, weights)
        encoding.warn_unknown(table, found, rows[0])
        plain = [number(name) for name in names] == list(range(len(names)))
        classes = len(names) if self.task == options.CLASSIFICATION else None
        dataset = self.dataset(
            seed,
            classes,
            [data.take(own) for own in rows],
            () if plain else tuple(names),
            self.multilabel,
            found,
            tuple(labels),
        )
        if left_out:
            start = f"{tail(self.file, 40)}: not used as features: "
            end = "; data.features=[…] chooses numbers, data.categorical=[…] categories."
            text = listed(left_out, LONGEST - len(start + end))
            warnings.warn(f"{start}{text}{end}", DataWarning, stacklevel=2)
        return dataset

    def _targets(self, table: Table, labels: Sequence[str]) -> tuple[NDArray, list[str]]:
        """Return targets, and the names of the classes or of several targets."""
        if self.task == options.CLASSIFICATION:
            return table.categories(labels[0])
        values = table.yes_or_no(labels) if self.multilabel else table.numbers(labels)
        return values, list(labels) if self.multilabel or len(labels) > 1 else []

    def _split(
        self, table: Table, targets: NDArray, names: Sequence[str], other: dict[str, str]
    ) -> Sequence[NDArray]:
        """Return the rows of the three splits."""
        import numpy as np

        if "split_column" in other:
            return table.split_rows(other["split_column"])
        where, shares = f"data={self.name}", (self.val_fraction, self.test_fraction)
        if "groups" in other:
            groups = table.columns[other["groups"]]
            return split_groups(where, groups, shares, self.split_seed, self.split_in_order)
        stratify = self.task == options.CLASSIFICATION
        found: list[Rows] = split_rows(
            where, targets, shares, self.split_seed, stratify, self.split_in_order, names
        )
        every = np.arange(len(targets))
        return [every[rows] for rows in found]

    def _complete(
        self,
        table: Table,
        labels: Sequence[str],
        features: Sequence[str],
        categorical: Sequence[str],
        other: dict[str, str],
    ) -> Table:
        """Return the table without the lines that `missing` drops."""
        of_numbers = [name for name in features if name not in categorical]
        filled = of_numbers + list(categorical)
        of_texts = list(categorical)
        # a missing class has its own message, but can be dropped
        if self.task != options.CLASSIFICATION:
            of_numbers += labels
        elif self.missing == options.DROP:
            of_texts += labels
        of_numbers += [name for option, name in other.items() if option == "weights"]
        of_texts += [name for option, name in other.items() if option != "weights"]
        return encoding.without_missing(table, of_numbers, of_texts, self.missing, filled)

    def _feature_columns(
        self, table: Table, labels: Sequence[str], other: dict[str, str]
    ) -> tuple[list[str], list[str], list[str]]:
        """Return the features' columns, those with categories, and others with the reason."""
        categorical = table.names(self.categorical, "data.categorical")
        used = [*labels, *other.values()]
        if self.features is not None:
            names = table.names(self.features, "data.features")
            names += [name for name in categorical if name not in names]
            name, times = Counter([*names, *used]).most_common(1)[0]
            if times > 1:
                raise self._twice(name, labels)
            return names, categorical, []
        name, times = Counter([*categorical, *used]).most_common(1)[0]
        if times > 1:
            raise self._twice(name, labels, "categorical")
        names, left_out = [], []
        for name, texts in table.columns.items():
            if name in used:
                continue
            if name in categorical:
                names.append(name)
            elif not any(map(almost_number, texts)):
                left_out.append(f"{shown(name, 20)} (text)")
            elif _counts(name, texts):
                left_out.append(f"{shown(name, 20)} (it counts the rows)")
            else:
                names.append(name)
        if not names:
            raise fault(
                self.file,
                f"has no numeric column besides {tail(labels[0], 30)}; data.categorical=[…] takes "
                "columns of text.",
            )
        return names, categorical, left_out

    def _twice(self, name: str, labels: Sequence[str], option: str = "features") -> InputError:
        """Return the refusal of a column that is used twice."""
        if name in labels:
            return InputError(
                f"data.{option} names {tail(name, 60)} twice, or it is the label, which is no "
                "feature."
            )
        return InputError(
            f"data.{option} names {tail(name, 60)} twice, or it has another use: weights, groups "
            "or splits are no features."
        )


def _counts(name: str, texts: Sequence[str]) -> bool:
    """Return True if a column only counts the rows, as an index saved with them does."""
    if name.lower() not in _COUNTING:
        return False
    values = list(map(number, texts))
    return any(values == list(range(start, start + len(values))) for start in (0, 1))


def _chosen(label: object) -> Sequence[str | int] | None:
    """Return the chosen columns as a list, empty for None; None for what chooses none."""
    if label is None:
        return []
    if _is_list(label):
        return label  # type: ignore[return-value]
    return [label] if _is_column(label) else None  # type: ignore[list-item]


def _is_list(named: object) -> bool:
    """Return True for a list that is not empty."""
    return isinstance(named, Sequence) and not isinstance(named, str) and len(named) > 0


def _is_column(chosen: object) -> bool:
    """Return True for the name or number of a column."""
    return isinstance(chosen, (str, int)) and not isinstance(chosen, bool)
