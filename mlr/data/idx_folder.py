"""Folders of IDX files under MNIST's names, such as KMNIST or a user's own."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from mlr.core.checks import InputError, fraction, known, whole
from mlr.data import idx, options, prepare, validate
from mlr.data.base import Dataset, Source
from mlr.data.faults import LONGEST, fault, tail
from mlr.data.files import digest
from mlr.data.prepare import Arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

# both spellings are in use: train-images-idx3-ubyte and train-images.idx3-ubyte
_NAME = r"{part}-{content}[-.]idx\d-\w+(\.gz)?"
_USUAL = {"images": "idx3-ubyte", "labels": "idx1-ubyte"}


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
        split_seed: seed that assigns the examples to the splits.
        label_noise: share of training labels replaced by another class, drawn by the run's seed.
        scale: none, unit (bytes divided by 255, other numbers by the largest in training) or
            standardize (one mean and deviation for all pixels of the training split).
        order: shuffled: another order of the training examples in each epoch, by the run's seed;
            given: the order of the file, in which it is then split too.
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
        self.scale = known("data.scale", scale, options.IMAGE_SCALES)
        self.take_order(order, drop_last)

    def load(self, seed: int) -> Dataset:
        """Read features (N, 1, height, width), or as the files have them, and labels (N,).

        Raises:
            InputError: there is no such folder.
            DataError: a file is missing or damaged, counts differ, a label is out of range.
        """
        import numpy as np

        where = f"data={self.name}"
        files = load(where, self.root, self.classes, test_needed=False)
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
        plan = prepare.Preparation(
            self.name, files.classes, self.scale, largest, self.label_noise, seed
        )
        return prepare.to_dataset(plan, *parts)


@dataclass(frozen=True)
class Published:
    """SHA-256 of the only files that are accepted.

    Attributes:
        packed: hashes of the .gz files; empty accepts any.
        unpacked: hashes of the raw files; empty accepts any raw file.
    """

    packed: Collection[str] = ()
    unpacked: Collection[str] = ()

    def check(self, file: Path) -> None:
        """Refuse any other file.

        Raises:
            DataError: gives its SHA-256.
        """
        if not self.unpacked and not (self.packed and file.suffix == ".gz"):
            return
        found = digest(file)
        if found not in {*self.packed, *self.unpacked}:
            raise fault(
                file,
                f"(SHA-256 {found[:12]}…) is not the file that was published, and may be damaged: "
                "get it again, or use data=idx for images of your own.",
            )


@dataclass(frozen=True)
class IdxArrays:
    """Content of a folder.

    Attributes:
        train: examples to train on.
        test: examples for the test, None without a t10k pair.
        classes: K.
    """

    train: Arrays
    test: Arrays | None
    classes: int


def load(
    where: str,
    folder: Path,
    classes: int | None,
    test_needed: bool,
    published: Published | None = None,
) -> IdxArrays:
    """Read `train-images…`, `train-labels…` and, if there, `t10k-images…`, `t10k-labels…`.

    Args:
        where: name of the data, for messages.
        folder: with the files, raw or .gz; of both the raw one is read.
        classes: K, or None to read it off the training labels.
        test_needed: True if the t10k pair must be there.
        published: the only files that are accepted; by default any.

    Raises:
        InputError: there is no such folder.
        DataError: a file is missing, damaged, or another one than was published; counts
            differ, a label is out of range.
    """
    if not folder.is_dir():
        kind = "not a folder" if folder.exists() else "not there"
        opening = f"{where} looks for its files in data.root="
        raise InputError(f"{opening}{tail(folder, LONGEST - 100)}, which is {kind}.")
    published = published or Published()
    train, classes = _pair(folder, "train", classes, published)
    names = [entry.name for entry in folder.iterdir()]
    has_test = any(name.startswith(("t10k-images", "t10k-labels")) for name in names)
    if not (has_test or test_needed):
        return IdxArrays(train, None, classes)
    test, _ = _pair(folder, "t10k", classes, published)
    return IdxArrays(train, test, classes)


def _pair(folder: Path, part: str, classes: int | None, published: Published) -> tuple[Arrays, int]:
    """Read images and labels of one part; compare their counts and check the labels."""
    image_file, label_file = _find(folder, part, "images"), _find(folder, part, "labels")
    images, labels = idx.read(image_file), idx.read(label_file)
    for file in (image_file, label_file):
        # after reading, whose message about a cut file says more than a checksum
        published.check(file)
    if images.ndim < 2:
        raise fault(
            image_file,
            f"holds {images.size} single numbers; images have two dimensions or more.",
        )
    if len(images) != len(labels):
        raise fault(
            image_file,
            f"holds {len(images)} images but {tail(label_file.name, 60)} {len(labels)} labels; "
            "every image needs one label.",
        )
    labels, classes = validate.class_labels(str(label_file), labels, classes)
    return Arrays(_with_channel(images), labels), classes


def _find(folder: Path, part: str, content: str) -> Path:
    """Return the only file of this part and content; raw before packed if there are both."""
    pattern = re.compile(_NAME.format(part=part, content=content))
    found = sorted(entry for entry in folder.iterdir() if pattern.fullmatch(entry.name))
    raw = [entry for entry in found if entry.suffix != ".gz"] or found
    if not raw:
        usual = f"{part}-{content}-{_USUAL[content]}"
        raise fault(
            folder,
            f"holds no {usual} or {usual}.gz; put it there, or name another folder with "
            "data.root=FOLDER.",
        )
    if len(raw) > 1:
        names = ", ".join(tail(entry.name, 30) for entry in raw[:2])
        raise fault(
            folder, f"holds {len(raw)} files of {part} {content}: {names}…; leave only one."
        )
    return raw[0]


def _with_channel(images: NDArray) -> NDArray:
    """Add the channel that convolutions expect to grey images (N, height, width)."""
    return images[:, None] if images.ndim == 3 else images
