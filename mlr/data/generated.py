"""Base class of the generated classification data."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlr.core.checks import DataError, InputError, memory_limit, whole
from mlr.data import validate
from mlr.data.base import Dataset
from mlr.data.prepare import Arrays, PreparedSource, split

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(eq=False, kw_only=True)
class Generated(PreparedSource):
    """Labelled examples drawn from a seed; each field of a subclass is one more option.

    Args:
        n: number of examples in all three splits together.
        label_noise: share of the training labels replaced by another class.
        val_fraction: share of the n examples for validation.
        test_fraction: share of the n examples for the test.
        scale: one of `scales`, fitted on the training split.
        seed: fixes the data; None follows the run's seed.
    """

    n: int = 1000
    label_noise: float = 0.0
    val_fraction: float = 0.2
    test_fraction: float = 0.2
    scale: str = "standardize"
    seed: int | None = None
    classes: int = field(default=2, init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("data.classes", self.classes, at_least=2)
        whole("data.n", self.n, at_least=3 * self.classes)

    def seed_of(self, run: int) -> int:
        """Return `seed` if that is set, else the run's."""
        return run if self.seed is None else self.seed

    @abstractmethod
    def draw(self, seed: int) -> tuple[NDArray, NDArray[np.int64]]:
        """Draw the features (n, ...) and labels (n,), a pure function of `seed`."""

    def load(self, seed: int) -> Dataset:
        """Draw, split with equal shares of the classes, flip training labels, scale.

        Raises:
            InputError: too few examples for the splits, or more than memory holds.
        """
        seed = self.seed_of(seed)
        where, shares = f"data={self.name}", (self.val_fraction, self.test_fraction)
        try:
            data = Arrays(*self.draw(seed))
            validate.finite(where, data.features)
            splits = split(where, data, shares, seed, stratify=True)
            return self.dataset(seed, self.classes, splits)
        except MemoryError:
            raise InputError(
                f"data.n={self.n} examples do not fit into memory{memory_limit()}."
            ) from None
        except DataError as error:  # only options can make generated data unfit
            raise InputError(str(error)) from None
