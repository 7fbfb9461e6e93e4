"""Moons: two interleaved half circles, which no straight line separates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlr.core.checks import non_negative
from mlr.data.generated import Generated
from mlr.data.prepare import sklearn_seed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Moons(Generated):
    """Two half circles of radius 1, one inside the other's opening.

    Args:
        n: examples in all.
        noise: standard deviation of the points around their arcs.
        label_noise: share of training labels replaced by the other class.
        val_fraction: share of examples for validation.
        test_fraction: share of examples for the test.
        scale: none, standardize or minmax, fitted on the training split.
        seed: fixes the data; None follows the run's seed.
        order: shuffled: another order of the training examples in each epoch, by the run's seed;
            given: the one in which they were drawn.
        drop_last: leave out the last examples of an epoch that do not fill a batch.

    Source: scikit-learn, make_moons.
    """

    name = "moons"

    def __init__(
        self,
        n: int = 1000,
        noise: float = 0.15,
        label_noise: float = 0.0,
        val_fraction: float = 0.2,
        test_fraction: float = 0.2,
        scale: str = "standardize",
        seed: int | None = None,
        order: str = "shuffled",
        drop_last: bool = False,
    ) -> None:
        super().__init__(
            n, 2, label_noise, val_fraction, test_fraction, scale, seed, order, drop_last
        )
        self.noise = non_negative("data.noise", noise)

    def draw(self, seed: int) -> tuple[NDArray, NDArray[np.int64]]:
        """Points (n, 2) and labels (n,)."""
        from sklearn.datasets import make_moons

        random_state = sklearn_seed(seed, self.name, "points")
        points, labels = make_moons(self.n, noise=self.noise, random_state=random_state)
        return points, labels
