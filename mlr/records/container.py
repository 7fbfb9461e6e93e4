"""Tensors and what is to be known of them as one file that can hold nothing else: no code.

The format is safetensors, which other tools read as well. One tensor more, `~sha256`, is the
digest of the whole file with that tensor's own bytes as zeros: a single changed bit, in the
names as well as in the numbers, is found on reading.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlr.checks import DataError

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
    text = json.dumps({"order": list(arrays), "about": dict(about)})
    content = bytearray(save(whole, {ABOUT: text}))
    start = _seal_at(content)
    content[start : start + _SIZE] = sha256(content).digest()
    return bytes(content)


def read(path: Path) -> Container:
    """What the file at `path` holds.

    Raises:
        DataError: it is missing, or is not exactly what was written.
    """
    try:
        content = bytearray(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        return decode(content)
    except ValueError as error:
        raise DataError(f"{path} is damaged: {error}.") from error


def decode(content: bytearray) -> Container:
    """What the bytes of a file hold.

    Raises:
        ValueError: they are not exactly what `encode` made; says why.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    start = _seal_at(content)
    seal = bytes(content[start : start + _SIZE])
    content[start : start + _SIZE] = bytes(_SIZE)
    if sha256(content).digest() != seal:
        raise ValueError("its SHA-256 is not the one written into it")
    try:
        arrays = load(bytes(content))
    except SafetensorError as error:
        raise ValueError(f"no safetensors file ({error})") from error
    order, about = _known(content)
    if {*order, SEAL} != set(arrays):
        raise ValueError("it does not say what its tensors are")
    return Container({name: arrays[name] for name in order}, about)


def _known(content: bytes | bytearray) -> tuple[list[str], dict[str, Any]]:
    """The names of the tensors in order, and what is said of them."""
    try:
        known = json.loads(_header(content)["__metadata__"][ABOUT])
        order, about = known["order"], known["about"]
    except (KeyError, TypeError, ValueError, RecursionError):
        raise ValueError("it does not say what it holds") from None
    named = isinstance(order, list) and all(isinstance(name, str) for name in order)
    if not named or not isinstance(about, dict):
        raise ValueError("it does not say what it holds")
    return order, about


def _header(content: bytes | bytearray) -> dict[str, Any]:
    length = int.from_bytes(content[:_LENGTH], "little")
    if len(content) < _LENGTH or length > len(content) - _LENGTH:
        raise ValueError("its end is missing")
    try:
        header = json.loads(content[_LENGTH : _LENGTH + length])
    except (ValueError, RecursionError):
        raise ValueError("its header is no JSON") from None
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
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
