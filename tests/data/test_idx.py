"""The IDX reader against good files, a generated corpus of damaged ones, and liars."""

import gzip
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from mlr.core.checks import DataError
from mlr.data import files, idx
from mlr.data.files import opened
from tests.data.support import TYPE_BYTES, idx_bytes

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


@pytest.fixture
def write(tmp_path):
    def to_file(content, name="train-images-idx3-ubyte"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return to_file


@pytest.mark.parametrize("kind", TYPE_BYTES)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["raw", "gz"])
def test_every_type_is_read_big_endian(kind, pack, write):
    values = np.array([[0, 1, -2], [100, 7, 3]]).astype(kind)
    found = idx.read(write(pack(idx_bytes(values))))
    assert found.dtype == np.dtype(kind)
    assert found.dtype.isnative
    assert (found == values).all()


def test_two_byte_numbers_by_hand(write):
    content = bytes([0, 0, 0x0B, 1, 0, 0, 0, 2, 0x01, 0x00, 0xFF, 0xFE])
    assert idx.read(write(content)).tolist() == [256, -2]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["raw", "gz"])
def test_the_content_decides_not_the_name(pack, write):
    """Browsers unpack downloads and keep the name's .gz, or the other way round."""
    for name in ("a.gz", "a"):
        assert (idx.read(write(pack(idx_bytes(IMAGES)), name)) == IMAGES).all()


def test_members_of_a_gzip_file_are_joined(write):
    content = idx_bytes(IMAGES)
    path = write(gzip.compress(content[:11]) + gzip.compress(content[11:]) + bytes(100))
    assert (idx.read(path) == IMAGES).all(), (
        "zeros that a tape or a disk padded it with are no data"
    )


