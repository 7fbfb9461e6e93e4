"""Checks of the values of a dataset, made once, when it is loaded.

Each takes `where`, the name of the data in messages (`data=csv` or a file), and raises a DataError
that names the first offending value.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from mlr.data.base import SPLITS, Dataset, Split
from mlr.data.faults import DataWarning, fault, tail

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MANY_SHARED = 0.1


def check_dataset(data: Dataset) -> None:
    """Check shapes, types and values of what a user's own source loads; `val` may be empty.

    Raises:
        DataError: names the split and the offending value.
    """
    import torch

    if data.classes is not None and data.multilabel:
        raise fault(f"data={data.name}", "has classes and several labels; one must be left out.")
    for name in SPLITS:
        split: Split = getattr(data, name)
        where = f"the {name} split of data={data.name}"
        tensors = (split.features, split.targets)
        if not all(isinstance(tensor, torch.Tensor) for tensor in tensors):
            raise fault(where, "must hold torch tensors.")
        features, targets = tensors
        if data.classes is None:
            right = targets.is_floating_point() and targets.dim() == 2
        else:
            right = targets.dtype == torch.int64
        if not right or not features.is_floating_point():
            raise fault(
                where,
                f"has features of type {features.dtype} and targets of type {targets.dtype} and "
                f"shape {tuple(targets.shape)!s:.20}; features must be floating, labels (N,) "
                "int64, values (N, K) floating.",
            )
        arrays = [tensor.detach().cpu() for tensor in tensors]
        x, y = (t.float().numpy() if t.is_floating_point() else t.numpy() for t in arrays)
        check_split(where, x, y, data.feature_shape, may_be_empty=name == "val")
        if data.classes is None:
            finite(where, y, "targets")
            if data.multilabel:
                yes_or_no(where, y)
        else:
            class_labels(where, y, data.classes)
        if split.weights is not None:
            weights(where, split.weights.detach().cpu().numpy(), len(split))
    count = data.train.targets.shape[-1]
    of = f"{count} targets" if data.classes is None else f"{data.classes} classes"
    if data.labels and len(data.labels) != (data.classes or count):
        raise fault(f"data={data.name}", f"has {len(data.labels)} labels for {of}.")


def check_split(
    where: str,
    features: NDArray,
    targets: NDArray,
    shape: tuple[int, ...],
    may_be_empty: bool = False,
) -> None:
    """Refuse a split that is empty or not finite in float32, or not of examples of `shape`.

    Raises:
        DataError: says which, with the first bad row, counted from 0.
    """
    found = tuple(features.shape[1:])
    if features.ndim < 2 or 0 in found or not (len(features) or may_be_empty):
        raise fault(
            where,
            f"has features of shape {tuple(features.shape)!s:.40}; they must be (N, …) with at "
            "least one example and one number each; a single feature is (N, 1).",
        )
    if found != shape:
        raise fault(
            where, f"has examples of shape {found!s:.40}, the training split of {shape!s:.40}."
        )
    if targets.ndim == 0 or len(features) != len(targets):
        count = len(targets) if targets.ndim else "no"
        raise fault(
            where, f"has {len(features)} examples but {count} targets; every example needs one."
        )
    finite(where, features)


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
        raise fault(where, f"has {what} of type {values.dtype!s:.20}; they must be real numbers.")
    if values.dtype.kind != "f" or not values.size:
        return
    rows = values.reshape(len(values), -1)
    # the comparison is false for NaN and infinity as well
    good = np.abs(rows) <= np.finfo(np.float32).max
    bad = np.flatnonzero(~good.all(axis=1))
    if len(bad):
        value = rows[bad[0]][~good[bad[0]]][0]
        raise fault(
            where,
            f"has {what} that are not finite in float32 in {len(bad)} of {len(values)} rows, the "
            f"first in row {bad[0]} (counted from 0): {value:.6g}.",
        )


def class_labels(where: str, labels: NDArray, classes: int | None) -> tuple[NDArray, int]:
    """Return labels as int64 and the class count K.

    Args:
        where: name of the data.
        labels: (N,) whole numbers 0..K−1, in any numeric type.
        classes: K, or None to read it off the largest label; then every class must occur.

    Raises:
        DataError: the first label that is not a whole number in 0..K−1, with its index.
    """
    import numpy as np

    if labels.ndim != 1 or labels.dtype.kind not in "biuf":
        convert = "np.unique(y, return_inverse=True)[1] if texts"
        if labels.ndim == 2 and labels.dtype.kind in "biuf":
            convert = "data.task=multilabel if several can be 1"
        raise fault(
            where,
            f"has labels of shape {labels.shape!s:.30} and type {labels.dtype!s:.20}; they must be "
            f"one whole number each, (N,): y.argmax(axis=1) if one-hot, {convert}.",
        )
    # float64 counts exactly to 2⁵³; a larger number would wrap in int64
    most = 2**53 if classes is None else classes
    good = (labels >= 0) & (labels < np.float64(most)) & (np.floor(labels) == labels)
    bad = np.flatnonzero(~good)
    if len(bad):
        upper = "" if classes is None else f" to {classes - 1}"
        raise fault(
            where,
            f"has label {labels[bad[0]]!s:.24} at index {bad[0]} (from 0; {len(bad)} of "
            f"{len(labels)} are wrong); classes are whole numbers from 0{upper}, and measurements "
            "need data.task=regression.",
        )
    labels = labels.astype(np.int64)
    if classes is not None:
        return labels, classes
    present = np.unique(labels)
    last = int(present[-1])
    classes = max(2, last + 1)
    if len(present) < classes:
        absent = next(k for k, found in enumerate([*present, -1]) if found != k)
        raise fault(
            where,
            f"has labels up to {last} but none of class {absent}; labels must count from "
            "0 without gaps (y - 1 if they count from 1), or K be stated by data.classes=K.",
        )
    return labels, classes


def weights(where: str, values: NDArray, examples: int) -> None:
    """Refuse weights that are not (N,) finite numbers of at least 0.

    Raises:
        DataError: gives the first bad one, counted from 0.
    """
    import numpy as np

    if values.shape != (examples,):
        raise fault(
            where,
            f"has weights of shape {values.shape!s:.30} for {examples} examples; they must be "
            f"({examples},), one a training example.",
        )
    finite(where, values, "weights")
    bad = np.flatnonzero(values < 0)
    if len(bad):
        raise fault(
            where,
            f"has the weight {values[bad[0]]:.6g} in row {bad[0]} (counted from 0); a weight "
            "multiplies the loss of its example, and is at least 0.",
        )


def yes_or_no(where: str, labels: NDArray) -> None:
    """Refuse labels (N, K) that are not all 0 or 1.

    Raises:
        DataError: gives the number of bad rows and the first, counted from 0.
    """
    import numpy as np

    if labels.ndim != 2 or labels.dtype.kind not in "biuf":
        raise fault(
            where,
            f"has labels of shape {labels.shape!s:.30} and type {labels.dtype!s:.20}; several "
            "labels an example are (N, K) of 0 and 1, and one class each is data.task="
            "classification.",
        )
    good = (labels == 0) | (labels == 1)
    bad = np.flatnonzero(~good.all(axis=1))
    if len(bad):
        value = labels[bad[0]][~good[bad[0]]][0]
        raise fault(
            where,
            f"has label {value:.6g} in row {bad[0]} (counted from 0; {len(bad)} of {len(labels)} "
            "rows are wrong); with data.task=multilabel each is 0 or 1.",
        )


def warn_one_valued(where: str, labels: NDArray, names: Sequence[str] = ()) -> None:
    """Warn of labels (N, K) that all training examples share, from which nothing is learned."""
    import numpy as np

    same = np.flatnonzero((labels == labels[:1]).all(axis=0)).tolist()
    if same:
        called = ", ".join(tail(names[k], 20) if names else str(k) for k in same[:5])
        few = called + ", …" * (len(same) > 5)
        text = f"{where}: {len(same)} of {labels.shape[1]} labels are the same in all training "
        warnings.warn(f"{text}examples: {few}.", DataWarning, stacklevel=3)


def warn_absent(where: str, labels: NDArray, classes: int, names: Sequence[str] = ()) -> None:
    """Warn if a class has no training example, which is legal but nearly always a mistake."""
    import numpy as np

    found = set(np.unique(labels).tolist())
    absent = classes - len(found)
    if absent:
        first = list(islice((k for k in range(classes) if k not in found), 5))
        called = [tail(names[k], 20) if names else str(k) for k in first]
        few = ", ".join(called) + (", …" if absent > len(first) else "")
        text = f"{where}: {absent} of {classes} classes have no training example: {few}."
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
