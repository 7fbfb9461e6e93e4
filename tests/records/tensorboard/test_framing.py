"""Records of event files: split where they are intact, refused at the byte where they are not."""

from __future__ import annotations

import random

import numpy as np
import pytest

from mlr.records.tensorboard.encoding import event, scalar_records
from mlr.records.tensorboard.framing import record, records

VERSION = record(event(1000.0, 0, 3, b"brain.Event:2"))


def some_records(count=12):
    """A file's records, of many lengths."""
    times = np.arange(count) + 1000.0
    values = np.random.default_rng(0).random((count, 2))
    rows = scalar_records(np.arange(count), ("loss/train", "a"), values, times)
    odd = [record(event(1000.0, step, 15, bytes(step * 37 % 500))) for step in range(0, count, 7)]
    return [VERSION, *rows, *odd, record(b"")]


def test_records_are_split():
    whole = some_records()
    found = list(records(b"".join(whole)))
    assert [one.framed for one in found] == whole
    assert [one.payload for one in found] == [one[12:-4] for one in whole]
    assert [one.start for one in found] == [sum(map(len, whole[:at])) for at in range(len(whole))]
    assert list(records(b"")) == []


def read_until_damage(content):
    """The records before the damage, and where it is; None where there is none."""
    found = []
    try:
        found.extend(one.framed for one in records(content))
    except ValueError as error:
        return [], int(str(error).removeprefix("is damaged at byte ").replace(",", ""))
    return found, None


def test_every_flipped_bit_and_truncation_is_found_at_its_record():
    whole = some_records()
    content, ends = b"".join(whole), np.cumsum([len(one) for one in whole])
    starts = [0, *ends.tolist()]
    for bit in random.Random(0).sample(range(8 * len(content)), 500):
        other = bytearray(content)
        other[bit // 8] ^= 1 << bit % 8
        lost = int(np.searchsorted(ends, bit // 8, side="right"))
        assert read_until_damage(bytes(other)) == ([], starts[lost])
    for size in range(len(content)):
        at = int(np.searchsorted(ends, size, side="right"))
        expected = (whole[:at], None) if starts[at] == size else ([], starts[at])
        assert read_until_damage(content[:size]) == expected


@pytest.mark.parametrize(
    "content", [bytes(100), b"\xff" * 100, b"<html>404</html>", random.Random(0).randbytes(1 << 16)]
)
def test_anything_else_is_no_event_file(content):
    with pytest.raises(ValueError, match="is damaged at byte 0"):
        list(records(content))