GOOD = idx_bytes(IMAGES)
PACKED = gzip.compress(GOOD)
DAMAGED = {
    "empty": (b"", "is empty"),
    "three bytes": (b"\0\0\x08", "is truncated: 3 bytes are less than an IDX header"),
    "html": (b"<!DOCTYPE html><html>404</html>", "is an HTML or XML page, not data"),
    "html in gzip": (gzip.compress(b"\n <html>"), "is an HTML or XML page, not data"),
    "png": (b"\x89PNG\r\n\x1a\n", "is not an IDX file: it begins with the bytes 89 50 4e 47"),
    "little endian": (b"\3\x08\0\0" + GOOD[4:], "is not an IDX file: it begins with"),
    "unknown type": (b"\0\0\x0a\3" + GOOD[4:], "type 0x0a; IDX knows 0x08, 0x09, 0x0b"),
    "no dimensions": (b"\0\0\x08\0" + GOOD[4:], "declares 0 dimensions"),
    "255 dimensions": (b"\0\0\x08\xff" + GOOD[4:], "declares 255 dimensions"),
    "cut in the header": (GOOD[:10], "ends after 10 bytes, within its header of 16 bytes"),
    "cut in the data": (GOOD[:-5], "declares 2×3×4 values, 24 bytes, but 19 bytes follow"),
    "only a header": (GOOD[:16], "24 bytes, but 0 bytes follow"),
    "no examples": (idx_bytes(IMAGES[:0]), "declares 0×3×4 values: it holds no data"),
    "trailing byte": (GOOD + b"\0", "goes on after the 24 bytes that its header declares"),
    "trailing in gzip": (gzip.compress(GOOD + b"x"), "goes on after the 24 bytes"),
    "huge": (
        b"\0\0\x08\3" + b"\xff" * 12,
        "is truncated: its header declares 4294967295×4294967295×4294967295",
    ),
    "gzip cut": (PACKED[:-12], "is damaged and cannot be gunzipped: "),
    "gzip without end": (PACKED[:-8], "is damaged and cannot be gunzipped: "),
    "gzip checksum": (PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], "gunzipped: CRC check failed"),
    "gzip magic only": (b"\x1f\x8b", "is damaged and cannot be gunzipped: "),
    "gzip method": (b"\x1f\x8b\7" + PACKED[3:], "gunzipped: Unknown compression method"),
    "huge in gzip": (
        gzip.compress(b"\0\0\x08\3" + b"\xff" * 12),
        "its header is damaged: it declares 7.923e+28 bytes",
    ),
    "gzip length": (PACKED[:-4] + b"\1\0\0\0", "gunzipped: Incorrect length of data"),
    "a second gzip": (PACKED + PACKED, "goes on after the 24 bytes"),
    "gzip and garbage": (PACKED + b"garbage", "gunzipped: Not a gzipped file"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_is_named_and_described(case, write):
    content, message = DAMAGED[case]
    path = write(content)
    with pytest.raises(DataError) as caught:
        idx.read(path)
    assert message in str(caught.value)
    assert str(path)[-40:] in str(caught.value)
    assert len(str(caught.value)) <= 195
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_every_cut_is_refused(write):
    for content in (GOOD, PACKED):
        for length in range(len(content)):
            path = write(content[:length])
            with pytest.raises(DataError, match="train-images-idx3-ubyte"):
                idx.read(path)


def test_a_gzip_bomb_is_not_unpacked(write):
    """64 MB of zeros behind a header that declares ten bytes: only those are decoded."""
    header = struct.pack(">BBBBI", 0, 0, 8, 1, 10)
    path = write(gzip.compress(header + bytes(64 * 2**20), compresslevel=1))
    tracemalloc.start()
    with pytest.raises(DataError, match="goes on after the 10 bytes"):
        idx.read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 2**20


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(DataError, match=r"nothing-here does not exist\."):
        idx.read(tmp_path / "nothing-here")
    with pytest.raises(DataError, match="is not a file: a folder, a pipe or a device"):
        idx.read(tmp_path)


def test_what_is_declared_is_capped(write, monkeypatch):
    raw, packed = write(GOOD, "raw"), write(PACKED, "packed")
    monkeypatch.setattr(idx, "MOST_BYTES", 39)
    with pytest.raises(DataError, match="has 40 bytes; 39 are the most that is read"):
        idx.read(raw)
    monkeypatch.setattr(idx, "opened", lambda path, most: opened(path, 1000))
    assert idx.read(packed).size == 24
    monkeypatch.setattr(idx, "MOST_BYTES", 23)
    with pytest.raises(DataError, match="declares 24 bytes of values; 23 are the most"):
        idx.read(packed)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["raw", "gz"])
def test_files_longer_than_a_piece_are_read_whole(pack, write):
    values = np.random.default_rng(0).integers(0, 256, 2**21 + 5).astype(np.uint8)
    assert (idx.read(write(pack(idx_bytes(values)))) == values).all()


def test_as_much_as_is_allowed_is_read(write, monkeypatch):
    raw, packed = write(GOOD, "raw"), write(PACKED, "packed")
    monkeypatch.setattr(idx, "MOST_BYTES", 40)
    assert idx.read(raw).size == 24
    monkeypatch.setattr(idx, "opened", lambda path, most: opened(path, 1000))
    monkeypatch.setattr(idx, "MOST_BYTES", 24)
    assert idx.read(packed).size == 24


def test_arrays_have_at_most_eight_dimensions(write):
    values = np.arange(6, dtype=np.uint8).reshape(2, 1, 1, 1, 1, 1, 1, 3)
    assert (idx.read(write(idx_bytes(values))) == values).all()
    with pytest.raises(DataError, match="declares 9 dimensions; between 1 and 8 make sense"):
        idx.read(write(idx_bytes(values[None])))


def test_the_limits_of_an_array():
    assert (files.MOST_BYTES, files.BEST_RATIO) == (4_294_967_296, 1032)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(DataError, match="is not a file: a folder, a pipe or a device"):
            idx.read(path)
