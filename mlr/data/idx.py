"""Reader of IDX files, the format of MNIST: a header, then big-endian numbers; gzip or raw.

Whether a file is compressed is told by its first bytes, not its name: browsers unpack downloads
silently. What the header declares is judged before any memory is taken, and no byte more than
that is decoded.

Source: Y. LeCun, C. Cortes, C. Burges, The MNIST database, section "FILE FORMATS".
"""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from mlr.core.checks import DataError
from mlr.data.faults import fault
from mlr.data.files import BEST_RATIO, MOST_BYTES, Stream, fill, no_web_page, opened
from mlr.data.gunzip import MAGIC, Unpacked

if TYPE_CHECKING:
    from numpy.typing import NDArray

# type byte → numpy's name of the big-endian type
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MOST_DIMENSIONS = 8


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
    import numpy as np

    with opened(path, MOST_BYTES) as (file, on_disk):
        packed = file.read(len(MAGIC)) == MAGIC
        file.seek(0)
        stream: Stream = Unpacked(path, file) if packed else file
        code, shape = _header(path, stream)
        dtype = np.dtype(TYPES[code])
        size = prod(shape) * dtype.itemsize
        if packed:
            _refuse_impossible(path, size, on_disk * BEST_RATIO)
        elif size > on_disk - file.tell():
            raise _truncated(path, shape, size, on_disk - file.tell())
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
    """The type byte and the dimensions."""
    magic = _exactly(stream, 4)
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
    """Refuse a header that declares more than the file can hold, before any memory is taken."""
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
    """`size` bytes, or what there is of them."""
    room = bytearray(size)
    return bytes(room[: fill(memoryview(room), stream)])


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
