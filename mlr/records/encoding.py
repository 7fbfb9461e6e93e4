"""Encoding of logged steps as records of TensorBoard's event files.

An event file is a chain of records: length (8 bytes, little-endian), masked CRC-32C of the length,
payload, masked CRC-32C of the payload. The payload is one `Event` of protocol buffers. Records with
the same tags, and steps of the same number of bytes, differ in numbers only: they are built once,
as a template, and numpy fills the columns of all of them at once. No record depends on the others
of a call.

Source: TFRecord format of TensorFlow; tensorboard/compat/proto/{event,summary}.proto.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import chain
from mmap import mmap
from struct import iter_unpack
from typing import Any

import google_crc32c
import numpy as np

Bytes = np.ndarray  # of uint8
HEADER, FOOTER = 12, 4
_LENGTH = 8
_DELTA = 0xA282EAD8
_SEVENS = 2 ** (7 * np.arange(1, 9))  # the first numbers that need one more byte as varint


def record(payload: bytes) -> bytes:
    """Frame a payload, a serialised Event."""
    return _header(len(payload)) + payload + _checksum(payload)


def records(content: bytes | mmap) -> Iterator[bytes]:
    """Split the content of an event file into its records.

    Raises:
        ValueError: a record is damaged, or its end is missing; names the byte where it begins.
    """
    at = 0
    while at < len(content):
        end = at + HEADER + int.from_bytes(content[at : at + _LENGTH], "little") + FOOTER
        framed = content[at:end]
        if framed != record(payload_of(framed)):
            raise ValueError(f"is damaged at byte {at:,}")
        yield framed
        at = end


def payload_of(framed: bytes) -> bytes:
    """Return the payload of a record."""
    return framed[HEADER:-FOOTER]


def event(wall_time: float, step: int, field: int, content: bytes) -> bytes:
    """Build the record of an Event whose field number `field` holds `content`.

    Args:
        wall_time: seconds since 1970, UTC.
        step: number of the update, 0 or above.
        field: of event.proto: 3 version, 5 summary, 7 session log.
        content: the field's bytes.
    """
    start = b"\x09" + np.float64(wall_time).tobytes() + b"\x10" + _varint(step)
    return record(start + _chunk(field, content))


def scalar_records(
    steps: np.ndarray,
    tags: tuple[str, ...],
    values: np.ndarray,
    wall_times: np.ndarray,
    present: np.ndarray,
) -> list[bytes]:
    """Build one record a row, with every tag's value of that step.

    Args:
        steps: int (P,), 0 or above.
        tags: T names.
        values: (P, T); stored as float32, the only number TensorBoard's scalars have.
        wall_times: (P,) seconds since 1970, UTC.
        present: bool (P, T); False leaves a value out.

    Returns:
        P records, in the order of the rows; empty for a row without any value.
    """
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and shown as such
        numbers = np.ascontiguousarray(values, dtype="<f4")

    def encode(rows: np.ndarray, width: int) -> list[bytes]:
        columns = np.flatnonzero(present[rows[0]])
        if not len(columns):
            return [b""] * len(rows)
        names = tuple(tags[column] for column in columns)
        template, places = _scalar_template(names, width)
        filled = _rows(template, steps[rows], wall_times[rows], width)
        for place, column in zip(places, columns.tolist(), strict=True):
            _column(filled, place, "<f4")[:] = numbers[rows, column]
        return _seal(filled)

    return _in_groups(np.packbits(present, axis=1), steps, encode)


def histogram_records(
    steps: np.ndarray,
    tag: str,
    limits: np.ndarray,
    counts: np.ndarray,
    moments: np.ndarray,
    wall_times: np.ndarray,
) -> list[bytes]:
    """Build one record a row, with one histogram.

    Args:
        steps: int (P,), 0 or above.
        tag: name of the histogram.
        limits: (P, bins) right edges of the buckets.
        counts: (P, bins) values in each bucket.
        moments: (P, 5) minimum, maximum, number, sum and sum of squares of the values.
        wall_times: (P,) seconds since 1970, UTC.

    Returns:
        P records, in the order of the rows.
    """
    bins = counts.shape[1]

    def encode(rows: np.ndarray, width: int) -> list[bytes]:
        template, places, limits_at, counts_at = _histogram_template(tag, bins, width)
        filled = _rows(template, steps[rows], wall_times[rows], width)
        for place, moment in zip(places, moments[rows].T, strict=True):
            _column(filled, place, "<f8")[:] = moment
        for at, block in ((limits_at, limits), (counts_at, counts)):
            filled[:, at : at + 8 * bins] = block[rows].astype("<f8").view(np.uint8)
        return _seal(filled)

    return _in_groups(np.zeros((len(steps), 0), np.uint8), steps, encode)


def _in_groups(
    keys: Bytes, steps: np.ndarray, encode: Callable[[np.ndarray, int], list[bytes]]
) -> list[bytes]:
    """Encode rows in groups that differ in numbers only; returns records in the order of the rows.

    The rows of a group share `keys` (N, K) and the bytes of a step, which `encode` takes with them.
    """
    size = keys.shape[1] + 1  # and one byte for the step's width
    padded = np.zeros((len(keys), -(-size // 8) * 8), np.uint8)
    padded[:, 1:size] = keys
    padded[:, 0] = widths = np.searchsorted(_SEVENS, steps, "right") + 1
    words = padded.view(np.uint64)
    order = np.lexsort(words.T)
    ordered = words[order]
    ends = np.flatnonzero((ordered[1:] != ordered[:-1]).any(axis=1)) + 1
    encoded: list[bytes] = []
    for rows in np.split(order, ends):
        encoded += encode(rows, int(widths[rows[0]])) if len(rows) else []
    if not len(ends):
        return encoded
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return [encoded[row] for row in place.tolist()]


@lru_cache(maxsize=512)
def _scalar_template(tags: tuple[str, ...], step_width: int) -> tuple[Bytes, list[int]]:
    """Build a record with zeros for the numbers, and find where each value begins."""
    summary, ends = b"", []
    for tag in tags:
        value = _chunk(1, tag.encode("utf-8")) + b"\x15" + bytes(4)
        summary += _chunk(1, value)
        ends.append(len(summary))
    template, start = _template(summary, step_width)
    return template, [start + end - 4 for end in ends]


@lru_cache(maxsize=512)
def _histogram_template(tag: str, bins: int, step_width: int) -> tuple[Bytes, list[int], int, int]:
    """Build a record with zeros, and find where moments, limits and counts begin."""
    packed = _varint(8 * bins) + bytes(8 * bins)
    # min, max, num, sum, sum_squares are fields 1 to 5, doubles: one byte of key, 8 of number
    moments = b"".join(bytes([number << 3 | 1]) + bytes(8) for number in range(1, 6))
    histogram = moments + b"\x32" + packed + b"\x3a" + packed
    summary = _chunk(1, _chunk(1, tag.encode("utf-8")) + _chunk(5, histogram))
    template, start = _template(summary, step_width)
    end = start + len(summary)
    columns = [end - len(histogram) + 9 * number + 1 for number in range(5)]
    return template, columns, end - 2 * 8 * bins - 1 - len(_varint(8 * bins)), end - 8 * bins


def _template(summary: bytes, step_width: int) -> tuple[Bytes, int]:
    """Frame `summary` with zeros for wall time, step and checksum; returns its start too."""
    payload = b"\x09" + bytes(8) + b"\x10" + bytes(step_width) + _chunk(5, summary)
    whole = _header(len(payload)) + payload + bytes(FOOTER)
    return np.frombuffer(whole, np.uint8), len(whole) - FOOTER - len(summary)


def _rows(template: Bytes, steps: np.ndarray, wall_times: np.ndarray, width: int) -> Bytes:
    """Copy the template P times, (P, length), and fill in wall times and steps."""
    rows = np.tile(template, (len(steps), 1))
    at = HEADER + 1
    _column(rows, at, "<f8")[:] = wall_times
    sevens = steps.astype(np.uint64)[:, None] >> (np.uint64(7) * np.arange(width, dtype=np.uint64))
    digits = (sevens & np.uint64(0x7F)).astype(np.uint8)
    digits[:, :-1] |= 0x80  # more follows
    rows[:, at + 9 : at + 9 + width] = digits
    return rows


def _column(rows: Bytes, start: int, dtype: str) -> np.ndarray:
    """View the numbers that begin at byte `start` of each row, to fill them in."""
    return np.ndarray(len(rows), dtype, rows.data, start, rows.strides[:1])


def _seal(rows: Bytes) -> list[bytes]:
    """Add the checksums of the payloads, and return the rows as bytes."""
    size, body = rows.shape[1], rows.reshape(-1).data
    payloads = chain.from_iterable(iter_unpack(f"{HEADER}x{size - HEADER - 4}s4x", body))
    sums = np.array(list(map(google_crc32c.value, payloads)), dtype="<u4")
    _column(rows, size - 4, "<u4")[:] = _masked(sums)
    return list(chain.from_iterable(iter_unpack(f"{size}s", body)))


def _header(length: int) -> bytes:
    """Return the first 12 bytes of a record whose payload has `length` bytes."""
    size = length.to_bytes(_LENGTH, "little")
    return size + _checksum(size)


def _checksum(content: bytes) -> bytes:
    checksum: int = _masked(google_crc32c.value(content))
    return checksum.to_bytes(FOOTER, "little")


def _masked(checksum: Any) -> Any:
    """Mask CRC-32C, so that the checksum of data that holds checksums stays a good one."""
    rotated = (checksum >> 15 | checksum << 17) & 0xFFFFFFFF
    return rotated + _DELTA & 0xFFFFFFFF


def _varint(number: int) -> bytes:
    """Encode a whole number in protocol buffers' base 128, lowest 7 bits first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _chunk(field: int, content: bytes) -> bytes:
    """Encode a length-delimited field of protocol buffers."""
    return _varint(field << 3 | 2) + _varint(len(content)) + content
