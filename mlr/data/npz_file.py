"""Arrays in .npz files of a user's own, as numpy.savez writes them.

Each array is checked by its header before memory is allocated: numpy.load allocates what a header
declares, and tries to unpickle a file that is no archive.

Source: numpy.lib.format, version 1.0 and 2.0.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from math import prod
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from mlr.core.checks import InputError, known, whole
from mlr.data import options, prepare, validate
from mlr.data.base import Dataset, Source
from mlr.data.faults import fault, shown, tail
from mlr.data.files import BEST_RATIO, MOST_BYTES, no_web_page, opened

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_ARRAYS = 10_000
# numpy refuses longer ones too
_LONGEST_HEADER = 10_000
_KINDS = "biuf"


class Npz(Source):
    """Features (N, ...) and labels (N,), or targets (N,) or (N, K), under two keys.

    Arrays `<features>_val` and `<labels>_val`, `<features>_test` and `<labels>_test` are the
    validation and test splits where the file has them (`x_val`, `y_val`, …); otherwise these are
    split off the training examples by `split_seed`, not by the run's seed: the data are real.

    Args:
        path: the file.
        features: key of the features.
        labels: key of the labels or targets.
        task: classification or regression.
        classes: K; None reads it off the labels, which then must include every class.
        val_fraction: share of examples for validation, where the file has none for it.
        test_fraction: share of examples for the test, where the file has none for it.
        split_seed: seed that assigns the examples to the splits.
        scale: none, standardize or minmax, fitted on the training split; vectors by column,
            arrays of more dimensions as a whole.
        order: shuffled: another order of the training examples in each epoch, by the run's seed;
            given: the order of the file, in which it is then split too.
        drop_last: leave out the last examples of an epoch that do not fill a batch.
    """

    name = "npz"

    def __init__(
        self,
        path: str | PathLike[str] | None = None,
        features: str = "x",
        labels: str = "y",
        task: str = "classification",
        classes: int | None = None,
        val_fraction: float = 0.2,
        test_fraction: float = 0.2,
        split_seed: int = 0,
        scale: str = "standardize",
        order: str = "shuffled",
        drop_last: bool = False,
    ) -> None:
        self.path = options.path("data.path", path, "the .npz file")
        self.features = options.text("data.features", features)
        self.labels = options.text("data.labels", labels)
        self.regression = known("data.task", task, options.TASKS) == "regression"
        self.classes = options.optional_whole("data.classes", classes, at_least=2)
        if self.regression and classes is not None:
            raise InputError(f"data.classes={classes} makes no sense with data.task=regression.")
        self.val_fraction, self.test_fraction = options.split_shares(val_fraction, test_fraction)
        self.split_seed = whole("data.split_seed", split_seed, at_least=0)
        self.scale = known("data.scale", scale, options.COLUMN_SCALES)
        self.take_order(order, drop_last)

    def load(self, seed: int) -> Dataset:
        """Read features (N, ...), and labels (N,) or targets (N, K).

        Raises:
            InputError: the file or a key is missing.
            DataError: the file is damaged, or shapes or values are wrong.
        """
        where = f"data={self.name}"
        with archive(self.path, "data.path") as arrays:
            checked, classes = self._checked(arrays)
            shares = {"_val": self.val_fraction, "_test": self.test_fraction}
            wanted = {part: share for part, share in shares.items() if part not in checked}
            rows = prepare.split_rows(
                where,
                checked[""].targets,
                tuple(wanted.values()),
                self.split_seed,
                stratify=not self.regression,
                in_order=self.in_file_order,
            )
            # last: they may unpack to gigabytes
            given = {
                part: prepare.Arrays(arrays.read(self.features + part), data.targets)
                for part, data in checked.items()
            }
        whole = given.pop("")
        for part, data in given.items():
            validate.warn_shared(where, whole.features, data.features, part.strip("_"))
        train, *parts = (whole.take(one) for one in rows)
        given |= dict(zip(wanted, parts, strict=True))
        plan = prepare.Preparation(self.name, classes, self.scale, seed=seed)
        return prepare.to_dataset(plan, train, given["_val"], given["_test"])

    def _checked(self, arrays: Archive) -> tuple[dict[str, prepare.Arrays], int | None]:
        """Return the splits of the file by the suffix of their keys, and K.

        The features are placeholders of the right shape, which take no memory.
        """
        found: dict[str, prepare.Arrays] = {}
        classes = self.classes
        for part, name in (("", "training"), ("_val", "validation"), ("_test", "test")):
            if part and not {self.features + part, self.labels + part} & set(arrays.names):
                continue
            found[part], classes = self._pair(arrays, part, classes)
            shape = found[""].features.shape[1:]
            prepare.check_split(f"data={self.name}", name, found[part], classes, shape)
        return found, classes

    def _pair(
        self, arrays: Archive, suffix: str, classes: int | None
    ) -> tuple[prepare.Arrays, int | None]:
        """Return placeholder features and the targets of one split, and K."""
        import numpy as np

        x_key, y_key = self.features + suffix, self.labels + suffix
        options.named("data.features", x_key, arrays.names, self.path.name)
        options.named("data.labels", y_key, arrays.names, self.path.name)
        where_x, where_y = (f"{self.path}: array {tail(key, 20)}" for key in (x_key, y_key))
        x, y = (np.broadcast_to(0, arrays.shape(key)) for key in (x_key, y_key))
        self._check_shapes(where_x, x, where_y, y, suffix.strip("_") or "training")
        y = arrays.read(y_key)
        if not self.regression:
            numbers = " Real numbers are learnt by data.task=regression."
            y, classes = validate.class_labels(where_y, y, classes, numbers)
        return prepare.Arrays(x, y), classes

    def _check_shapes(self, where_x: str, x: NDArray, where_y: str, y: NDArray, part: str) -> None:
        if x.ndim < 2:
            raise fault(
                where_x,
                f"has shape {validate.shape_of(x)}; features need one row an example, (N, D): a "
                "single feature is (N, 1).",
            )
        validate.not_empty(where_x, part, x)
        if self.regression and y.ndim not in (1, 2):
            raise fault(where_y, f"has shape {validate.shape_of(y)}; it must be (N,) or (N, K).")
        if y.ndim == 0 or y.size == 0:
            raise fault(where_y, f"has shape {validate.shape_of(y)}; each example needs a target.")
        validate.equal_counts(where_x, x, y)


class Archive:
    """Arrays of an open file, by name."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, on_disk: int) -> None:
        """Read the table of contents of `archive`, a file `path` of `on_disk` bytes."""
        self.path, self._archive, self._on_disk = path, archive, on_disk
        entries = archive.infolist()
        if len(entries) > MOST_ARRAYS:
            raise fault(path, f"holds {len(entries)} arrays; {MOST_ARRAYS} are the most.")
        self._entries = {entry.filename.removesuffix(".npy"): entry for entry in entries}
        if len(self._entries) < len(entries):
            raise fault(path, "holds two arrays of one name; write it again with numpy.savez.")

    @property
    def names(self) -> list[str]:
        """Names of all arrays, in the order of the file."""
        return list(self._entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def shape(self, name: str) -> tuple[int, ...]:
        """Read the shape of an array from its header, without unpacking the rest.

        Raises:
            DataError: it holds objects, texts or anything but real numbers, or its header
                declares more than `MOST_BYTES` or than the file holds.
        """
        with self._open(name) as stream:
            return self._header(name, stream.read(_LONGEST_HEADER)).shape

    def read(self, name: str) -> NDArray:
        """Read the numbers of an array.

        Raises:
            DataError: as `shape`, or the numbers are damaged.
        """
        from numpy.lib import format as npy

        self.shape(name)
        with self._open(name) as stream:  # verifies its checksum at the last byte
            values = npy.read_array(stream, allow_pickle=False, max_header_size=_LONGEST_HEADER)
        return values.astype(values.dtype.newbyteorder("="), order="C", copy=False)

    def _where(self, name: str) -> str:
        return f"{self.path}: array {shown(name)}"

    def _open(self, name: str) -> IO[bytes]:
        entry = self._entries[name]
        plain = entry.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        if entry.flag_bits & 1 or not plain:
            rule = "is encrypted or packed in a way that numpy never uses."
            raise fault(self._where(name), rule)
        return self._archive.open(entry)

    def _header(self, name: str, opening: bytes) -> _Header:
        """Parse a header and compare its size with that of the packed array."""
        where, entry = self._where(name), self._entries[name]
        header = _header(where, opening)
        size = prod(header.shape) * header.dtype.itemsize
        if size > MOST_BYTES:
            raise fault(where, f"declares {size:.10g} bytes; {MOST_BYTES} are the most.")
        possible = min(entry.compress_size, self._on_disk) * BEST_RATIO
        if header.end + size != entry.file_size or entry.file_size > possible:
            raise fault(
                where,
                f"is damaged: its header declares {size:.10g} bytes, and "
                f"{entry.file_size - header.end} follow.",
            )
        return header


@contextmanager
def archive(path: Path, option: str) -> Iterator[Archive]:
    """Open the arrays of a file; pickled objects are never loaded.

    Args:
        path: the file.
        option: override that names the file, as in data.path.

    Raises:
        InputError: there is no file of that name.
        DataError: it is no archive, or is found damaged while it is open.
    """
    with opened(path, MOST_BYTES, option) as (file, on_disk):
        no_web_page(path, file.read(64))
        file.seek(0)
        try:
            if not zipfile.is_zipfile(file):
                raise fault(path, "is not an .npz file: write one with numpy.savez.")
            with zipfile.ZipFile(file) as found:
                yield Archive(path, found, on_disk)
        except (InputError, OSError, MemoryError):
            raise
        # zipfile meets damage with a dozen kinds: BadZipFile, zlib.error, struct.error, EOFError, …
        except Exception as error:
            reason = shown(str(error) or type(error).__name__, 60)
            raise fault(path, f"is damaged: {reason}. Write it again with numpy.savez.") from None


class _Header(NamedTuple):
    """Type and shape of an array, and the offset of its numbers."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    end: int


def _header(where: str, opening: bytes) -> _Header:
    """Parse the header at the beginning of an array."""
    from numpy.lib import format as npy

    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    stream = BytesIO(opening)
    try:
        reader = readers[npy.read_magic(stream)]
        shape, _, dtype = reader(stream, max_header_size=_LONGEST_HEADER)
    # numpy parses it as Python, and fails with a dozen kinds
    except Exception:
        raise fault(where, "has a damaged header; write it again with numpy.savez.") from None
    if dtype.kind not in _KINDS or dtype.names:
        kind = "objects, which could be code" if dtype.hasobject else f"type {dtype!s:.20}"
        hint = ": number texts by np.unique(y, return_inverse=True)[1]" * (dtype.kind in "US")
        raise fault(where, f"holds {kind}; only real numbers are read{hint}.")
    if any(type(size) is not int or size < 0 for size in shape) or len(shape) > 32:
        raise fault(where, "declares a shape that no array has.")
    return _Header(dtype, shape, stream.tell())
