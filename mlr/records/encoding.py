"""TensorBoard's records as bytes, whole columns at a time.

A file is a chain of records: length (8 bytes), its checksum, payload, its checksum; a
payload is one `Event` of protocol buffers. Every record of one call differs from the next
in numbers only, so it is laid out once, as a template of fixed width (the step is a varint
padded to the width of the largest), and numpy fills the columns of all records at once.

Source: tensorboard/compat/proto/{event,summary}.proto; TFRecord format of TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import google_crc32c
import numpy as np

Bytes = np.ndarray  # of uint8
_HEADER = 12  # length and its checksum
_STEP_LIMIT = 2**63 - 1


def record(payload: bytes) -> bytes:
    """One record of a TensorBoard event file around `payload`, a serialised Event."""
    return _header(len(payload)) + payload + _checksum(payload)


def event(wall_time: float, step: int, field: int, content: bytes) -> bytes:
    """A serialised Event whose field number `field` (3 version, 5 summary) holds `content`.

    Args:
        wall_time: seconds since 1970, UTC.
        step: number of the update, 0 or above.
        field: number of the field in event.proto.
        content: the field's bytes.
    """
    start = b"\x09" + np.float64(wall_time).tobytes() + b"\x10" + varint(step)
    return start + _chunk(field, content)


def scalar_records(
    steps: np.ndarray, tags: tuple[str, ...], values: np.ndarray, wall_times: np.ndarray
) -> list[bytes]:
    """One record a row, holding every tag's value of that step.

    Args:
        steps: int (P,), 0 or above.
        tags: T names.
        values: (P, T); kept as float32, the only number TensorBoard's scalars have.
        wall_times: (P,) seconds since 1970, UTC.

    Returns:
        P records, in the order of the rows.
    """
    width = _step_width(steps)
    template, columns = _scalar_template(tags, width)
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and shown as such
        numbers = np.ascontiguousarray(values, dtype="<f4")
    rows = _rows(template, steps, wall_times, width)
    rows[:, columns] = numbers.view(np.uint8)
    return _seal(rows)


def histogram_records(
    steps: np.ndarray,
    tag: str,
    limits: np.ndarray,
    counts: np.ndarray,
    moments: np.ndarray,
    wall_times: np.ndarray,
) -> list[bytes]:
    """One record a row, holding one histogram.

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
    width, bins = _step_width(steps), counts.shape[1]
    template, moment_columns, limits_at, counts_at = _histogram_template(tag, bins, width)
    rows = _rows(template, steps, wall_times, width)
    rows[:, moment_columns] = np.ascontiguousarray(moments, "<f8").view(np.uint8)
    rows[:, limits_at : limits_at + 8 * bins] = np.ascontiguousarray(limits, "<f8").view(np.uint8)
    rows[:, counts_at : counts_at + 8 * bins] = np.ascontiguousarray(counts, "<f8").view(np.uint8)
    return _seal(rows)


def varint(number: int) -> bytes:
    """A whole number in protocol buffers' base 128, lowest 7 bits first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


@lru_cache(maxsize=512)
def _scalar_template(tags: tuple[str, ...], step_width: int) -> tuple[Bytes, np.ndarray]:
    """A record with zeros for the numbers, and where the bytes of the values go."""
    summary, ends = b"", []
    for tag in tags:
        value = _chunk(1, tag.encode("utf-8")) + b"\x15" + bytes(4)
        summary += _chunk(1, value)
        ends.append(len(summary))
    template, start = _template(summary, step_width)
    columns = (start + np.array(ends, dtype=np.int64)[:, None] + np.arange(-4, 0)).reshape(-1)
    return template, columns


@lru_cache(maxsize=512)
def _histogram_template(tag: str, bins: int, step_width: int) -> tuple[Bytes, np.ndarray, int, int]:
    """A record with zeros, and the places of the moments' bytes, the limits and the counts."""
    packed = varint(8 * bins) + bytes(8 * bins)
    # min, max, num, sum, sum_squares are fields 1 to 5, doubles: one byte of key, 8 of number
    moments = b"".join(bytes([number << 3 | 1]) + bytes(8) for number in range(1, 6))
    histogram = moments + b"\x32" + packed + b"\x3a" + packed
    summary = _chunk(1, _chunk(1, tag.encode("utf-8")) + _chunk(5, histogram))
    template, start = _template(summary, step_width)
    start += len(summary) - len(histogram)
    columns = (start + 9 * np.arange(5)[:, None] + np.arange(1, 9)).reshape(-1)
    end = start + len(histogram)
    return template, columns, end - 2 * 8 * bins - 1 - len(varint(8 * bins)), end - 8 * bins


