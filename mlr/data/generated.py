"""What all generated classes share: a count, a split, label noise, a scaling, a seed."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from mlr.core.checks import DataError, InputError, fraction, memory_limit, whole
from mlr.data import options, prepare
from mlr.data.base import Dataset, Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Generated(Source):
    """Labelled points made by a seed: `seed` of the options, or the run's when that is None.

    Args:
        n: examples in all three splits together.
        classes: K.
        label_noise: share of the training labels replaced by a different class.
        val_fraction: share of the n examples for validation.
        test_fraction: share of the n examples for the test.
        scale: a name out of `scales`.
        seed: fixes the data whatever the run's seed; None follows the run's.
        order: shuffled: another order of the training examples in each epoch, by the run's seed;
            given: the one in which they were drawn.
        drop_last: leave out the last examples of an epoch that do not fill a batch.
        scales: the scalings allowed.
        full_scale: the largest value a feature can have, for `scale=unit`.
    """

    def __init__(
        self,
        n: int,
        classes: int,
        label_noise: float,
        val_fraction: float,
        test_fraction: float,
        scale: str,
        seed: int | None,
        order: str,
        drop_last: bool,
        scales: tuple[str, ...] = options.COLUMN_SCALES,
        full_scale: float | None = None,
    ) -> None:
        self.classes: int = whole("data.classes", classes, at_least=2)
        self.n = whole("data.n", n, at_least=3 * classes)
        self.label_noise = fraction("data.label_noise", label_noise)
        self.shares = options.split_shares(val_fraction, test_fraction)
        self.scale = options.scale(scale, scales)
        self.seed = options.optional_whole("data.seed", seed)
        self.take_order(order, drop_last)
        self._full_scale = full_scale

    @abstractmethod
    def draw(self, seed: int) -> tuple[NDArray, NDArray[np.int64]]:
        """Draw the features (n, ...) and labels (n,), a pure function of `seed`."""

    def load(self, seed: int) -> Dataset:
        """Draw, split with the classes alike in all splits, flip training labels, scale.

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
        plan = prepare.Plan(
            self.name, self.classes, self.scale, self._full_scale, self.label_noise, seed
        )
        try:
            splits = prepare.split(f"data={self.name}", data, self.shares, seed, stratify=True)
            return prepare.to_dataset(plan, *splits)
        except DataError as error:  # only options can make generated data unfit
            raise InputError(str(error)) from None
