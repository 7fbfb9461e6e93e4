"""The 1,797 real handwritten digits of 8×8 pixels that come with scikit-learn."""

from __future__ import annotations

from mlr.core.checks import DataError, InputError, fraction, known, whole
from mlr.data import options, prepare
from mlr.data.base import Dataset, Source

_LARGEST_PIXEL = 16.0


class Digits(Source):
    """Handwritten digits, ten classes, as images (1, 8, 8); no download.

    The data are real, so the split follows `split_seed`, and runs of different seeds are tested on
    the same digits.

    Args:
        label_noise: share of training labels replaced by another class, drawn by the run's seed.
        val_fraction: share of examples for validation.
        test_fraction: share of examples for the test.
        split_seed: seed that assigns the examples to the splits.
        scale: none (0..16), unit (divided by 16) or standardize (one mean and deviation for all
            pixels, of the training split).
        order: shuffled: another order of the training examples in each epoch, by the run's seed;
            given: the order of the file, in which it is then split too.
        drop_last: leave out the last examples of an epoch that do not fill a batch.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998
    (its test part), as scikit-learn's load_digits gives it.
    """

    name = "digits"
    classes: int = 10

    def __init__(
        self,
        label_noise: float = 0.0,
        val_fraction: float = 0.1,
        test_fraction: float = 0.2,
        split_seed: int = 0,
        scale: str = "unit",
        order: str = "shuffled",
        drop_last: bool = False,
    ) -> None:
        self.label_noise = fraction("data.label_noise", label_noise)
        self.shares = options.split_shares(val_fraction, test_fraction)
        self.split_seed = whole("data.split_seed", split_seed, at_least=0)
        self.scale = known("data.scale", scale, options.IMAGE_SCALES)
        self.take_order(order, drop_last)

    def load(self, seed: int) -> Dataset:
        """Read features (N, 1, 8, 8) and labels (N,).

        Raises:
            InputError: the shares are too small for ten classes in each split.
        """
        from sklearn.datasets import load_digits

        bundle = load_digits()
        data = prepare.Arrays(bundle.images[:, None], bundle.target)
        where = f"data={self.name}"
        try:
            splits = prepare.split(
                where,
                data,
                self.shares,
                self.split_seed,
                stratify=True,
                in_order=self.in_file_order,
            )
        except DataError as error:  # the digits are always the same, so the options are at fault
            raise InputError(str(error)) from None
        plan = prepare.Preparation(
            self.name, self.classes, self.scale, _LARGEST_PIXEL, self.label_noise, seed
        )
        return prepare.to_dataset(plan, *splits)
