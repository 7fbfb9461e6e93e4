"""Conversion of arrays to a Dataset: stratified splits, label noise, validation, scaling.

All randomness is a pure function of a seed and the dataset's name; no global generator is used.
Sources pass their arrays to `to_dataset`, where values are validated once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from mlr.core.checks import memory_limit
from mlr.core.seeds import derive_seed
from mlr.data import scaling, validate
from mlr.data.base import Dataset, Split
from mlr.data.faults import fault, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


_MEASURED = ": data.task=regression"
_REGRESSION = {"data=csv": _MEASURED, "data=npz": _MEASURED}
"""Override that makes labels real numbers, for the data that have it."""


@dataclass(frozen=True)
class Arrays:
    """Examples before they are tensors: features (N, ...), targets (N,) or (N, K)."""

    features: NDArray
    targets: NDArray

    def take(self, rows: NDArray[np.int64] | slice) -> Arrays:
        """Return the examples of these rows, in this order."""
        return Arrays(self.features[rows], self.targets[rows])

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True)
class Preparation:
    """Options of the conversion of arrays to a dataset.

    Attributes:
        name: of the dataset.
        classes: K, or None when the targets are real numbers.
        scale: a kind of `scaling.fit`.
        full_scale: divisor of the kind `unit`; None takes the largest feature.
        label_noise: share of the training labels to replace.
        seed: of the label noise.
        labels: names of the classes; () where they are simply 0..K−1.
    """

    name: str
    classes: int | None
    scale: str = "none"
    full_scale: float | None = None
    label_noise: float = 0.0
    seed: int = 0
    labels: tuple[str, ...] = ()


def generator(seed: int, *purpose: str) -> np.random.Generator:
    """Return a random generator for one purpose, unrelated to that of any other purpose or seed."""
    import numpy as np

    return np.random.default_rng(derive_seed(seed, *purpose))


def sklearn_seed(seed: int, *purpose: str) -> int:
    """Return a seed for one purpose in the 32 bits that scikit-learn takes."""
    return derive_seed(seed, *purpose) % 2**32


def split(
    where: str,
    data: Arrays,
    shares: tuple[float, ...],
    seed: int,
    stratify: bool,
    in_order: bool = False,
    labels: Sequence[str] = (),
) -> list[Arrays]:
    """Split examples by the rows of `split_rows`."""
    return [
        data.take(rows)
        for rows in split_rows(where, data.targets, shares, seed, stratify, in_order, labels)
    ]


def split_rows(
    where: str,
    targets: NDArray,
    shares: tuple[float, ...],
    seed: int,
    stratify: bool,
    in_order: bool = False,
    labels: Sequence[str] = (),
) -> list[NDArray[np.int64] | slice]:
    """Split rows at random into a rest and one part for each share, stratified by class.

    Args:
        where: name of the data, for messages.
        targets: labels (N,) or values of N examples.
        shares: fraction of all N for each further split; 0 gives an empty one.
        seed: of the random assignment.
        stratify: give all splits the same shares of the labels (N,).
        in_order: split in the order of the file instead: first the rest, then each part.
        labels: names of the classes, for messages.

    Returns:
        Rows of the rest, then of the parts in the order of `shares`, each in rising order.

    Raises:
        DataError: a split would be empty or could not hold every class.

    Source: scikit-learn, train_test_split with stratify.
    """
    import numpy as np

    counts = [round(share * len(targets)) for share in shares]
    counts.insert(0, len(targets) - sum(counts))
    wanted = [count for count, share in zip(counts, (1.0, *shares), strict=True) if share]
    if in_order:
        _check_counts(where, targets, wanted, False)
        ends = np.cumsum(counts)
        return [slice(end - n, end) for end, n in zip(ends, counts, strict=True)]
    _check_counts(where, targets, wanted, stratify, labels)
    rest = np.arange(len(targets))
    parts = []
    for number, count in enumerate(counts[1:]):
        if count == 0:
            parts.append(rest[:0])
            continue
        # imported here, since it takes a second that data with their own splits do not need
        from sklearn.model_selection import train_test_split

        own = targets[rest] if stratify else None
        random_state = sklearn_seed(seed, where, "split", str(number))
        try:
            rest, part = train_test_split(
                rest, test_size=count, stratify=own, random_state=random_state
            )
        except ValueError:
            # the first split can leave too few examples of a rare class for the second
            raise fault(
                where,
                f"cannot be split into {len(wanted)} parts with all classes alike: a class "
                "has too few examples for these shares; give more, or other shares.",
            ) from None
        parts.append(np.sort(part))
    return [np.sort(rest), *parts]


def flip_labels(
    labels: NDArray[np.int64], share: float, classes: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Replace a share of the labels (N,), each by one of the K − 1 other classes at random."""
    chosen = rng.permutation(len(labels))[: round(share * len(labels))]
    flipped = labels.copy()
    flipped[chosen] = (labels[chosen] + rng.integers(1, classes, len(chosen))) % classes
    return flipped


