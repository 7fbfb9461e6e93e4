"""Idx: any folder of IDX files under MNIST's names, such as KMNIST or a user's own."""

from __future__ import annotations

from os import PathLike

from mlr.core.checks import fraction, whole
from mlr.data import idx_files, options, prepare, validate
from mlr.data.base import Dataset, Source


class Idx(Source):
    """Labelled images from train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz], t10k-….

    Without the t10k pair the test examples are split off the training files too. The split
    follows `split_seed`, not the run's seed: the data are real. Images (height, width) become
    (1, height, width); files of two dimensions hold feature vectors.

    Args:
        root: the folder.
        classes: K; None reads it off the labels, which then must include every class.
        val_fraction: share of the training files' examples for validation.
        test_fraction: share of them for the test, used only where there is no t10k pair.
        split_seed: decides which example is in which split.
        label_noise: share of training labels replaced by another class, drawn by the run's seed.
        scale: none, unit (bytes divided by 255, other numbers by the largest in training) or
            standardize (one mean and deviation for all pixels of the training split).
        order: shuffled: another order of the training examples in each epoch, by the run's seed;
            given: that of the file, which is then split in its order too.
        drop_last: leave out the last examples of an epoch that do not fill a batch.
    """

    name = "idx"

    def __init__(
        self,
        root: str | PathLike[str] | None = None,
        classes: int | None = None,
        val_fraction: float = 0.1,
        test_fraction: float = 0.2,
        split_seed: int = 0,
        label_noise: float = 0.0,
        scale: str = "unit",
        order: str = "shuffled",
        drop_last: bool = False,
    ) -> None:
        self.root = options.path("data.root", root, "the folder of the IDX files")
        self.classes = options.optional_whole("data.classes", classes, at_least=2)
        self.shares = options.split_shares(val_fraction, test_fraction)
        self.split_seed = whole("data.split_seed", split_seed, at_least=0)
        self.label_noise = fraction("data.label_noise", label_noise)
        self.scale = options.scale(scale, options.IMAGE_SCALES)
        self.take_order(order, drop_last)

    def load(self, seed: int) -> Dataset:
        """Features (N, 1, height, width), or as the files have them, and labels (N,).

        Raises:
            InputError: there is no such folder.
            DataError: a file is missing or damaged, counts differ, a label is out of range.
        """
        import numpy as np

        where = f"data={self.name}"
        files = idx_files.load(where, self.root, self.classes, test_needed=False)
        shares = self.shares if files.test is None else self.shares[:1]
        parts = prepare.split(
            where,
            files.train,
            shares,
            self.split_seed,
            stratify=True,
            in_order=self.in_file_order,
        )
        if files.test is not None:
            validate.warn_shared(where, files.train.features, files.test.features, "test")
            parts.append(files.test)
        largest = 255.0 if files.train.features.dtype == np.uint8 else None
        plan = prepare.Plan(self.name, files.classes, self.scale, largest, self.label_noise, seed)
        return prepare.to_dataset(plan, *parts)
