"""IDX files, the format of MNIST: a header, then big-endian numbers; gzip or raw.

Source: Y. LeCun, C. Cortes, C. Burges, The MNIST database, section "FILE FORMATS".
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from math import prod
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mlr.core.checks import InputError
from mlr.data import options, validate
from mlr.data.base import Dataset
from mlr.data.faults import LONGEST, fault, tail
from mlr.data.files import MOST_BYTES, digest, opened
from mlr.data.prepare import Arrays, RealSource

if TYPE_CHECKING:
    from numpy.typing import NDArray

# type byte → numpy's name of the big-endian type
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MOST_DIMENSIONS = 8
_PIECE = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_AGAIN = "Get the file again."


@dataclass(eq=False, kw_only=True)
class Idx(RealSource):
    """Labelled images from train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz], t10k-….

    Without the t10k pair the test examples are split off the training files too. Images (height,
    width) become (1, height, width); files of two dimensions hold feature vectors.

    Args:
        root: the folder.
        classes: K; None reads it off the labels, which then must include every class.
        label_noise: share of training labels replaced by another class, drawn by the run's seed.
    """

    name = "idx"
    scales = options.IMAGE_SCALES
    root: str | PathLike[str] | None = None
    classes: int | None = None
    label_noise: float = 0.0
    val_fraction: float = 0.1
    scale: str = "unit"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.folder = options.path("data.root", self.root, "the folder of the IDX files")
        options.optional_whole("data.classes", self.classes, at_least=2)

    def load(self, seed: int) -> Dataset:
        """Read features (N, 1, height, width), or as the files have them, and labels (N,).

        Raises:
            InputError: there is no such folder.
            DataError: a file is missing or damaged, counts differ, a label is out of range.
        """
        train, test, classes = read_folder(self.folder, self.classes)
        if test is None:
            splits = self.divided(train, (self.val_fraction, self.test_fraction))
        else:
            splits = [*self.divided(train, (self.val_fraction,)), test]
            validate.warn_shared(f"data={self.name}", train.features, test.features, "test")
        return self.dataset(seed, classes, splits)


def read_folder(
    folder: Path, classes: int | None, packed: Collection[str] = (), raw: Collection[str] = ()
) -> tuple[Arrays, Arrays | None, int]:
    """Read `train-images…`, `train-labels…` and, if there, `t10k-images…`, `t10k-labels…`.

    Args:
        folder: with the files, raw or .gz; of both the raw one is read.
        classes: K, or None to read it off the training labels.
        packed: SHA-256 of the only .gz files that are accepted; empty accepts any.
        raw: SHA-256 of the only raw files that are accepted; empty accepts any.

    Returns:
        Training examples, test examples or None, and K.

    Raises:
        InputError: there is no such folder.
        DataError: a file is missing, damaged, or another one than was published; counts
            differ, a label is out of range.
    """
    if not folder.is_dir():
        kind = "not a folder" if folder.exists() else "not there"
        raise InputError(
            f"data.root={tail(folder, LONGEST - 100)} is {kind}; give the folder of the IDX files."
        )
    pairs: list[Arrays] = []
    for part in ("train", "t10k"):
        if part == "t10k" and not any(folder.glob("t10k-*")):
            break
        files = [_find(folder, part, content) for content in ("images", "labels")]
        images, labels = map(read, files)
        for file in files:
            # after reading, whose message about a cut file says more than a checksum
            known = packed if file.suffix == ".gz" else raw
            if known and digest(file) not in (*packed, *raw):
                raise fault(
                    file,
                    "is not the file that was published, by its SHA-256, and may be damaged: get "
                    "it again, or use data=idx for images of your own.",
                )
        # grey images get the channel that convolutions expect
        images = images[:, None] if images.ndim == 3 else images
        shape = pairs[0].features.shape[1:] if pairs else images.shape[1:]
        validate.check_split(f"{files[0]} with {files[1].name}", images, labels, shape)
        labels, classes = validate.class_labels(str(files[1]), labels, classes)
        pairs.append(Arrays(images, labels))
    assert classes is not None
    return pairs[0], pairs[1] if len(pairs) == 2 else None, classes


def _find(folder: Path, part: str, content: str) -> Path:
    """Return the only file of this part and content; raw before packed if there are both."""
    # both spellings are in use: train-images-idx3-ubyte and train-images.idx3-ubyte
    pattern = re.compile(rf"{part}-{content}[-.]idx\d-\w+(\.gz)?")
    found = sorted(entry for entry in folder.iterdir() if pattern.fullmatch(entry.name))
    files = [entry for entry in found if entry.suffix != ".gz"] or found
    if len(files) != 1:
        usual = f"{part}-{content}-idx{3 if content == 'images' else 1}-ubyte"
        raise fault(
            folder,
            f"holds {len(files) or 'no'} files {usual} or {usual}.gz; put one there, or name "
            "another folder with data.root=FOLDER.",
        )
    return files[0]


def read(path: Path) -> NDArray:
    """Read an IDX file.

    The first bytes decide if it is compressed, not its name: browsers unpack downloads silently.

    Args:
        path: raw or gzip-compressed.

    Returns:
        An array in the machine's byte order, of the type and shape that the header declares.

    Raises:
        DataError: names the file and says what is wrong with it: missing, no IDX, damaged gzip,
            too large, shorter or longer than its header declares.
    """
    with opened(path, MOST_BYTES) as file:
        packed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        file.seek(0)
        if not packed:
            return _values(path, file)
        try:
            with gzip.GzipFile(fileobj=file) as stream:
                return _values(path, stream)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            reason = str(error).rpartition(": ")[2]
            raise fault(path, f"is damaged and cannot be gunzipped: {reason}. {_AGAIN}") from None


def _values(path: Path, stream: BinaryIO | gzip.GzipFile) -> NDArray:
    """Read header and values; not more than one byte beyond what is declared is unpacked."""
    import numpy as np

    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES:
        raise fault(
            path, f"is no IDX file: it begins with {magic!r}, not with 00 00 and a type of numbers."
        )
    dtype, count = np.dtype(TYPES[magic[2]]), magic[3]
    raw = stream.read(4 * count)
    shape = tuple(int.from_bytes(raw[i : i + 4], "big") for i in range(0, len(raw), 4))
    size = min(prod(shape) * dtype.itemsize, 10**99)
    most = prod(filter(None, shape)) * dtype.itemsize  # numpy refuses empty arrays by it, too
    if not 1 <= count <= MOST_DIMENSIONS or len(raw) < 4 * count or most > MOST_BYTES:
        raise fault(
            path, f"has a damaged header: {count} dimensions and {size:.4g} bytes. {_AGAIN}"
        )
    values = np.empty(shape, dtype)
    room, found = values.reshape(-1).view(np.uint8).data, 0
    # in pieces: gzip takes an eighth longer to unpack all at once
    while piece := stream.read(min(_PIECE, size - found)):
        room[found : found + len(piece)] = piece
        found += len(piece)
    if found < size or stream.read(1):
        raise fault(
            path,
            f"is damaged: its header declares {'×'.join(map(str, shape))} values, {size} bytes, "
            f"but {'more' if found == size else f'{found} bytes'} follow. {_AGAIN}",
        )
    return values.astype(dtype.newbyteorder("="), copy=False)
