"""The parts of a dataset: splits of tensors, and the source that loads and checks them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar

from mlr.core.checks import flag, known
from mlr.data import options

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Split:
    """Examples of one split.

    features: (N, *feature_shape) floating point.
    targets: class indices (N,) int64 for classification; values (N, K) floating for regression.
    """

    features: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training, validation and test examples; `classes` is None for regression.

    val: without an example where the run is to have no validation.
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
        """SHA-256 of all its numbers, hexadecimal."""
        digest = sha256()
        for split in (self.train, self.val, self.test):
            for tensor in (split.features, split.targets):
                whole: Any = tensor.cpu().contiguous().numpy()
                digest.update(whole.reshape(-1).view("uint8").data)
        return digest.hexdigest()


class Source(ABC):
    """Where a dataset comes from: checks its own options at construction, loads on `load()`.

    Importing and constructing a source costs no torch import.
    """

    name: ClassVar[str]
    classes: int | None
    """Class count, None for regression or (until loaded) for files of a user's own."""
    regression: bool = False
    """True if targets are real numbers; files of a user's own decide it by their `task`."""
    order: str = options.SHUFFLED
    """Order of the training examples in each epoch: one of `options.ORDERS`."""
    drop_last: bool = False
    """True if an epoch leaves out its last examples where they do not fill a batch."""

    def take_order(self, order: str, drop_last: bool) -> None:
        """Set how epochs go through the training examples.

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
        """Generate or read the data; `seed` decides noise and split, nothing else does.

        Raises:
            InputError: the options do not fit the data, or name none.
            DataError: the data are missing, damaged or out of range.
        """
