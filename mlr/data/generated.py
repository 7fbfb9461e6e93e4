"""Base class of the generated classification data."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from mlr.core.checks import DataError, InputError, fraction, known, memory_limit, whole
from mlr.data import options, prepare
from mlr.data.base import Dataset, Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(eq=False, kw_only=True)
class Generated(Source):
    """Labelled examples drawn from a seed; each field of a subclass is one more option.

    Args:
        n: number of examples in all three splits together.
        label_noise: share of the training labels replaced by another class.
        val_fraction: share of the n examples for validation.
        test_fraction: share of the n examples for the test.
        scale: one of `scales`, fitted on the training split.
        seed: fixes the data; None follows the run's seed.
        order: shuffled: another order of the training examples in each epoch, by the run's seed;
            given: the order in which they were drawn.
        drop_last: leave out the last examples of an epoch that do not fill a batch.
    """

    n: int = 1000
    label_noise: float = 0.0
    val_fraction: float = 0.2
    test_fraction: float = 0.2
    scale: str = "standardize"
    seed: int | None = None
    order: str = options.SHUFFLED
    drop_last: bool = False
    classes: int = field(default=2, init=False)
    scales: ClassVar[tuple[str, ...]] = options.COLUMN_SCALES
    full_scale: ClassVar[float | None] = None
    """Largest value that a feature can have, for `scale=unit`."""

    def __post_init__(self) -> None:
        whole("data.classes", self.classes, at_least=2)
        whole("data.n", self.n, at_least=3 * self.classes)
        fraction("data.label_noise", self.label_noise)
        options.split_shares(self.val_fraction, self.test_fraction)
        known("data.scale", self.scale, self.scales)
        options.optional_whole("data.seed", self.seed)
        self.take_order(self.order, self.drop_last)

    @abstractmethod
    def draw(self, seed: int) -> tuple[NDArray, NDArray[np.int64]]:
        """Draw the features (n, ...) and labels (n,), a pure function of `seed`."""

    def load(self, seed: int) -> Dataset:
        """Draw, split with equal shares of the classes, flip training labels, scale.

        Raises:
            InputError: too few examples for the splits, or more than memory holds.
        """
        seed = seed if self.seed is None else self.seed
        try:
            data = prepare.Arrays(*self.draw(seed))
        except MemoryError:
            raise InputError(
                f"data.n={self.n} examples do not fit into memory{memory_limit()}."
            ) from None
        plan = prepare.Preparation(
            self.name, self.classes, self.scale, self.full_scale, self.label_noise, seed
        )
        shares = (self.val_fraction, self.test_fraction)
        try:
            splits = prepare.split(f"data={self.name}", data, shares, seed, stratify=True)
            return prepare.to_dataset(plan, *splits)
        except DataError as error:  # only options can make generated data unfit
            raise InputError(str(error)) from None
