"""Framing of the records of TensorBoard's event files.

A file is a chain of records: length (8 bytes, little-endian), masked CRC-32C of the length,
payload, masked CRC-32C of the payload.

Source: TFRecord format of TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import google_crc32c
import numpy as np

HEADER, FOOTER = 12, 4
_LENGTH = 8
_DELTA = 0xA282EAD8
Sum = TypeVar("Sum", int, np.ndarray)


class EventRecord(NamedTuple):
    """One record of a file that is intact.

    Attributes:
        start: its first byte in the file.
        framed: all of it.
        payload: the serialised Event in it.
    """

    start: int
    framed: bytes
    payload: bytes


def header(length: int) -> bytes:
    """Return the first 12 bytes of a record whose payload has `length` bytes."""
    size = length.to_bytes(_LENGTH, "little")
    return size + _checksum(size)


def record(payload: bytes) -> bytes:
    """Frame a payload, a serialised Event."""
    return header(len(payload)) + payload + _checksum(payload)


def records(content: bytes) -> Iterator[EventRecord]:
    """Split the content of an event file into its records.

    Raises:
        ValueError: a record is damaged, or its end is missing; names the byte where it begins.
    """
    at = 0
    while at < len(content):
        start = at + HEADER
        end = start + int.from_bytes(content[at : at + _LENGTH], "little")
        payload = content[start:end]
        framed = content[at : end + FOOTER]
        if framed != record(payload):
            raise ValueError(f"is damaged at byte {at:,}")
        yield EventRecord(at, framed, payload)
        at = end + FOOTER


def masked(checksum: Sum) -> Sum:
    """Mask CRC-32C, so that the checksum of data that holds checksums stays a good one."""
    rotated = (checksum >> 15 | checksum << 17) & 0xFFFFFFFF
    return rotated + _DELTA & 0xFFFFFFFF


def _checksum(content: bytes) -> bytes:
    return masked(google_crc32c.value(content)).to_bytes(FOOTER, "little")
