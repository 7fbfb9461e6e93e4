"""Dataset of three splits, the source that loads it, and the checks of a user-written source."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar

from mlr.core.checks import flag, known
from mlr.data import options
from mlr.data.faults import fault

if TYPE_CHECKING:
    from torch import Tensor

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class Split:
    """Examples of one split.

    Attributes:
        features: (N, *feature_shape) floating point.
        targets: class indices (N,) int64 for classification; values (N, K) floating for
            regression.
    """

    features: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training, validation and test examples.

    Attributes:
        name: of the source.
        train: examples to train on.
        val: examples for validation; empty if the run has none.
        test: examples for the test.
        classes: K, None for regression.
        labels: name of each class, where these are not simply 0..K−1.
    """

    name: str
    train: Split
    val: Split
    test: Split
    classes: int | None
    labels: tuple[str, ...] = ()

    @property
    def validated(self) -> bool:
        """True if there are validation examples."""
        return len(self.val) > 0

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of one example, without the leading N."""
        return tuple(self.train.features.shape[1:])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all numbers, hexadecimal."""
        digest = sha256()
        for split in (self.train, self.val, self.test):
            for tensor in (split.features, split.targets):
                whole: Any = tensor.cpu().contiguous().numpy()
                digest.update(whole.reshape(-1).view("uint8").data)
        return digest.hexdigest()


class Source(ABC):
    """Loader of a dataset: checks its options at construction, loads on `load()`.

    Importing and constructing a source costs no torch import.
    """

    name: ClassVar[str]
    classes: int | None
    """K; None for regression or, until loaded, for files of a user's own."""
    regression: bool = False
    """True if targets are real numbers; files of a user's own decide it by their `task`."""
    order: str = options.SHUFFLED
    """Order of the training examples in each epoch: one of `options.ORDERS`."""
    drop_last: bool = False
    """True if an epoch leaves out its last examples where they do not fill a batch."""

    def take_order(self, order: str, drop_last: bool) -> None:
        """Check and set how epochs go through the training examples.

        Raises:
            InputError: an unknown order, or a `drop_last` that is not true or false.
        """
        self.order = known("data.order", order, options.ORDERS)
        self.drop_last = flag("data.drop_last", drop_last)

    @property
    def in_file_order(self) -> bool:
        """True if examples stay in the order of their file."""
        return self.order == options.GIVEN

    @abstractmethod
    def load(self, seed: int) -> Dataset:
        """Generate or read the data; only noise and split may depend on `seed`.

        Raises:
            InputError: the options do not fit the data, or name none.
            DataError: the data are missing, damaged or out of range.
        """


def check_dataset(data: Dataset) -> None:
    """Check shapes, types and values of all three splits, of which `val` may be empty.

    Raises:
        DataError: names the split and the offending value.
    """
    if data.labels and len(data.labels) != data.classes:
        raise fault(
            f"data={data.name}", f"has {len(data.labels)} labels for {data.classes} classes."
        )
    for name in SPLITS:
        split: Split = getattr(data, name)
        where = f"the {name} split of data={data.name}"
        _check_features(where, split, data.feature_shape, may_be_empty=name == "val")
        if data.classes is None:
            _check_values(where, split)
        else:
            _check_labels(where, split, data.classes)


def _check_features(where: str, split: Split, shape: tuple[int, ...], may_be_empty: bool) -> None:
    from torch import Tensor

    features = split.features
    if not isinstance(features, Tensor) or not isinstance(split.targets, Tensor):
        raise fault(where, "must hold torch tensors.")
    found = tuple(features.shape[1:])
    empty = features.shape[1:].numel() == 0 or not (may_be_empty or len(features))
    if features.dim() < 2 or empty:
        raise fault(
            where,
            f"has features of shape {tuple(features.shape)}; they must be (N, …) with "
            "at least one example and one number each.",
        )
    if found != shape:
        raise fault(where, f"has examples of shape {found}, the training split of shape {shape}.")
    if not features.is_floating_point():
        raise fault(where, f"has features of type {features.dtype}; they must be floating.")
    bad = (~features.isfinite()).flatten(1).any(1).nonzero()
    if len(bad) > 0:
        raise fault(
            where,
            f"has features that are not finite in {len(bad)} examples, first in row {int(bad[0])}.",
        )
    if len(split.targets) != len(features):
        raise fault(where, f"has {len(features)} examples but {len(split.targets)} targets.")


def _check_values(where: str, split: Split) -> None:
    targets = split.targets
    if targets.dim() != 2 or not targets.is_floating_point() or not targets.isfinite().all():
        raise fault(
            where,
            f"has targets of shape {tuple(targets.shape)} and type {targets.dtype}; for "
            "regression they must be finite floating numbers (N, K).",
        )


def _check_labels(where: str, split: Split, classes: int) -> None:
    import torch

    labels = split.targets
    if labels.dim() != 1 or labels.dtype != torch.int64:
        raise fault(
            where,
            f"has labels of shape {tuple(labels.shape)} and type {labels.dtype}; they "
            "must be class indices (N,) of type int64.",
        )
    bad = ((labels < 0) | (labels >= classes)).nonzero()
    if len(bad):
        row = int(bad[0])
        raise fault(
            where,
            f"has label {int(labels[row])} in row {row}; with {classes} classes the "
            f"labels are 0 to {classes - 1}.",
        )
