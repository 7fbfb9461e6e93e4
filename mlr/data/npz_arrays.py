"""Arrays of a .npz file, one at a time, each judged by its header before memory is taken.

numpy's own reader takes what a header declares, and guesses at pickles where a file is no archive.

Source: numpy.lib.format, version 1.0 and 2.0.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from math import prod
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from mlr.core.checks import InputError
from mlr.data.faults import fault, shown
from mlr.data.files import BEST_RATIO, MOST_BYTES, fill, no_web_page, opened

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_ARRAYS = 10_000
# numpy refuses longer ones too
_LONGEST_HEADER = 10_000
_KINDS = "biuf"


class Archive:
    """The arrays of an open file, by name."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, on_disk: int) -> None:
        """Look at the list of what `archive`, the file `path` of so many bytes, holds."""
        self.path, self._archive, self._on_disk = path, archive, on_disk
        entries = archive.infolist()
        if len(entries) > MOST_ARRAYS:
            raise fault(path, f"holds {len(entries)} arrays; {MOST_ARRAYS} are the most.")
        self._entries = {entry.filename.removesuffix(".npy"): entry for entry in entries}
        if len(self._entries) < len(entries):
            raise fault(path, "holds two arrays of one name; write it again with numpy.savez.")

    @property
    def names(self) -> list[str]:
        """Of all arrays, in the order of the file."""
        return list(self._entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of an array, of which no more is unpacked than its header.

        Raises:
            DataError: it holds objects, texts or anything but real numbers, or its header
                declares more than `MOST_BYTES` or than the file holds.
        """
        with self._open(name) as stream:
            return self._header(name, stream.read(_LONGEST_HEADER)).shape

    def read(self, name: str) -> NDArray:
        """The numbers of an array.

        Raises:
            DataError: `shape` raises it, or the numbers are damaged.
        """
        import numpy as np

        with self._open(name) as stream:
            opening = stream.read(_LONGEST_HEADER)
            dtype, shape, fortran, end = self._header(name, opening)
            flat = np.empty(prod(shape), dtype)
            room, begun = flat.view(np.uint8).data, opening[end:]
            room[: len(begun)] = begun
            found = len(begun) + fill(room[len(begun) :], stream)
            # reading behind the end verifies the checksum
            if found != len(room) or stream.read(1):
                where = self._where(name)
                raise fault(where, f"is truncated: {found} of {len(room)} bytes are there.")
        values = flat.reshape(shape, order="F" if fortran else "C")
        return values.astype(dtype.newbyteorder("="), order="C", copy=False)

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
        """The header of an array that opens like that, if the file can hold what it declares."""
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
    """The arrays of a file; pickled objects are never loaded.

    Args:
        path: the file.
        option: that names it.

    Raises:
        InputError: there is no file of that name.
        DataError: it is no archive, or is damaged; so does whatever is read from it.
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
    """Type, shape and order of an array, and where its numbers begin."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    end: int


def _header(where: str, opening: bytes) -> _Header:
    """The header that an array opens with."""
    from numpy.lib import format as npy

    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    stream = BytesIO(opening)
    try:
        reader = readers[npy.read_magic(stream)]
        shape, fortran, dtype = reader(stream, max_header_size=_LONGEST_HEADER)
    # numpy parses it as Python, and fails with a dozen kinds
    except Exception:
        raise fault(where, "has a damaged header; write it again with numpy.savez.") from None
    if dtype.kind not in _KINDS or dtype.names:
        kind = "objects, which could be code" if dtype.hasobject else f"type {dtype!s:.20}"
        hint = ": number texts by np.unique(y, return_inverse=True)[1]" * (dtype.kind in "US")
        raise fault(where, f"holds {kind}; only real numbers are read{hint}.")
    if any(type(size) is not int or size < 0 for size in shape) or len(shape) > 32:
        raise fault(where, "declares a shape that no array has.")
    return _Header(dtype, shape, fortran, stream.tell())
