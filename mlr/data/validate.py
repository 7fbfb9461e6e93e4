"""Checks of the values of a dataset, made once, when it is loaded.

Each takes `where`, the name of the data in messages (`data=csv` or a file), and raises a DataError
that names the first offending value.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import count, islice
from typing import TYPE_CHECKING

from mlr.data.faults import DataWarning, fault, tail

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HINT_SIGNS = " Labels -1 and +1 become 0 and 1 by (y + 1) / 2."
_HINT_FROM_ONE = " Labels that count from 1 need 1 taken off: y - 1."
_MANY_SHARED = 0.1


def equal_counts(where: str, features: NDArray, targets: NDArray) -> None:
    """Refuse features and targets of different numbers of examples.

    Raises:
        DataError: gives both counts.
    """
    if len(features) != len(targets):
        raise fault(
            where,
            f"has {len(features)} examples but {len(targets)} labels; every example needs one "
            "label.",
        )


def not_empty(where: str, split: str, features: NDArray) -> None:
    """Refuse a split without examples, and examples without a number.

    Raises:
        DataError: names the split.
    """
    if len(features) == 0:
        raise fault(where, f"has no {split} examples; every split needs at least one.")
    if features.size == 0:
        raise fault(
            where,
            f"has {split} examples of shape {shape_of(features[0])}, which hold no number; each "
            "needs at least one.",
        )


def finite(where: str, values: NDArray, what: str = "features") -> None:
    """Refuse NaN, infinities and numbers that float32 cannot hold.

    Args:
        where: name of the data.
        values: (N, ...) numbers.
        what: name of the numbers, for the message.

    Raises:
        DataError: gives the number of bad rows and the first, counted from 0.
    """
    import numpy as np

    if values.dtype.kind not in "biuf":
        raise fault(where, f"has {what} of type {values.dtype}; they must be real numbers.")
    if values.dtype.kind in "biu" or not values.size:
        return
    limit = np.finfo(np.float32).max
    # the comparison is false for NaN and infinity as well
    good = np.abs(values.reshape(len(values), -1)) <= limit
    rows = np.flatnonzero(~good.all(axis=1))
    if len(rows):
        first = values.reshape(len(values), -1)[rows[0]]
        value = first[~good[rows[0]]][0]
        raise fault(
            where,
            f"has {what} that are not finite in float32 in {len(rows)} of {len(values)} rows, the "
            f"first in row {rows[0]} (counted from 0): {value:.6g}.",
        )


def class_labels(
    where: str, labels: NDArray, classes: int | None, numbers: str = ""
) -> tuple[NDArray, int]:
    """Return labels as int64 and the class count K.

    Args:
        where: name of the data.
        labels: (N,) whole numbers 0..K−1, in any numeric type.
        classes: K, or None to read it off the largest label; then every class must occur.
        numbers: hint for the message, to use labels as real numbers instead.

    Raises:
        DataError: the first label that is not a whole number in 0..K−1, with its index.
    """
    import numpy as np

    if labels.dtype.kind not in "biuf":
        raise fault(where, f"has labels of type {labels.dtype}; they must be whole numbers from 0.")
    if labels.ndim != 1:
        raise fault(
            where,
            f"has labels of shape {shape_of(labels)}; they must be one number each, (N,)."
            f"{_kind(labels)}",
        )
    _refuse_first(where, labels, ~_whole_numbers(labels), "a whole number", numbers)
    if labels.dtype.kind == "f":
        labels = labels.astype(np.int64)
    upper = "0, 1, 2, …" if classes is None else f"0..{classes - 1}"
    outside = labels < 0
    if classes is not None:
        outside |= labels >= classes
    _refuse_first(where, labels, outside, f"one of {upper}", _hint(labels, classes))
    if classes is None:
        found = np.unique(labels)
        # int64 would wrap the largest of uint64
        classes = max(2, int(found[-1]) + 1)
        _refuse_gaps(where, found, classes)
    return labels.astype(np.int64), classes


def warn_absent(where: str, labels: NDArray, classes: int, names: Sequence[str] = ()) -> None:
    """Warn if a class has no training example, which is legal but nearly always a mistake."""
    import numpy as np

    found = set(np.unique(labels).tolist())
    absent = classes - len(found)
    if absent:
        first = list(islice((k for k in range(classes) if k not in found), 5))
        called = [tail(names[k], 20) if names else str(k) for k in first]
        few = ", ".join(called) + (", …" if absent > len(first) else "")
        warnings.warn(
            f"{where}: {absent} of {classes} classes have no training example: {few}.",
            DataWarning,
            stacklevel=3,
        )


def warn_alike(where: str, features: NDArray) -> None:
    """Warn if all training examples (N, ...) are equal."""
    # nearly always the second already differs
    if len(features) > 1 and (features[1] == features[0]).all() and (features == features[0]).all():
        text = f"{where}: all {len(features)} training examples are alike."
        warnings.warn(text, DataWarning, stacklevel=3)


def warn_shared(where: str, train: NDArray, other: NDArray, split: str) -> None:
    """Warn if a tenth or more of a split that a file defines occurs in training as well.

    This is no error: with few pixels or columns, examples can be equal by chance.

    Args:
        where: name of the data.
        train: features (N, ...).
        other: features (M, ...) of the split.
        split: its name, for the message.
    """
    if train.dtype != other.dtype or train.shape[1:] != other.shape[1:] or not other.size:
        return
    known = {hash(row.tobytes()) for row in train}
    shared = [index for index, row in enumerate(other) if hash(row.tobytes()) in known]
    if len(shared) >= _MANY_SHARED * len(other):
        warnings.warn(
            f"{tail(where, 80)}: {len(shared)} of {len(other)} {split} examples are training "
            f"examples too, the first in row {shared[0]}: its numbers are too optimistic.",
            DataWarning,
            stacklevel=3,
        )


def shape_of(values: NDArray) -> str:
    """Return a shape as numpy writes it, cut to 40 characters."""
    text = str(tuple(values.shape))
    return text if len(text) <= 40 else f"{text[:39]}…"


def _kind(labels: NDArray) -> str:
    """Return a hint how labels (N, K) become class numbers."""
    import numpy as np

    if labels.ndim != 2 or labels.size == 0:
        return ""
    if labels.shape[1] == 1:
        return " Drop the second axis: y[:, 0]."
    sums = labels.sum(axis=1, dtype=np.float64)
    wrong = np.flatnonzero(~(np.abs(sums - 1) < 1e-6))
    if len(wrong):
        return f" As probabilities row {wrong[0]} sums to {sums[wrong[0]]:.6g}, not 1."
    if np.isin(labels, (0, 1)).all():
        return " They are one-hot: argmax(axis=1) gives the numbers."
    return " They are probabilities: argmax(axis=1) gives the likeliest."


def _whole_numbers(labels: NDArray) -> NDArray:
    import numpy as np

    if labels.dtype.kind != "f":
        return np.ones(labels.shape, bool)
    # int64 cannot hold every float: 1e30 would wrap silently; float16 cannot hold 2⁵³
    return (np.floor(labels) == labels) & (np.abs(labels) < np.float64(2**53))


def _refuse_first(where: str, labels: NDArray, bad: NDArray, rule: str, hint: str) -> None:
    import numpy as np

    indices = np.flatnonzero(bad)
    if len(indices):
        raise fault(
            where,
            f"has label {labels[indices[0]]!s:.24} at index {indices[0]} (from 0; {len(indices)} "
            f"of {len(labels)} are wrong); each must be {rule}.{hint}",
        )


def _hint(labels: NDArray, classes: int | None) -> str:
    """Return a hint for labels −1 and +1, or 1..K."""
    if not labels.size:
        return ""
    low, high = labels.min(), labels.max()
    if low == -1 and high == 1 and not (labels == 0).any():
        return _HINT_SIGNS
    if low == 1 and high == classes:
        return _HINT_FROM_ONE
    return ""


def _refuse_gaps(where: str, found: NDArray, classes: int) -> None:
    """Refuse absent classes; `found` are the present ones, in order."""
    if len(found) == classes:
        return
    absent = next(k for k in count() if k >= len(found) or found[k] != k)
    hint = _HINT_FROM_ONE if absent == 0 and len(found) == classes - 1 else ""
    raise fault(
        where,
        f"has labels up to {int(found[-1])} but none of class {absent}; labels must be 0..K-1, "
        f"each present, or K be stated by data.classes=K.{hint}",
    )
