"""Dataset of three splits, and the source that loads it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar

from mlr.core.checks import InputError
from mlr.data import options

if TYPE_CHECKING:
    from torch import Tensor

    from mlr.data.scaling import Scaling

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class Split:
    """Examples of one split.

    Attributes:
        features: (N, *feature_shape) floating point.
        targets: class indices (N,) int64 for classification; values (N, K) floating for
            regression; (N, K) floating of 0 and 1 for several labels.
        weights: factor ≥ 0 on the loss of each example in training (N,) floating; None: 1 each.
    """

    features: Tensor
    targets: Tensor
    weights: Tensor | None = None

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
        classes: K, None for regression and for several labels.
        labels: name of each class, or of each target, where these are not simply 0..K−1.
        multilabel: True if targets are K yes/no labels, of which any number may be 1.
        target_scaling: how the targets were scaled, by which numbers are told in their own unit;
            None if they were not.
        inputs: `mlr.data.inputs.Inputs`, by which features were made of a file's values; None if
            nobody knows.
    """

    name: str
    train: Split
    val: Split
    test: Split
    classes: int | None
    labels: tuple[str, ...] = ()
    multilabel: bool = False
    target_scaling: Scaling | None = None
    inputs: Any = None

    @property
    def validated(self) -> bool:
        """True if there are validation examples."""
        return len(self.val) > 0

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of one example, without the leading N."""
        return tuple(self.train.features.shape[1:])

    @property
    def targets(self) -> int:
        """Number of values or labels of an example; 1 for classes."""
        return 1 if self.classes is not None else int(self.train.targets.shape[1])

    @cached_property
    def shape(self) -> tuple[object, ...]:
        """Task, features, number of targets and of examples: equal for runs of one program."""
        sizes = (len(split) for split in (self.train, self.val, self.test))
        targets = None if self.classes is not None else tuple(self.train.targets.shape[1:])
        kinds = self.multilabel, self.target_scaling is not None, self.train.weights is not None
        return self.classes, self.feature_shape, *sizes, targets, *kinds

    @cached_property
    def standardized(self) -> Dataset:
        """The same features, with the real targets scaled to mean 0 and deviation 1 in training.

        One object, so that runs of it share their data; itself if its targets are scaled already.
        """
        if self.target_scaling is not None:
            return self
        import torch

        from mlr.data import scaling

        fitted = scaling.fit(options.STANDARDIZE, self.train.targets.numpy())
        parts = {
            name: replace(own, targets=torch.from_numpy(fitted(own.targets.numpy())))
            for name, own in ((name, getattr(self, name)) for name in SPLITS)
        }
        return replace(self, target_scaling=fitted, **parts)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all numbers, hexadecimal."""
        digest = sha256()
        for split in (self.train, self.val, self.test):
            for tensor in (split.features, split.targets, split.weights):
                if tensor is None:
                    continue
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
    multilabel: bool = False
    """True if targets are K yes/no labels; files of a user's own decide it by their `task`."""
    order: str = options.SHUFFLED
    """Order of the training examples in each epoch: one of `options.ORDERS`."""
    target_scale: str = options.NONE
    """Scaling of real targets, one of `options.TARGET_SCALES`: auto standardises them for losses
    whose targets may be any real number."""
    drop_last: bool = False
    """True if an epoch leaves out its last examples where they do not fill a batch."""

    @property
    def in_file_order(self) -> bool:
        """True if examples stay in the order of their file."""
        return self.order == options.GIVEN

    def seed_of(self, run: int) -> int | None:
        """Return the seed that decides the data of a run of seed `run`; None if none does."""
        return run

    @abstractmethod
    def load(self, seed: int) -> Dataset:
        """Generate or read the data; only noise and split may depend on `seed`.

        Raises:
            InputError: the options do not fit the data, or name none.
            DataError: the data are missing, damaged or out of range.
        """


def check_source(source: Source) -> None:
    """Refuse a source that does not say its name or its number of classes.

    Raises:
        InputError: one of them is missing, or another thing.
    """
    own, classes = type(source).__name__, getattr(source, "classes", "")
    if not isinstance(getattr(source, "name", None), str):
        raise InputError(f'data {own} has no name; write name = "{own.lower()}" in the class.')
    if classes is not None and (type(classes) is not int or classes < 1):
        says = "declares no classes" if classes == "" else f"declares classes={classes!r}"
        raise InputError(
            f"data={source.name} {says}; write classes = K in class {own}, or classes = None for "
            "targets that are real numbers."
        )
