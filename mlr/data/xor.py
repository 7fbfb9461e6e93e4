"""XOR: four clouds at the corners of a square, opposite corners of one class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlr.core.checks import non_negative
from mlr.data.generated import Generated
from mlr.data.prepare import generator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Xor(Generated):
    """Clouds at (±1, ±1); class 1 where the signs differ.

    A straight line gets at most three of the four clouds right, and the best linear fit in the
    sense of every loss is w = 0, b = 0: predictions of ½. A hidden layer solves it.

    Args:
        n: examples in all.
        noise: standard deviation of each cloud.
        label_noise: share of training labels replaced by the other class.
        val_fraction: share of examples for validation.
        test_fraction: share of examples for the test.
        scale: none, standardize or minmax, fitted on the training split.
        seed: fixes the data; None follows the run's seed.
        order: shuffled: another order of the training examples in each epoch, by the run's seed;
            given: the one in which they were drawn.
        drop_last: leave out the last examples of an epoch that do not fill a batch.

    Source: Minsky and Papert, Perceptrons, 1969.
    """

    name = "xor"

    def __init__(
        self,
        n: int = 1000,
        noise: float = 0.25,
        label_noise: float = 0.0,
        val_fraction: float = 0.2,
        test_fraction: float = 0.2,
        scale: str = "none",
        seed: int | None = None,
        order: str = "shuffled",
        drop_last: bool = False,
    ) -> None:
        super().__init__(
            n, 2, label_noise, val_fraction, test_fraction, scale, seed, order, drop_last
        )
        self.noise = non_negative("data.noise", noise)

    def draw(self, seed: int) -> tuple[NDArray, NDArray[np.int64]]:
        """Points (n, 2) and labels (n,); the four clouds differ by one point at most."""
        import numpy as np

        rng = generator(seed, self.name, "points")
        # the classes alternate first, so that they stay balanced for every n
        cloud = rng.permutation(self.n)
        labels = cloud % 2
        first = np.where(cloud // 2 % 2 == 0, 1.0, -1.0)
        centres = np.stack([first, np.where(labels == 1, -first, first)], axis=1)
        return centres + self.noise * rng.standard_normal((self.n, 2)), labels
