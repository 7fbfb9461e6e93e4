"""Damaged event files lose the damaged record and no other."""

from __future__ import annotations

import random
import time
from itertools import pairwise

import google_crc32c
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event

from mlr.core.durable import atomic_write
from mlr.records.encoding import event, record, scalar_records
from mlr.records.eventfile import MOST, payload, repaired, spans
from mlr.records.events import EventWriter

VERSION = record(event(1000.0, 0, 3, b"brain.Event:2"))


def records(count=60, seed=0):
    """A file's records, of many lengths."""
    numbers = np.random.default_rng(seed)
    times = np.arange(count) + 1000.0
    rows = scalar_records(np.arange(count), ("loss/train", "a"), numbers.random((count, 2)), times)
    odd = [record(event(1000.0, step, 15, bytes(step * 37 % 500))) for step in range(0, count, 7)]
    return [VERSION, *rows, *odd]


def kept(content):
    return [content[span.start : span.end] for span in spans(content) if span.whole]


def flipped(content, bit):
    other = bytearray(content)
    other[bit // 8] ^= 1 << bit % 8
    return bytes(other)


def assert_only_damage_is_lost(whole, damaged, lost):
    """`lost` are the numbers of the records that may be."""
    assert kept(damaged) == [one for place, one in enumerate(whole) if place not in lost]
    found = list(spans(damaged))
    assert found[0].start == 0
    assert found[-1].end == len(damaged)
    assert all(one.end == other.start for one, other in pairwise(found))
    mended = repaired(damaged)
    assert len(mended) == len(damaged)
    assert all(span.whole for span in spans(mended))
    events = [Event.FromString(payload(mended, span)) for span in spans(mended)]
    assert events[0].file_version == "brain.Event:2"
    assert events[0].wall_time == 1000.0  # TensorBoard counts from the file's first
    assert repaired(mended) == mended


def owner(whole, byte):
    """The number of the record that holds a byte."""
    ends = np.cumsum([len(one) for one in whole])
    return int(np.searchsorted(ends, byte, side="right"))


@pytest.mark.parametrize("seed", range(3))
def test_a_flipped_bit_loses_its_record_only(seed):
    whole, chance = records(seed=seed), random.Random(seed)
    content = b"".join(whole)
    assert kept(content) == whole
    assert repaired(content) == content
    for bit in chance.sample(range(8 * len(content)), 60):
        assert_only_damage_is_lost(whole, flipped(content, bit), {owner(whole, bit // 8)})


def test_several_damaged_records_lose_these_only():
    whole, chance = records(), random.Random(7)
    content = b"".join(whole)
    for _ in range(40):
        bits = chance.sample(range(8 * len(content)), 4)
        damaged = content
        for bit in bits:
            damaged = flipped(damaged, bit)
        assert_only_damage_is_lost(whole, damaged, {owner(whole, bit // 8) for bit in bits})


def test_every_truncation_keeps_what_is_there():
    whole = records(12)
    content, ends = b"".join(whole), np.cumsum([len(one) for one in whole])
    for size in range(len(content)):
        there = int(np.searchsorted(ends, size, side="right"))
        assert kept(content[:size]) == whole[:there]
        assert kept(repaired(content[:size]))[:there] == whole[:there]
        assert all(span.whole for span in spans(repaired(content[:size])))


@pytest.mark.parametrize("missing", [1, 5, 11, 12, 40])
def test_missing_bytes_lose_their_record_only(missing):
    whole = records()
    start = sum(map(len, whole[:9])) + 3
    content = b"".join(whole)
    damaged = content[:start] + content[start + missing :]
    assert kept(damaged) == whole[:9] + whole[10:]
    assert kept(repaired(damaged))[:9] == whole[:9]
    assert kept(repaired(damaged))[-10:] == whole[-10:]


@pytest.mark.parametrize("room", [*range(0, 8), 127, 128, 129, 130, 131, 132, 200, 16400])
def test_records_of_every_length_are_mended(room):
    lost = record(bytes(room))
    content = VERSION + lost + VERSION
    damaged = flipped(content, 8 * (len(VERSION) + 8))
    mended = repaired(damaged)
    assert len(mended) == len(content) or room == 1  # of one byte no message can be
    events = [Event.FromString(payload(mended, span)) for span in spans(mended)]
    assert [one.file_version for one in events][:: len(events) - 1] == ["brain.Event:2"] * 2


def header(length):
    checksum = google_crc32c.value(length.to_bytes(8, "little"))
    masked = ((checksum >> 15 | checksum << 17) + 0xA282EAD8) % (1 << 32)
    return length.to_bytes(8, "little") + masked.to_bytes(4, "little")


HOSTILE = {
    "random": random.Random(0).randbytes(1 << 20),
    "zeros": bytes(1 << 20),
    "headers of what is too long": header(MOST + 1) * (1 << 15),
    "headers of half the file": header(1 << 18) * (1 << 15),
    "headers that follow each other": header(20) * (1 << 14),
    "headers of short records": header(9) * (1 << 14),
    "a length of 64 bits": b"\xff" * 8 + bytes(100),
    "text": b"<html>404</html>",
    "nothing": b"",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_take_linear_time(name):
    content = HOSTILE[name]
    began = time.process_time()
    assert kept(content) == []
    assert kept(VERSION + content + VERSION)[0] == VERSION
    assert time.process_time() - began < 5  # a second or less; where it is squared, hours


@pytest.mark.parametrize("more", [0, 1])
def test_of_false_records_as_many_bytes_are_read_as_the_file_has(more):
    """Two headers claim half of it each; one byte more, and nothing behind them is looked for."""
    rest = 500 - 1 - 24 - len(VERSION)
    claims = [250 - 16, 250 - 16 + more]
    content = b"x" + b"".join(map(header, claims)) + b"y" * rest + VERSION
    assert len(content) == 500
    assert kept(content) == ([] if more else [VERSION])


def test_tensorboard_reads_what_was_mended(tmp_path):
    """One that waits at the end of the file finds its place again; one that comes later reads all.

    One that has stopped keeps the bytes at which it did, and has to be started anew.
    """
    writer = EventWriter(tmp_path)
    times = np.arange(40) + 1000.0
    writer.scalars(np.arange(40), ["a"], np.arange(40.0)[:, None], times)
    writer.flush()
    content = writer.path.read_bytes()
    ninth = list(spans(content))[10]
    waiting = EventAccumulator(str(tmp_path), {"scalars": 0})
    waiting.Reload()
    writer.path.write_bytes(flipped(content, 8 * ninth.start + 90))
    stopped = EventAccumulator(str(tmp_path), {"scalars": 0})
    stopped.Reload()
    assert [one.step for one in stopped.Scalars("a")] == [*range(9)]
    atomic_write(writer.path, repaired(writer.path.read_bytes()))
    writer.scalars(np.arange(40, 50), ["a"], np.arange(40.0, 50)[:, None], times[:10])
    writer.flush()
    waiting.Reload()
    later = EventAccumulator(str(tmp_path), {"scalars": 0})
    later.Reload()
    assert [one.step for one in waiting.Scalars("a")] == [*range(50)]
    assert [one.step for one in later.Scalars("a")] == [step for step in range(50) if step != 9]
