"""Outliers: correct points far from the boundary, where squared error punishes the right answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlr.core.checks import InputError, non_negative, positive
from mlr.data import options
from mlr.data.generated import Generated
from mlr.data.prepare import generator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Outliers(Generated):
    """Two clouds at (∓1, 0) that a line separates, and some of class 1 far out on its own side.

    A linear unit with squared error wants the output 1 at the far points too, so it flattens and
    drags its boundary over the near points of class 1: the least-squares fit gets about 76 %
    right. Logistic regression keeps about 100 %: a far point on the right side costs it nothing.

    Args:
        n: examples in all.
        outliers: share of class 1 that lies far out.
        distance: first coordinate of the far points' centre, above 1; the near clouds' are ∓1.
        noise: standard deviation of each cloud.
        label_noise: share of training labels replaced by the other class.
        val_fraction: share of examples for validation.
        test_fraction: share of examples for the test.
        scale: none, standardize or minmax, fitted on the training split.
        seed: fixes the data; None follows the run's seed.
        order: shuffled: another order of the training examples in each epoch, by the run's seed;
            given: the one in which they were drawn.
        drop_last: leave out the last examples of an epoch that do not fill a batch.

    Source: Bishop, Pattern Recognition and Machine Learning, 2006, section 4.1.3, figure 4.4.
    """

    name = "outliers"

    def __init__(
        self,
        n: int = 1000,
        outliers: float = 0.2,
        distance: float = 12.0,
        noise: float = 0.25,
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
        self.outliers = options.split_share("data.outliers", outliers)
        self.distance = positive("data.distance", distance)
        if distance <= 1:
            raise InputError(
                f"data.distance={distance} must be above 1, where the near points of class 1 lie."
            )
        self.noise = non_negative("data.noise", noise)

    def draw(self, seed: int) -> tuple[NDArray, NDArray[np.int64]]:
        """Points (n, 2) and labels (n,)."""
        import numpy as np

        rng = generator(seed, self.name, "points")
        labels = rng.permutation(self.n) % 2
        points = self.noise * rng.standard_normal((self.n, 2))
        points[:, 0] += np.where(labels == 1, 1.0, -1.0)
        members = np.flatnonzero(labels == 1)
        far = members[: round(self.outliers * len(members))]
        points[far, 0] += self.distance - 1.0
        return points, labels