def _template(summary: bytes, step_width: int) -> tuple[Bytes, int]:
    """A record around `summary` with zeros for wall time, step and checksum; where it starts."""
    payload = b"\x09" + bytes(8) + b"\x10" + bytes(step_width) + _chunk(5, summary)
    whole = _header(len(payload)) + payload + bytes(4)
    return np.frombuffer(whole, np.uint8), len(whole) - 4 - len(summary)


def _rows(template: Bytes, steps: np.ndarray, wall_times: np.ndarray, width: int) -> Bytes:
    """P copies of the template, (P, length), with wall times and steps filled in."""
    rows = np.tile(template, (len(steps), 1))
    at = _HEADER + 1
    rows[:, at : at + 8] = np.ascontiguousarray(wall_times, "<f8").view(np.uint8).reshape(-1, 8)
    sevens = steps.astype(np.uint64)[:, None] >> (np.uint64(7) * np.arange(width, dtype=np.uint64))
    digits = (sevens & np.uint64(0x7F)).astype(np.uint8)
    digits[:, :-1] |= 0x80  # "more follows", on leading zeros too: the width stays fixed
    rows[:, at + 9 : at + 9 + width] = digits
    return rows


def _seal(rows: Bytes) -> list[bytes]:
    """The rows as bytes, each ended by the checksum of its payload."""
    size = rows.shape[1]
    body = rows.tobytes()
    sums = np.array(
        [
            google_crc32c.value(body[start + _HEADER : start + size - 4])
            for start in range(0, len(body), size)
        ],
        dtype="<u4",
    )
    rows[:, -4:] = _mask(sums).view(np.uint8).reshape(-1, 4)
    body = rows.tobytes()
    return [body[start : start + size] for start in range(0, len(body), size)]


def _step_width(steps: np.ndarray) -> int:
    """Bytes that the largest step needs as a varint; at least 1."""
    return max(1, -(-int(steps.max()).bit_length() // 7))


def _chunk(field: int, content: bytes) -> bytes:
    """A length-delimited field of protocol buffers."""
    return varint(field << 3 | 2) + varint(len(content)) + content


def _header(length: int) -> bytes:
    """The first 12 bytes of a record: the payload's length and the checksum of that."""
    size = length.to_bytes(8, "little")
    return size + _checksum(size)


def _checksum(content: bytes) -> bytes:
    """The masked CRC-32C of `content`, 4 bytes."""
    return _mask(np.array([google_crc32c.value(content)], dtype="<u4")).tobytes()


def _mask(sums: np.ndarray) -> np.ndarray:
    """TFRecord's masking, so that a checksum of data that holds checksums stays a good one."""
    rotated = (sums >> np.uint32(15)) | (sums << np.uint32(17))
    return rotated + np.uint32(0xA282EAD8)


def check_steps(steps: Sequence[int] | np.ndarray) -> np.ndarray:
    """The steps as an int64 array (P,).

    Raises:
        ValueError: not whole numbers from 0 to 2⁶³ − 1, or not one axis.
    """
    array = np.asarray(steps)
    if array.ndim != 1:
        raise ValueError(f"steps must have shape (P,), not {array.shape}.")
    if array.size and (array.dtype.kind not in "iu" or array.min() < 0):
        raise ValueError("steps must be whole numbers, 0 or above.")
    if array.size and int(array.max()) > _STEP_LIMIT:
        raise ValueError(f"steps must be at most 2**63 - 1, not {array.max()}.")
    return array.astype(np.int64)
