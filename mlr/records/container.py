"""Tensors and what is to be known of them as one file that can hold nothing else: no code.

The format is safetensors, which other tools read as well. One tensor more, `~sha256`, is the
digest of the whole file with that tensor's own bytes as zeros: a single changed bit, in the
names as well as in the numbers, is found on reading. A checksum of each tensor tells where.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from mlr.core.checks import DataError, UnreadableError
from mlr.records.format import UNSEALED, FormatError, check_format

SEAL, ABOUT = "~sha256", "mlr"
_SIZE = 32
_LENGTH = 8


class Container(NamedTuple):
    """What a file holds."""

    arrays: dict[str, NDArray[Any]]
    """in the order in which they were given"""
    about: dict[str, Any]
    """what JSON can hold"""


def encode(arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> bytes:
    """The bytes of a file.

    Args:
        arrays: by name, of booleans or numbers.
        about: what JSON can hold; infinity and NaN come back as such.
    """
    from safetensors.numpy import save

    whole = {name: np.asarray(own, order="C") for name, own in arrays.items()}
    whole[SEAL] = np.zeros(_SIZE, np.uint8)
    # the format keeps no order; and of several entries of its own its order would be chance
    sums = {name: google_crc32c.value(whole[name].tobytes()) for name in arrays}
    text = json.dumps({"sums": sums, "about": dict(about)})
    content = bytearray(save(whole, {ABOUT: text}))
    start = _seal_at(content)
    content[start : start + _SIZE] = sha256(content).digest()
    return bytes(content)


def read(path: Path) -> Container:
    """What the file at `path` holds.

    Raises:
        FormatError: it is of another format.
        DataError: it is missing, or is not exactly what was written.
    """
    try:
        return decode(bytearray(path.read_bytes()))
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error
    except OSError as error:
        kind = DataError if isinstance(error, FileNotFoundError) else UnreadableError
        raise kind(f"{path} cannot be read: {error.strerror}.") from error
    except MemoryError as error:
        raise DataError(f"{path} is more than memory holds.") from error
    except ValueError as error:
        raise DataError(f"{path} is damaged: {error}.") from error


def decode(content: bytearray) -> Container:
    """What the bytes of a file hold.

    Raises:
        FormatError: they are what an older one made.
        ValueError: they are not exactly what `encode` made; says why.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    start = _seal_at(content)
    seal = bytes(content[start : start + _SIZE])
    content[start : start + _SIZE] = bytes(_SIZE)
    if sha256(content).digest() != seal:
        raise ValueError(f"its SHA-256 is not the one written into it: {_where(content)} changed")
    # a seal is no signature: a file can be sealed that nobody but its maker has seen
    try:
        arrays = load(bytes(content))
    except (SafetensorError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"no safetensors file ({str(error)[:100]})") from error
    sums, about = _metadata(content)
    if {*sums, SEAL} != set(arrays):
        raise ValueError("it does not say what its tensors are")
    return Container({name: arrays[name] for name in sums}, about)


def _metadata(content: bytes | bytearray) -> tuple[dict[str, Any], dict[str, Any]]:
    """Checksums of the tensors, in the order in which these were given, and what is told of them.

    Raises:
        ValueError: nothing is told.
    """
    older = False
    with suppress(ValueError, RecursionError, AttributeError, KeyError, TypeError):
        known = json.loads(_header(content)["__metadata__"][ABOUT])
        if isinstance(known.get("sums"), dict) and isinstance(known["about"], dict):
            return known["sums"], known["about"]
        older = isinstance(known.get("order"), list)
    if older:
        check_format("it", UNSEALED)
    raise ValueError("it does not say what its tensors are")


def _where(content: bytearray) -> str:
    """The tensors that are not what they were; where all are, it is what stands before them."""
    header, start = _header(content), _LENGTH + int.from_bytes(content[:_LENGTH], "little")
    with suppress(ValueError, KeyError, TypeError):
        for name, checksum in _metadata(content)[0].items():
            first, last = (start + int(offset) for offset in header[name]["data_offsets"])
            if google_crc32c.value(bytes(content[first:last])) != checksum:
                return f"tensor {name[:60]!r} in bytes {first} to {last}"
    return f"its header in bytes 0 to {start}"


def _header(content: bytes | bytearray) -> dict[str, Any]:
    length = int.from_bytes(content[:_LENGTH], "little")
    if len(content) < _LENGTH or length > len(content) - _LENGTH:
        raise ValueError("its end is missing")
    try:
        header = json.loads(content[_LENGTH : _LENGTH + length])
    except (ValueError, RecursionError):
        raise ValueError("its header is not JSON") from None
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")
    return header


def _seal_at(content: bytes | bytearray) -> int:
    """Where the digest lies."""
    found = _header(content).get(SEAL)
    offsets = found.get("data_offsets") if isinstance(found, dict) else None
    if not (
        isinstance(offsets, list)
        and len(offsets) == 2
        and all(type(offset) is int and offset >= 0 for offset in offsets)
        and offsets[1] - offsets[0] == _SIZE
    ):
        raise ValueError("it holds no SHA-256")
    start = _LENGTH + int.from_bytes(content[:_LENGTH], "little") + int(offsets[0])
    if start + _SIZE > len(content):
        raise ValueError("its end is missing")
    return start
