"""Tables in CSV files of a user's own, with columns chosen by name."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from mlr.core.checks import InputError, flag, known, listed, whole
from mlr.data import options, prepare, table
from mlr.data.base import Dataset, Source
from mlr.data.faults import LONGEST, DataWarning, fault, shown, tail
from mlr.data.table import is_number, number

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Csv(Source):
    """Text file with one example a line, most often below a header line.

    The split follows `split_seed`, not the run's seed: the data are real.

    Args:
        path: the file, UTF-8.
        label: name of the label's column, without a header its number from 0 (-1 is the last);
            None takes the column `label`, without a header the last.
        features: names or numbers of the features' columns; None takes all numeric columns but
            the label, and warns of the others.
        delimiter: the character between columns, or comma, semicolon, tab or bar.
        header: True if the first line names the columns; None refuses one that looks like data.
        decimal: point or comma, as numbers are written.
        task: classification (labels of any text, mapped to 0..K−1 in sorted order, numbers by
            value) or regression (the label is a real number).
        val_fraction: share of examples for validation; 0 for no validation.
        test_fraction: share of examples for the test.
        split_seed: seed that assigns the examples to the splits.
        scale: none, standardize or minmax, by column, fitted on the training split.
        order: shuffled: another order of the training examples in each epoch, by the run's seed;
            given: the order of the file, in which it is then split too.
        drop_last: leave out the last examples of an epoch that do not fill a batch.
    """

    name = "csv"

    def __init__(
        self,
        path: str | PathLike[str] | None = None,
        label: str | int | None = None,
        features: Sequence[str | int] | None = None,
        delimiter: str = ",",
        header: bool | None = None,
        decimal: str = "point",
        task: str = "classification",
        val_fraction: float = 0.2,
        test_fraction: float = 0.2,
        split_seed: int = 0,
        scale: str = "standardize",
        order: str = "shuffled",
        drop_last: bool = False,
    ) -> None:
        self.path = options.path("data.path", path, "the CSV file")
        if header is not None:
            flag("data.header", header)
        self.label = _label(label, header)
        self.features = _names(features, self.label)
        comma = known("data.decimal", decimal, options.DECIMALS) == "comma"
        self.format = table.Format(_one_character(delimiter), header, comma)
        self.regression = known("data.task", task, options.TASKS) == "regression"
        self.shares = options.split_shares(val_fraction, test_fraction)
        self.split_seed = whole("data.split_seed", split_seed, at_least=0)
        self.scale = known("data.scale", scale, options.COLUMN_SCALES)
        self.take_order(order, drop_last)
        self.classes = None

    def load(self, seed: int) -> Dataset:
        """Read features (N, D), and labels (N,) or targets (N, 1).

        Raises:
            InputError: there is no such file or column.
            DataError: names the column, the line and the value that is wrong.
        """
        content = table.read(self.path, self.format)
        label = self._label_column(content)
        names, left_out = self._feature_columns(content, label)
        content.refuse_missing(names, label)
        x = content.numbers(names, "data.features")
        y, labels = self._targets(content, label)
        where = f"data={self.name}"
        splits = prepare.split(
            where,
            prepare.Arrays(x, y),
            self.shares,
            self.split_seed,
            stratify=not self.regression,
            in_order=self.in_file_order,
            labels=labels,
        )
        classes = None if self.regression else len(labels)
        plain = [number(label) for label in labels] == list(range(len(labels)))
        named = () if plain else tuple(labels)
        plan = prepare.Preparation(self.name, classes, self.scale, seed=seed, labels=named)
        data = prepare.to_dataset(plan, *splits)
        if left_out:
            _warn_left_out(self.path, left_out)
        return data

    def _label_column(self, content: table.Table) -> str:
        """Return the name of the label's column."""
        names = content.header
        if str(self.label) not in names and any(map(is_number, names)) and not content.numbered:
            there = listed([tail(one, 15) for one in names], 40)
            raise fault(
                self.path,
                f"has no column {tail(str(self.label), 30)} but {there}; if that is data and no "
                "header, add data.header=false, else data.label=COLUMN.",
            )
        return content.name(self.label, "data.label")

    def _feature_columns(self, content: table.Table, label: str) -> tuple[list[str], list[str]]:
        """Return the names of the features' columns, and the columns left out with the reason."""
        if self.features is not None:
            names = [content.name(one, "data.features") for one in self.features]
            _check_names(names, label)
            return names, []
        numeric = [name for name in content.numeric() if name != label]
        others = {*numeric, label}
        texts = [n for n in content.header if n not in others and not content.is_empty(n)]
        content.refuse_decimal_comma(texts)
        counts = {name for name in numeric if content.is_count(name)}
        names = [name for name in numeric if name not in counts]
        if not names:
            raise fault(self.path, f"has no numeric column besides {tail(label, 30)}.")
        left_out = [f"{shown(name, 20)} (text)" for name in texts]
        return names, left_out + [
            f"{shown(name, 20)} (it counts the rows)" for name in numeric if name in counts
        ]

    def _targets(self, content: table.Table, label: str) -> tuple[NDArray, list[str]]:
        """Return numbers (N, 1) and no names, or class indices (N,) and the class names."""
        if self.regression:
            return content.numbers([label], "data.label"), []
        indices, names = content.categories(label)
        if len(names) < 2:
            raise fault(
                self.path,
                f"has the single label {shown(names[0])} in column {tail(label, 30)}; a "
                "classifier needs two classes.",
            )
        return indices, names


def _warn_left_out(path: Path, columns: Sequence[str]) -> None:
    """Warn that columns are not used as features, with the reason of each."""
    start = f"{tail(path, 40)}: not used as features: "
    end = "; data.features=[…] chooses among columns of numbers."
    text = listed(columns, LONGEST - len(start + end))
    warnings.warn(f"{start}{text}{end}", DataWarning, stacklevel=3)


def _label(label: str | int | None, header: bool | None) -> str | int:
    """Return the name or number of the label's column."""
    if label is None:
        return -1 if header is False else "label"
    if isinstance(label, bool) or not isinstance(label, (str, int)) or label == "":
        raise InputError(
            f"data.label={label} must be the name of a column, or its number with "
            "data.header=false."
        )
    return label


def _names(features: Sequence[str | int] | None, label: str | int) -> list[str | int] | None:
    if features is None:
        return None
    if (
        isinstance(features, str)
        or not isinstance(features, Sequence)
        or not all(isinstance(one, (str, int)) and not isinstance(one, bool) for one in features)
    ):
        raise InputError(
            f"data.features={tail(str(features), 60)} must be a list of column names: "
            "[first,second]."
        )
    if not features:
        raise InputError("data.features=[] names no column; give names, or null for all numeric.")
    _check_names([str(one) for one in features], str(label))
    return list(features)


def _check_names(features: Sequence[str], label: str) -> None:
    """Refuse a feature that is chosen twice or is the label."""
    doubled = {name for name, times in Counter(features).items() if times > 1}
    if doubled:
        raise InputError(f"data.features names {tail(', '.join(sorted(doubled)), 60)} twice.")
    if label in features:
        raise InputError(
            f"data.features includes the label {tail(label, 60)}: the answer is not a feature."
        )


def _one_character(delimiter: str) -> str:
    given = "null" if delimiter is None else repr(delimiter)
    delimiter = options.DELIMITERS.get(delimiter, delimiter)
    # the csv module refuses these itself, but in a TypeError and only when reading
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '\r\n" ':
        raise InputError(
            f"data.delimiter={given} must be one character, or one of "
            f"{', '.join(options.DELIMITERS)}."
        )
    return delimiter
