"""Arrays in .npz files of a user's own, as numpy.savez writes them."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from io import BytesIO
from math import prod
from os import PathLike
from typing import TYPE_CHECKING, BinaryIO

from mlr.core.checks import InputError
from mlr.data import options, validate
from mlr.data.base import Dataset
from mlr.data.faults import fault, shown
from mlr.data.files import MOST_BYTES, opened
from mlr.data.prepare import Arrays, RealSource

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LONGEST_HEADER = 10_000
"""Bytes; numpy refuses longer ones too."""
_PARTS = ("", "_val", "_test")
"""Endings of the keys of the training, validation and test examples."""


@dataclass(eq=False, kw_only=True)
class Npz(RealSource):
    """Features (N, ...) and labels (N,), or targets (N,) or (N, K), under two keys.

    Arrays `<features>_val` and `<labels>_val`, `<features>_test` and `<labels>_test` are the
    validation and test splits where the file has them (`x_val`, `y_val`, …); otherwise these are
    split off the training examples.

    Args:
        path: the file.
        features: key of the features.
        labels: key of the labels or targets.
        weights: key of factors (N,) ≥ 0 on the loss of each training example; None: 1 each.
        task: classification; regression; multilabel, labels (N, K) of 0 and 1.
        classes: K; None reads it off the labels, which then must include every class.
        target_scale: of a regression's targets: standardize, mean 0 and deviation 1 in training;
            none; auto standardises where the loss takes any real number.
    """

    name = "npz"
    path: str | PathLike[str] | None = None
    features: str = "x"
    labels: str = "y"
    weights: str | None = None
    task: str = "classification"
    classes: int | None = None
    target_scale: str = options.AUTO

    def __post_init__(self) -> None:
        super().__post_init__()
        self.file = options.path("data.path", self.path, "the .npz file")
        options.text("data.features", self.features)
        options.text("data.labels", self.labels)
        if self.weights is not None:
            options.text("data.weights", self.weights)
        options.optional_whole("data.classes", self.classes, at_least=2)
        self.regression = self.task == options.REGRESSION
        self.multilabel = self.task == options.MULTILABEL
        if self.task != options.CLASSIFICATION and self.classes is not None:
            raise InputError(
                f"data.classes={self.classes} makes no sense with data.task={self.task}."
            )

    def load(self, seed: int) -> Dataset:
        """Read features (N, ...), and labels (N,) or targets (N, K).

        Raises:
            InputError: the file or a key is missing.
            DataError: the file is damaged, or shapes or values are wrong.
        """
        with opened(self.file, MOST_BYTES, "data.path") as file:
            given, classes = self._read(file)
        train = given.pop("")
        for part, data in given.items():
            validate.warn_shared(
                f"data={self.name}", train.features, data.features, part.removeprefix("_")
            )
        shares = {"_val": self.val_fraction, "_test": self.test_fraction}
        wanted = {part: share for part, share in shares.items() if part not in given}
        stratify = self.task == options.CLASSIFICATION
        train, *parts = self.divided(train, tuple(wanted.values()), stratify=stratify)
        given |= dict(zip(wanted, parts, strict=True))
        splits = (train, given["_val"], given["_test"])
        return self.dataset(seed, classes, splits, multilabel=self.multilabel)

    def _read(self, file: BinaryIO) -> tuple[dict[str, Arrays], int | None]:
        """Return the splits of the file by the ending of their keys, and K."""
        found: dict[str, Arrays] = {}
        classes = self.classes
        try:
            with zipfile.ZipFile(file) as archive:
                names = {name.removesuffix(".npy") for name in archive.namelist()}
                for part in _PARTS:
                    if part and not {self.features + part, self.labels + part} & names:
                        continue
                    x, y = (
                        self._array(archive, option, key + part)
                        for option, key in (("features", self.features), ("labels", self.labels))
                    )
                    where = f"{self.file}: {shown(self.features + part, 20)}"
                    shape = (found[""].features if part else x).shape[1:]
                    validate.check_split(where, x, y, shape)
                    where = f"{self.file}: {shown(self.labels + part, 20)}"
                    if self.multilabel:
                        validate.yes_or_no(where, y)
                    elif not self.regression:
                        y, classes = validate.class_labels(where, y, classes)
                    elif y.ndim > 2 or not y.size:
                        raise fault(where, f"has targets {y.shape!s:.40}, not (N,) or (N, K).")
                    else:
                        validate.finite(where, y, "targets")
                    trained = found[""].targets.shape[1:] if part else y.shape[1:]
                    if y.shape[1:] != trained:
                        raise fault(
                            where, f"has targets {y.shape!s:.40}, the training (N, {trained[0]})."
                        )
                    found[part] = Arrays(x, y)
                if self.weights is not None:
                    w = self._array(archive, "weights", self.weights)
                    validate.weights(f"{self.file}: {shown(self.weights, 20)}", w, len(found[""]))
                    found[""] = replace(found[""], weights=w)
        except (InputError, OSError, MemoryError):
            raise
        # zipfile and numpy meet damage with a dozen kinds: BadZipFile, zlib.error, EOFError, …
        except Exception as error:
            reason = shown(str(error) or type(error).__name__, 60)
            rule = "is no .npz file or damaged; write one with numpy.savez"
            raise fault(self.file, f"{rule}: {reason}.") from None
        return found, classes

    def _array(self, archive: zipfile.ZipFile, option: str, key: str) -> NDArray:
        """Read the array of a key; pickled objects are never loaded."""
        from numpy.lib import format as npy

        try:
            entry = archive.getinfo(f"{key}.npy")
        except KeyError:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            raise options.unknown_name(f"data.{option}", key, names, self.file.name) from None
        if entry.file_size > MOST_BYTES:
            raise fault(
                f"{self.file}: {shown(key)}",
                f"unpacks to {entry.file_size} bytes; {MOST_BYTES} are the most.",
            )
        with archive.open(entry) as stream:
            opening = BytesIO(stream.read(_LONGEST_HEADER))
        version = npy.read_magic(opening)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read_header(opening)
        declared = prod(shape) * dtype.itemsize
        # before memory is allocated
        if declared != entry.file_size - opening.tell() and not dtype.hasobject:
            raise ValueError(f"{key} has another size than its header declares")
        with archive.open(entry) as stream:
            values = npy.read_array(stream, allow_pickle=False)
        return values.astype(values.dtype.newbyteorder("="), order="C", copy=False)
