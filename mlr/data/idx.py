"""Reader of IDX files, the format of MNIST: a header, then big-endian numbers; gzip or raw.

The first bytes decide if a file is compressed, not its name: browsers unpack downloads silently.
The size that the header declares is checked before memory is allocated, and not more than one
byte beyond it is decoded.

Source: Y. LeCun, C. Cortes, C. Burges, The MNIST database, section "FILE FORMATS".
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mlr.core.checks import DataError
from mlr.data.faults import fault
from mlr.data.files import BEST_RATIO, MOST_BYTES, Stream, fill, no_web_page, opened

if TYPE_CHECKING:
    from numpy.typing import NDArray

# type byte → numpy's name of the big-endian type
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MOST_DIMENSIONS = 8
_GZIP_MAGIC = b"\x1f\x8b"
_HEADER = 4
"""Bytes before the dimensions: two zeros, the type, the number of dimensions."""


def read(path: Path) -> NDArray:
    """Read an IDX file.

    Args:
        path: raw or gzip-compressed.

    Returns:
        An array in the machine's byte order, of the type and shape that the header declares.

    Raises:
        DataError: names the file and says what is wrong with it: missing, empty, an HTML page,
            no IDX, damaged gzip, too large, shorter or longer than its header declares.
    """
    with opened(path, MOST_BYTES) as (file, on_disk):
        packed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        file.seek(0)
        if packed:
            with _unpacked(path, file) as stream:
                return _values(path, stream, on_disk * BEST_RATIO, packed)
        return _values(path, file, on_disk, packed)


@contextmanager
def _unpacked(path: Path, file: BinaryIO) -> Iterator[Stream]:
    """Open the content of a gzip file; damage found while reading becomes a DataError."""
    try:
        with gzip.GzipFile(fileobj=file) as stream:
            yield stream
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        reason = str(error).rpartition(": ")[2]
        raise fault(
            path, f"is damaged and cannot be gunzipped: {reason}. Get the file again."
        ) from None


def _values(path: Path, stream: Stream, most: int, packed: bool) -> NDArray:
    """Read header and values of a stream of `most` bytes at most."""
    import numpy as np

    code, shape = _header(path, stream)
    dtype = np.dtype(TYPES[code])
    size, following = prod(shape) * dtype.itemsize, most - _HEADER - 4 * len(shape)
    if packed:
        _refuse_impossible(path, size, most)
    elif size > following:
        raise _truncated(path, shape, size, following)
    if size > MOST_BYTES:
        raise fault(path, f"declares {size} bytes of values; {MOST_BYTES} are the most.")
    values = np.empty(shape, dtype)
    found = fill(values.reshape(-1).view(np.uint8).data, stream)
    if found < size:
        raise _truncated(path, shape, size, found)
    if stream.read(1):
        raise fault(
            path,
            f"goes on after the {size} bytes that its header declares ({_times(shape)} "
            "values): it is damaged, or no IDX file.",
        )
    return values.astype(dtype.newbyteorder("="), copy=False)


def _header(path: Path, stream: Stream) -> tuple[int, tuple[int, ...]]:
    """Read the type byte and the dimensions."""
    magic = _exactly(stream, _HEADER)
    _refuse_other_formats(path, magic)
    code, count = magic[2], magic[3]
    if code not in TYPES:
        known = ", ".join(f"0x{known:02x}" for known in TYPES)
        raise fault(path, f"declares values of type 0x{code:02x}; IDX knows {known}.")
    if not 1 <= count <= MOST_DIMENSIONS:
        raise fault(
            path, f"declares {count} dimensions; between 1 and {MOST_DIMENSIONS} make sense."
        )
    raw = _exactly(stream, 4 * count)
    if len(raw) < 4 * count:
        raise fault(
            path,
            f"is truncated: it ends after {4 + len(raw)} bytes, within its header of "
            f"{4 + 4 * count} bytes.",
        )
    shape = tuple(int.from_bytes(raw[i : i + 4], "big") for i in range(0, len(raw), 4))
    if 0 in shape:
        raise fault(path, f"declares {_times(shape)} values: it holds no data.")
    return code, shape


def _refuse_other_formats(path: Path, magic: bytes) -> None:
    if not magic:
        raise fault(path, "is empty.")
    no_web_page(path, magic)
    if len(magic) < 4:
        raise fault(path, f"is truncated: {len(magic)} bytes are less than an IDX header.")
    if magic[:2] != b"\0\0":
        raise fault(
            path,
            f"is not an IDX file: it begins with the bytes {magic.hex(' ')}, an IDX file "
            "with 00 00 and its type and number of dimensions.",
        )


def _refuse_impossible(path: Path, size: int, most: int) -> None:
    """Refuse a header that declares more than a file of this size can unpack to."""
    if size > most:
        raise fault(
            path,
            f"is truncated or its header is damaged: it declares {size:.4g} bytes of values, and "
            f"no file of its size unpacks to more than {most:.4g}.",
        )


def _truncated(path: Path, shape: tuple[int, ...], size: int, found: int) -> DataError:
    return fault(
        path,
        f"is truncated: its header declares {_times(shape)} values, {size:.10g} bytes, but "
        f"{found} bytes follow. Get the file again.",
    )


def _exactly(stream: Stream, size: int) -> bytes:
    """Read `size` bytes, or fewer at the end of the stream."""
    room = bytearray(size)
    return bytes(room[: fill(memoryview(room), stream)])


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
