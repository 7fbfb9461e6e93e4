"""Checkpoint files: tensors and JSON in the format safetensors, which can hold no code.

One more tensor, `~sha256`, is the SHA-256 of the whole file with that tensor's own bytes as
zeros: any changed bit, in the names as well as in the numbers, is found on reading.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlr.core.checks import DataError, UnreadableError

SEAL, ABOUT = "~sha256", "mlr"
_SIZE = 32
_MALFORMED = (ValueError, KeyError, TypeError, OverflowError, RecursionError)


class CheckpointContent(NamedTuple):
    """Contents of a checkpoint file: tensors by name, in their order, and values of JSON."""

    arrays: dict[str, NDArray[Any]]
    about: dict[str, Any]


def encode(arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> bytes:
    """Encode arrays of booleans or numbers, and values that JSON can hold, infinity and NaN too."""
    from safetensors.numpy import save

    tensors = {name: np.asarray(own, order="C") for name, own in arrays.items()}
    tensors[SEAL] = np.zeros(_SIZE, np.uint8)
    # the format keeps no order; and of several entries of its own its order would be chance
    text = json.dumps({"order": list(arrays), "about": dict(about)})
    content = bytearray(save(tensors, {ABOUT: text}))
    content[_seal_of(content)] = sha256(content).digest()
    return bytes(content)


def read(path: Path) -> CheckpointContent:
    """Read a checkpoint file.

    Raises:
        DataError: it is missing or damaged.
        UnreadableError: it cannot be read.
    """
    try:
        return decode(bytearray(path.read_bytes()))
    except OSError as error:
        kind = DataError if isinstance(error, FileNotFoundError) else UnreadableError
        raise kind(f"{path} cannot be read: {error.strerror}.") from error
    except MemoryError as error:
        raise DataError(f"{path} is more than memory holds.") from error
    except ValueError as error:
        raise DataError(f"{path} is damaged: {error}.") from error


def decode(content: bytearray) -> CheckpointContent:
    """Decode what `encode` made; the seal within `content` is overwritten.

    Raises:
        ValueError: it was changed, or is something else.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        seal = _seal_of(content)
        written, content[seal] = bytes(content[seal]), bytes(_SIZE)
        if sha256(content).digest() != written:
            raise ValueError("its SHA-256 is not the one written into it")
        # a file of somebody else can have a seal that fits, whatever it holds
        arrays = load(bytes(content))
        entry = json.loads(_header(content)["__metadata__"][ABOUT])
        order = entry["order"] if "order" in entry else list(entry["sums"])  # format 2
        return CheckpointContent({name: arrays[name] for name in order}, dict(entry["about"]))
    except (SafetensorError, *_MALFORMED) as error:
        raise ValueError(f"it is no whole checkpoint ({str(error)[:100]})") from error


def _header(content: bytes | bytearray) -> Any:
    return json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])


def _seal_of(content: bytes | bytearray) -> slice:
    """Find the bytes of the SHA-256 by the header of the file."""
    first, last = _header(content)[SEAL]["data_offsets"]
    start = 8 + int.from_bytes(content[:8], "little")
    return slice(start + first, start + last)
