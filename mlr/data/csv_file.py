"""Csv: a table of a user's own, columns chosen by name."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING

from mlr.checks import InputError, known, whole
from mlr.data import options, prepare, table
from mlr.data.base import Dataset, Source
from mlr.data.faults import fault, shown, tail

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Csv(Source):
    """A text file with a header line; one line an example.

    The split follows `split_seed`, not the run's seed: the data are real.

    Args:
        path: the file, UTF-8.
        label: name of the label's column.
        features: names of the features' columns; None takes all numeric columns but the label.
        delimiter: the character between columns.
        task: classification (labels of any text, mapped to 0..K−1 in sorted order, numbers by
            value) or regression (the label is a real number).
        val_fraction: share of examples for validation.
        test_fraction: share of examples for the test.
        split_seed: decides which example is in which split.
        scale: none, standardize or minmax, by column, fitted on the training split.
    """

    name = "csv"

    def __init__(
        self,
        path: str | PathLike[str] | None = None,
        label: str = "label",
        features: Sequence[str] | None = None,
        delimiter: str = ",",
        task: str = "classification",
        val_fraction: float = 0.2,
        test_fraction: float = 0.2,
        split_seed: int = 0,
        scale: str = "standardize",
    ) -> None:
        self.path = options.path("data.path", path, "the CSV file")
        self.label = options.text("data.label", label)
        self.features = _names(features, label)
        self.delimiter = _one_character(delimiter)
        self.regression = known("data.task", task, options.TASKS) == "regression"
        self.shares = options.split_shares(val_fraction, test_fraction)
        self.split_seed = whole("data.split_seed", split_seed, at_least=0)
        self.scale = options.scale(scale, options.COLUMN_SCALES)
        self.classes = None

    def load(self, seed: int) -> Dataset:
        """Features (N, D), and labels (N,) or targets (N, 1).

        Raises:
            InputError: there is no such file or column.
            DataError: names the column, the line and the value that is wrong.
        """
        content = table.read(self.path, self.delimiter)
        content.index(self.label, "data.label")
        names = self.features
        if names is None:
            names = [name for name in content.numeric() if name != self.label]
            if not names:
                raise fault(self.path, f"has no numeric column besides {tail(self.label, 30)}.")
        x = content.numbers(names, "data.features")
        y, classes = self._targets(content)
        stratify = classes is not None
        data = prepare.Arrays(x, y)
        splits = prepare.split(f"data={self.name}", data, self.shares, self.split_seed, stratify)
        plan = prepare.Plan(self.name, classes, self.scale, seed=seed)
        return prepare.to_dataset(plan, *splits)

    def _targets(self, content: table.Table) -> tuple[NDArray, int | None]:
        """Numbers (N, 1) and None, or class indices (N,) and K."""
        if self.regression:
            return content.numbers([self.label], "data.label"), None
        indices, names = content.categories(self.label)
        if len(names) < 2:
            raise fault(
                self.path,
                f"has the single label {shown(names[0])} in column {tail(self.label, 30)}; a "
                "classifier needs two classes.",
            )
        return indices, len(names)


def _names(features: Sequence[str] | None, label: str) -> list[str] | None:
    if features is None:
        return None
    if (
        isinstance(features, str)
        or not isinstance(features, Sequence)
        or not all(isinstance(name, str) for name in features)
    ):
        raise InputError(
            f"data.features={tail(str(features), 60)} must be a list of column names: "
            "[first,second]."
        )
    if not features:
        raise InputError("data.features=[] names no column; give names, or null for all numeric.")
    doubled = {name for name in features if list(features).count(name) > 1}
    if doubled:
        raise InputError(f"data.features names {tail(', '.join(sorted(doubled)), 60)} twice.")
    if label in features:
        raise InputError(
            f"data.features includes the label {tail(label, 60)}: the answer is not a feature."
        )
    return list(features)


def _one_character(delimiter: str) -> str:
    # the csv module refuses these itself, but in a TypeError and only when reading
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '\r\n" ':
        raise InputError(
            f"data.delimiter={delimiter!r} must be one character, such as a comma, a semicolon "
            "or a tab."
        )
    return delimiter
