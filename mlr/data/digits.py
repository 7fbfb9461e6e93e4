"""The 1,797 real handwritten digits of 8×8 pixels that come with scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass

from mlr.core.checks import DataError, InputError
from mlr.data import options
from mlr.data.base import Dataset
from mlr.data.prepare import Arrays, RealSource


@dataclass(eq=False, kw_only=True)
class Digits(RealSource):
    """Handwritten digits, ten classes, as images (1, 8, 8) of pixels 0..16; no download.

    Args:
        label_noise: share of training labels replaced by another class, drawn by the run's seed.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998
    (its test part), as scikit-learn's load_digits gives it.
    """

    name = "digits"
    classes = 10
    scales = options.IMAGE_SCALES
    label_noise: float = 0.0
    val_fraction: float = 0.1
    scale: str = "unit"

    def load(self, seed: int) -> Dataset:
        """Read features (N, 1, 8, 8) and labels (N,).

        Raises:
            InputError: the shares are too small for ten classes in each split.
        """
        from sklearn.datasets import load_digits

        bundle = load_digits()
        data = Arrays(bundle.images[:, None], bundle.target)
        try:
            splits = self.split(data, (self.val_fraction, self.test_fraction))
        except DataError as error:  # the digits are always the same, so the options are at fault
            raise InputError(str(error)) from None
        return self.dataset(seed, self.classes, splits)
