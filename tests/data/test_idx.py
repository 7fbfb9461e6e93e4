"""The IDX reader against good files, a generated corpus of damaged ones, and liars."""

import gzip
import random
import struct
import tracemalloc

import numpy as np
import pytest

from mlr.checks import InputError
from mlr.data import idx

from .support import TYPE_BYTES, idx_bytes

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
    path = write(gzip.compress(content[:11]) + gzip.compress(content[11:]))
    assert (idx.read(path) == IMAGES).all()


GOOD = idx_bytes(IMAGES)
PACKED = gzip.compress(GOOD)
DAMAGED = {
    "empty": (b"", "is empty"),
    "three bytes": (b"\0\0\x08", "is truncated: 3 bytes are less than an IDX header"),
    "html": (b"<!DOCTYPE html><html>404</html>", "is an HTML or XML page, not data"),
    "html in gzip": (gzip.compress(b"\n <html>"), "is an HTML or XML page, not data"),
    "png": (b"\x89PNG\r\n\x1a\n", "is no IDX file: it begins with the bytes 89 50 4e 47"),
    "little endian": (b"\3\x08\0\0" + GOOD[4:], "is no IDX file: it begins with"),
    "unknown type": (b"\0\0\x0a\3" + GOOD[4:], "type 0x0a; IDX knows 0x08, 0x09, 0x0b"),
    "no dimensions": (b"\0\0\x08\0" + GOOD[4:], "declares 0 dimensions"),
    "255 dimensions": (b"\0\0\x08\xff" + GOOD[4:], "declares 255 dimensions"),
    "cut in the header": (GOOD[:10], "ends after 10 bytes, within its header of 16 bytes"),
    "cut in the data": (GOOD[:-5], "declares 2×3×4 values, 24 bytes, but 19 bytes follow"),
    "only a header": (GOOD[:16], "24 bytes, but 0 bytes follow"),
    "no examples": (idx_bytes(IMAGES[:0]), "declares 0×3×4 values: it holds no data"),
    "trailing byte": (GOOD + b"\0", "goes on after the 24 bytes that its header declares"),
    "trailing in gzip": (gzip.compress(GOOD + b"x"), "goes on after the 24 bytes"),
    "huge": (b"\0\0\x08\3" + b"\xff" * 12, "truncated or its header is damaged: it declares 7922"),
    "gzip cut": (PACKED[:-12], "is damaged and cannot be gunzipped: "),
    "gzip without end": (PACKED[:-8], "is damaged and cannot be gunzipped: "),
    "gzip checksum": (PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], "gunzipped: CRC check failed"),
    "gzip magic only": (b"\x1f\x8b", "is damaged and cannot be gunzipped: "),
    "gzip method": (b"\x1f\x8b\7" + PACKED[3:], "gunzipped: Unknown compression method"),
    "gzip and garbage": (PACKED + b"garbage", "gunzipped: Not a gzipped file"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_is_named_and_described(case, write):
    content, message = DAMAGED[case]
    path = write(content)
    with pytest.raises(InputError) as caught:
        idx.read(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_every_cut_is_refused(write):
    for content in (GOOD, PACKED):
        for length in range(len(content)):
            path = write(content[:length])
            with pytest.raises(InputError, match="train-images-idx3-ubyte"):
                idx.read(path)


def test_random_damage_raises_nothing_but_an_input_error(write):
    """400 files with a few bytes changed, inserted or removed; what is read has a legal shape."""
    rng = random.Random(0)
    refused = 0
    for _ in range(400):
        content = bytearray(rng.choice([GOOD, PACKED]))
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(len(content))
            if rng.random() < 0.5:
                content[place] = rng.randrange(256)
            elif rng.random() < 0.5:
                content.insert(place, rng.randrange(256))
            else:
                del content[place]
        path = write(content)
        try:
            found, complaint = idx.read(path), None
        except InputError as error:
            found, complaint = None, str(error)
        assert str(path) in complaint if complaint else 0 not in found.shape
        refused += complaint is not None
    assert refused > 250


def test_a_gzip_bomb_is_not_unpacked(write):
    """64 MB of zeros behind a header that declares ten bytes: only those are decoded."""
    header = struct.pack(">BBBBI", 0, 0, 8, 1, 10)
    path = write(gzip.compress(header + bytes(64 * 2**20), compresslevel=1))
    tracemalloc.start()
    with pytest.raises(InputError, match="goes on after the 10 bytes"):
        idx.read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 2**20


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(InputError, match=r"nothing-here does not exist\."):
        idx.read(tmp_path / "nothing-here")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        idx.read(tmp_path)
