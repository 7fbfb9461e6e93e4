"""Blobs: one round Gaussian cloud a class, the data that a linear classifier is made for."""

from __future__ import annotations

from math import pi
from typing import TYPE_CHECKING

from mlr.core.checks import non_negative
from mlr.data.generated import Generated
from mlr.data.prepare import sklearn_seed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Blobs(Generated):
    """K clouds around a circle, neighbouring centres 2 apart, so that K does not change overlap.

    Args:
        n: examples in all.
        classes: K ≥ 2.
        noise: standard deviation of each cloud; with two classes 0.5 leaves 2.3 % of the points
            on the wrong side of the best boundary.
        label_noise: share of training labels replaced by another class.
        val_fraction: share of examples for validation.
        test_fraction: share of examples for the test.
        scale: none, standardize or minmax, fitted on the training split.
        seed: fixes the data; None follows the run's seed.
        order: shuffled: another order of the training examples in each epoch, by the run's seed;
            given: the one in which they were drawn.
        drop_last: leave out the last examples of an epoch that do not fill a batch.

    Source: scikit-learn, make_blobs.
    """

    name = "blobs"

    def __init__(
        self,
        n: int = 1000,
        classes: int = 2,
        noise: float = 0.5,
        label_noise: float = 0.0,
        val_fraction: float = 0.2,
        test_fraction: float = 0.2,
        scale: str = "standardize",
        seed: int | None = None,
        order: str = "shuffled",
        drop_last: bool = False,
    ) -> None:
        super().__init__(
            n, classes, label_noise, val_fraction, test_fraction, scale, seed, order, drop_last
        )
        self.noise = non_negative("data.noise", noise)

    def draw(self, seed: int) -> tuple[NDArray, NDArray[np.int64]]:
        """Points (n, 2) and labels (n,)."""
        import numpy as np
        from sklearn.datasets import make_blobs

        # turned by 45 degrees, so that both features matter when K = 2
        angles = pi / 4 + 2 * pi * np.arange(self.classes) / self.classes
        radius = 1 / np.sin(pi / self.classes)
        centres = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        points, labels = make_blobs(
            n_samples=self.n,
            centers=centres,
            cluster_std=self.noise,
            random_state=sklearn_seed(seed, self.name, "points"),
        )
        return points, labels
