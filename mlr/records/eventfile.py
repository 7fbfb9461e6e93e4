"""TensorBoard event files that may be damaged: which records are whole, and the others mended.

Readers of TensorBoard stop at the first damaged record, and lose all that come behind it.
Here only that record is lost: where its length cannot be believed, the next place is looked
for at which both checksums of a record fit. A lost record is mended into one of the same
length that says nothing, so that every other stays where it was: readers that wait at the
end of the file go on, and a run that is resumed finds its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import google_crc32c
import numpy as np

from mlr.records.encoding import event, record

MOST = 64 << 20
"""Bytes of a record; what claims to be longer is damaged."""
_LENGTH, _HEADER, _FOOTER = 8, 12, 4
_MASK, _WORD = 0xA282EAD8, 1 << 32
_VERSION = b"brain.Event:2"
_NOTHING = 0x7A
"""Key of field 15, which no reader of events knows: protocol buffers pass over it."""
_STRETCH = range(8, 21)  # first and largest, as powers of two


class Span(NamedTuple):
    """Some bytes of a file, from `start` to before `end`: a whole record, or damage."""

    start: int
    end: int
    whole: bool


def spans(content: bytes) -> Iterator[Span]:
    """Every byte of a file, in order; damaged bytes are in as few spans as possible.

    Takes a time that grows with the size only, whatever the bytes are.
    """
    at, allowance = 0, [len(content)]
    while at < len(content):
        end = _end(content, at)
        if end is not None and _fits(content, at + _HEADER, end):
            yield Span(at, end, True)
        else:
            # a sound header tells where the next record is; a wrong one, nothing
            if end is None or not _begins(content, end):
                end = _next(content, at + 1, allowance)
            yield Span(at, end, False)
        at = end


def payload(content: bytes, span: Span) -> bytes:
    """What a whole record holds: a serialised Event."""
    return content[span.start + _HEADER : span.end - _FOOTER]


def repaired(content: bytes) -> bytes:
    """The file with every damaged record in such a state that readers pass over it.

    Of the same size, but for damage too short or too long for one record, which is cut out.
    """
    found = list(spans(content))
    time = _time(content, found)
    return b"".join(
        content[span.start : span.end] if span.whole else _filler(span, time) for span in found
    )


def _filler(span: Span, time: float) -> bytes:
    """A record as long as the span that says nothing, or at the start of a file its version."""
    room = span.end - span.start - _HEADER - _FOOTER
    said = event(time, 0, 3, _VERSION) if span.start == 0 else b""
    rest = room - len(said)
    if rest < 0 or rest == 1 or room > MOST:
        return record(said) if said else b""
    if rest == 0:
        nothing = b""
    elif rest < 130:
        nothing = bytes((_NOTHING, rest - 2)) + bytes(rest - 2)
    else:  # the length in four bytes, whatever it is
        size = rest - 5
        digits = (size & 127 | 128, size >> 7 & 127 | 128, size >> 14 & 127 | 128, size >> 21)
        nothing = bytes((_NOTHING, *digits)) + bytes(size)
    return record(said + nothing)


def _time(content: bytes, found: list[Span]) -> float:
    """When the first event that is left was written; TensorBoard counts from the file's first."""
    for span in found:
        own = payload(content, span)
        if span.whole and own[:1] == b"\x09" and len(own) > _LENGTH:
            return float(np.frombuffer(own, "<f8", 1, offset=1)[0])
    return 0.0


def _end(content: bytes, at: int) -> int | None:
    """Where the record at `at` ends, by its length; None where that is no length of one."""
    header = content[at : at + _HEADER]
    if len(header) < _HEADER or not _fits(header, 0, _HEADER):
        return None
    end = at + _HEADER + int.from_bytes(header[:_LENGTH], "little") + _FOOTER
    return end if end <= len(content) and end - at <= MOST + _HEADER + _FOOTER else None


def _fits(content: bytes, start: int, end: int) -> bool:
    """Tell if the last four bytes are the checksum of those before."""
    checksum = google_crc32c.value(content[start : end - _FOOTER])
    masked = ((checksum >> 15 | checksum << 17) + _MASK) % _WORD
    return content[end - _FOOTER : end] == masked.to_bytes(4, "little")


def _begins(content: bytes, at: int) -> bool:
    """Tell if a record, or nothing more, follows at `at`."""
    return at == len(content) or _end(content, at) is not None


def _next(content: bytes, at: int, allowance: list[int]) -> int:
    """Where the next whole record begins at `at` or behind it; the end of the file without one.

    `allowance` is how many bytes of false records may be read for all of the file: headers
    that somebody has made can claim any number of them.
    """
    for place in _headers(content, at):
        end = _end(content, place)
        if end is None:
            continue
        if _fits(content, place + _HEADER, end):
            return place
        allowance[0] -= end - place
        if allowance[0] < 0:
            break
    return len(content)


def _headers(content: bytes, at: int) -> Iterator[int]:
    """Places from `at` on where eight bytes are followed by their masked checksum."""
    table, constant = _tables()
    power = _STRETCH[0]
    while at + _HEADER <= len(content):
        part = np.frombuffer(content[at : at + (1 << power) + _HEADER - 1], np.uint8)
        count = len(part) - _HEADER + 1
        checksum = np.full(count, constant, np.uint32)
        for place in range(_LENGTH):
            checksum ^= table[place][part[place : place + count]]
        masked = (checksum >> 15 | checksum << 17) + np.uint32(_MASK)
        found = np.zeros(count, np.uint32)
        for place in range(_FOOTER):
            found |= part[_LENGTH + place :][:count].astype(np.uint32) << (8 * place)
        yield from (at + np.flatnonzero(found == masked)).tolist()
        at, power = at + count, min(power + 1, _STRETCH[-1])


@lru_cache(maxsize=1)
def _tables() -> tuple[np.ndarray, int]:
    """The checksum of eight bytes is a constant exclusive-or a number of each byte."""
    constant = google_crc32c.value(bytes(_LENGTH))
    numbers = [
        [
            google_crc32c.value(bytes(place) + bytes((byte,)) + bytes(_LENGTH - 1 - place))
            ^ constant
            for byte in range(256)
        ]
        for place in range(_LENGTH)
    ]
    return np.array(numbers, np.uint32), constant
