"""Checks of the values of a dataset, made once, when it is loaded.

Each takes `where`, the words that tell a person which data are meant
(`data=csv` or a file), and raises an InputError that names the first offender.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from mlr.checks import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_HINT_SIGNS = " Labels -1 and +1 become 0 and 1 by (y + 1) / 2."
_HINT_FROM_ONE = " Labels that count from 1 need 1 taken off."


def equal_counts(where: str, features: NDArray, targets: NDArray) -> None:
    """Refuse features and targets of different numbers of examples.

    Raises:
        InputError: gives both counts.
    """
    if len(features) != len(targets):
        raise InputError(
            f"{where} has {len(features)} examples but {len(targets)} labels; "
            "every example needs one label."
        )


def not_empty(where: str, split: str, count: int) -> None:
    """Refuse a split without examples.

    Raises:
        InputError: names the split.
    """
    if count == 0:
        raise InputError(f"{where} has no {split} examples; every split needs at least one.")


def finite(where: str, values: NDArray, what: str = "features") -> None:
    """Refuse NaN, infinities and numbers that float32 cannot hold.

    Args:
        where: which data are meant.
        values: (N, ...) numbers.
        what: what the numbers are, for the message.

    Raises:
        InputError: gives the number of bad rows and the first, counted from 0.
    """
    import numpy as np

    if values.dtype.kind not in "biuf":
        raise InputError(f"{where} has {what} of type {values.dtype}; they must be real numbers.")
    if values.dtype.kind in "biu":
        return
    limit = np.finfo(np.float32).max
    # the comparison is false for NaN and infinity as well
    good = np.abs(values.reshape(len(values), -1)) <= limit
    rows = np.flatnonzero(~good.all(axis=1))
    if len(rows):
        first = values.reshape(len(values), -1)[rows[0]]
        value = first[~good[rows[0]]][0]
        raise InputError(
            f"{where} has {what} that are not finite in float32 in {len(rows)} of {len(values)} "
            f"rows, the first in row {rows[0]} (counted from 0): {value}."
        )


def class_labels(where: str, labels: NDArray, classes: int | None) -> tuple[NDArray, int]:
    """Return labels as int64 and the class count K.

    Args:
        where: which data are meant.
        labels: (N,) whole numbers 0..K−1, in any numeric type.
        classes: K, or None to read it off the largest label; then every class must occur.

    Raises:
        InputError: the first label that is not a whole number in 0..K−1, with its index.
    """
    import numpy as np

    if labels.ndim != 1:
        shape = tuple(labels.shape)
        raise InputError(
            f"{where} has labels of shape {shape}; they must be one number each, (N,)."
        )
    if labels.dtype.kind not in "biuf":
        raise InputError(
            f"{where} has labels of type {labels.dtype}; they must be whole numbers from 0."
        )
    _refuse_first(where, labels, ~_whole_numbers(labels), "a whole number", "")
    upper = "0, 1, 2, …" if classes is None else f"0..{classes - 1}"
    outside = labels < 0
    if classes is not None:
        outside |= labels >= classes
    _refuse_first(where, labels, outside, f"one of {upper}", _hint(labels, classes))
    found = np.unique(labels).astype(np.int64)
    if classes is None:
        classes = max(2, int(found[-1]) + 1)
        _refuse_gaps(where, found, classes)
    return labels.astype(np.int64), classes


def warn_absent(where: str, labels: NDArray[np.int64], classes: int) -> None:
    """Warn when a class has no training example: legal, and nearly always a mistake."""
    import numpy as np

    absent = np.setdiff1d(np.arange(classes), labels)
    if len(absent):
        few = ", ".join(map(str, absent[:5])) + (", …" if len(absent) > 5 else "")
        warnings.warn(
            f"{where}: {len(absent)} of {classes} classes have no training example: {few}.",
            stacklevel=3,
        )


def _whole_numbers(labels: NDArray) -> NDArray[np.bool_]:
    import numpy as np

    if labels.dtype.kind != "f":
        return np.ones(labels.shape, bool)
    # int64 cannot hold every float: 1e30 would wrap silently
    return np.isfinite(labels) & (np.floor(labels) == labels) & (np.abs(labels) < 2**53)


def _refuse_first(where: str, labels: NDArray, bad: NDArray, rule: str, hint: str) -> None:
    import numpy as np

    indices = np.flatnonzero(bad)
    if len(indices):
        value = labels[indices[0]].item()
        raise InputError(
            f"{where} has label {value} at index {indices[0]} (counted from 0; {len(indices)} of "
            f"{len(labels)} labels are wrong); every label must be {rule}.{hint}"
        )


def _hint(labels: NDArray, classes: int | None) -> str:
    """What the person probably has: labels −1 and +1, or 1..K."""
    low, high = labels.min(), labels.max()
    if low == -1 and high == 1 and not (labels == 0).any():
        return _HINT_SIGNS
    if low == 1 and high == classes:
        return _HINT_FROM_ONE
    return ""


def _refuse_gaps(where: str, found: NDArray[np.int64], classes: int) -> None:
    if len(found) == classes:
        return
    absent = next(k for k in range(classes) if k >= len(found) or found[k] != k)
    hint = _HINT_FROM_ONE if absent == 0 and len(found) == classes - 1 else ""
    raise InputError(
        f"{where} has labels up to {found[-1]} but none of class {absent}; labels must be 0..K-1 "
        f"with every class present, or K must be stated with data.classes=K.{hint}"
    )