def to_dataset(plan: Preparation, train: Arrays, val: Arrays, test: Arrays) -> Dataset:
    """Validate three splits, add label noise to the training labels, scale, make tensors.

    Validation may be empty: then there is none.

    Raises:
        DataError: an empty split, unequal counts, values that are not finite, labels out of
            range, splits of different shapes, or more than memory holds.
    """
    try:
        return _to_dataset(f"data={plan.name}", plan, train, val, test)
    except MemoryError:
        what = f"does not fit into memory{memory_limit()}; use fewer examples."
        raise fault(f"data={plan.name}", what) from None


def _to_dataset(where: str, plan: Preparation, train: Arrays, val: Arrays, test: Arrays) -> Dataset:
    splits = {"training": train, "validation": val, "test": test}
    for split_name, data in splits.items():
        check_split(where, split_name, data, plan.classes, train.features.shape[1:])
    validate.warn_alike(where, train.features)
    targets = [data.targets for data in splits.values()]
    if plan.classes is not None:
        targets = [validate.class_labels(where, t, plan.classes)[0] for t in targets]
        validate.warn_absent(where, targets[0], plan.classes, plan.labels)
        if plan.label_noise:
            rng = generator(plan.seed, plan.name, "label noise")
            targets[0] = flip_labels(targets[0], plan.label_noise, plan.classes, rng)
    scale = scaling.fit(plan.scale, train.features, plan.full_scale)
    parts = zip(splits.values(), targets, strict=True)
    made = [_tensors(scale(data.features), target, plan.classes) for data, target in parts]
    return Dataset(plan.name, made[0], made[1], made[2], plan.classes, plan.labels)


def check_split(
    where: str, split_name: str, data: Arrays, classes: int | None, shape: tuple[int, ...]
) -> None:
    """Refuse a split that is empty or not finite, or whose examples have another shape.

    Raises:
        DataError: names the split.
    """
    if split_name != "validation" or len(data) or len(data.targets):
        validate.not_empty(where, split_name, data.features)
    validate.equal_counts(f"{where} ({split_name} split)", data.features, data.targets)
    validate.finite(f"{where} ({split_name} split)", data.features)
    if classes is None:
        validate.finite(f"{where} ({split_name} split)", data.targets, "targets")
    if data.features.shape[1:] != shape:
        found = str(data.features.shape[1:])[:40]
        raise fault(
            where,
            f"has training examples of shape {shape!s:.40} but {split_name} examples of shape "
            f"{found}; all must be alike.",
        )


def _check_counts(
    where: str, targets: NDArray, counts: list[int], stratify: bool, names: Sequence[str] = ()
) -> None:
    """Refuse a split that comes out empty or, stratified, smaller than the number of classes."""
    import numpy as np

    least = 1
    if stratify:
        labels, sizes = np.unique(targets, return_counts=True)
        least = len(labels)
        if sizes.min() < len(counts):
            rare = labels[sizes.argmin()]
            raise fault(
                where,
                f"has only {sizes.min()} of class {shown(names[rare], 20) if names else rare}: "
                f"every class needs {len(counts)} examples, one for each split. If the labels are "
                f"measurements, not classes, this is regression{_REGRESSION.get(where, '')}.",
            )
    if min(counts) < least:
        raise fault(
            where,
            f"with {len(targets)} examples gives splits of {', '.join(map(str, counts))}, and each "
            f"needs {least}{', one a class' if stratify else ''}; give more data, or other "
            "data.val_fraction and data.test_fraction.",
        )


def _tensors(features: NDArray[np.float32], targets: NDArray, classes: int | None) -> Split:
    import numpy as np
    import torch

    if classes is None:
        # not -1, which is ambiguous for an empty split
        targets = targets.reshape(len(targets), prod(targets.shape[1:])).astype(np.float32)
    return Split(
        torch.from_numpy(np.ascontiguousarray(features)),
        torch.from_numpy(np.ascontiguousarray(targets)),
    )
