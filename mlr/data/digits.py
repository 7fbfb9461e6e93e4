"""The 1,797 real handwritten digits of 8×8 pixels that come with mlr."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlr.core.checks import DataError, InputError
from mlr.data import options
from mlr.data.base import Dataset
from mlr.data.prepare import Arrays, RealSource

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


FILE = Path(__file__).with_name("uci_digits") / "digits.npz"


def read_digits() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Read all images (1797, 8, 8) of pixels 0..16, and their classes (1797,)."""
    import numpy as np

    with np.load(FILE, allow_pickle=False) as file:
        return file["images"].astype(np.float64), file["labels"].astype(np.int64)


@dataclass(eq=False, kw_only=True)
class Digits(RealSource):
    """Handwritten digits, ten classes, as images (1, 8, 8) of pixels 0..16; no download.

    Args:
        label_noise: share of training labels replaced by another class, drawn by the run's seed.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998
    (its test part, CC BY 4.0), as scikit-learn's load_digits gives it.
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
        images, labels = read_digits()
        data = Arrays(images[:, None], labels)
        try:
            splits = self.divided(data, (self.val_fraction, self.test_fraction))
        except DataError as error:  # the digits are always the same, so the options are at fault
            raise InputError(str(error)) from None
        return self.dataset(seed, self.classes, splits)
