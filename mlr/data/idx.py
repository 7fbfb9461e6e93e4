"""Reader of IDX files, the format of MNIST: a header, then big-endian numbers; gzip or raw.

Whether a file is compressed is told by its first bytes, not its name: browsers unpack downloads
silently. Nothing is allocated on the word of a header alone, and never more than it declares.

Source: Y. LeCun, C. Cortes, C. Burges, The MNIST database, section "FILE FORMATS".
"""

from __future__ import annotations

import gzip
import zlib
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from mlr.checks import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# type byte → numpy's name of the big-endian type
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MOST_DIMENSIONS = 8
_GZIP = b"\x1f\x8b"
# deflate cannot do better than 1032:1; whoever declares more than that lies
_BEST_RATIO = 1032


def read(path: Path) -> NDArray:
    """Read an IDX file.

    Args:
        path: raw or gzip-compressed.

    Returns:
        An array in the machine's byte order, of the type and shape that the header declares.

    Raises:
        InputError: names the file and says what is wrong with it: missing, empty, an HTML page,
            no IDX, damaged gzip, shorter or longer than its header declares.
    """
    import numpy as np

    with _opened(path) as stream:
        code, shape = _header(path, stream)
        dtype = np.dtype(TYPES[code])
        size = prod(shape) * dtype.itemsize
        _refuse_impossible(path, size)
        content = _exactly(stream, size)
        if len(content) < size:
            raise InputError(
                f"{path} is truncated: its header declares {_times(shape)} values, {size} bytes, "
                f"but {len(content)} bytes follow. Get the file again."
            )
        if stream.read(1):
            raise InputError(
                f"{path} goes on after the {size} bytes that its header declares "
                f"({_times(shape)} values): it is damaged, or no IDX file."
            )
    values = np.frombuffer(content, dtype).reshape(shape)
    return values.astype(dtype.newbyteorder("="), copy=False)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The decoded bytes of a file; whatever goes wrong in reading them becomes an InputError."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == _GZIP
            raw.seek(0)
            if packed:
                # typeshed: GzipFile is a BinaryIO in all that is used here
                with gzip.GzipFile(fileobj=raw) as unpacked:
                    yield cast(IO[bytes], unpacked)
            else:
                yield raw
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path} is damaged and cannot be gunzipped: {error}.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    except MemoryError:
        raise InputError(f"{path} does not fit into memory.") from None


def _header(path: Path, stream: IO[bytes]) -> tuple[int, tuple[int, ...]]:
    """The type byte and the dimensions."""
    magic = stream.read(4)
    _refuse_other_formats(path, magic)
    code, count = magic[2], magic[3]
    if code not in TYPES:
        known = ", ".join(f"0x{known:02x}" for known in TYPES)
        raise InputError(f"{path} declares values of type 0x{code:02x}; IDX knows {known}.")
    if not 1 <= count <= MOST_DIMENSIONS:
        raise InputError(
            f"{path} declares {count} dimensions; between 1 and {MOST_DIMENSIONS} make sense."
        )
    raw = stream.read(4 * count)
    if len(raw) < 4 * count:
        raise InputError(
            f"{path} is truncated: it ends after {4 + len(raw)} bytes, within its header of "
            f"{4 + 4 * count} bytes."
        )
    shape = tuple(int.from_bytes(raw[i : i + 4], "big") for i in range(0, len(raw), 4))
    if 0 in shape:
        raise InputError(f"{path} declares {_times(shape)} values: it holds no data.")
    return code, shape


def _refuse_other_formats(path: Path, magic: bytes) -> None:
    if not magic:
        raise InputError(f"{path} is empty.")
    if magic.lstrip()[:1] == b"<":
        raise InputError(
            f"{path} is an HTML or XML page, not data: the download answered with a web page."
        )
    if len(magic) < 4:
        raise InputError(f"{path} is truncated: {len(magic)} bytes are less than an IDX header.")
    if magic[:2] != b"\0\0":
        raise InputError(
            f"{path} is no IDX file: it begins with the bytes {magic.hex(' ')}, an IDX file with "
            "00 00, then its type and its number of dimensions."
        )


def _refuse_impossible(path: Path, size: int) -> None:
    """Refuse a header that declares more than the file can hold, before any memory is taken."""
    on_disk = path.stat().st_size
    if size > on_disk * _BEST_RATIO:
        raise InputError(
            f"{path} is truncated or its header is damaged: it declares {size} bytes of values, "
            f"and the file has {on_disk}."
        )


def _exactly(stream: IO[bytes], size: int) -> bytearray:
    """Up to `size` bytes, in pieces: memory grows with what is found, not with what is declared."""
    content = bytearray()
    while len(content) < size:
        piece = stream.read(min(1 << 20, size - len(content)))
        if not piece:
            break
        content += piece
    return content


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
