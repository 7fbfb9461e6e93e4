"""The IDX reader against good files, damaged ones and liars; folders of such files."""

import gzip
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from mlr.core.checks import DataError, InputError
from mlr.data import Idx, Mnist, files, idx
from mlr.data.faults import DataWarning
from mlr.data.files import opened
from tests.data.support import TYPE_BYTES, idx_bytes, publish, write_idx_folder

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
HUGE_AND_EMPTY = b"\0\0\x0e\x08" + b"".join(
    one.to_bytes(4, "big") for one in (1, 1, 1, 2, 0x3FF00000, 0, 0x3FF00000, 0)
)
FAR = b"\0\0\x08\3" + b"\xff" * 12
DAMAGED = {
    "empty": (b"", "is no IDX file: it begins with b''"),
    "three bytes": (b"\0\0\x08", r"is no IDX file: it begins with b'\x00\x00\x08'"),
    "html": (b"<!DOCTYPE html><html>404</html>", "is no IDX file: it begins with b'<!DO'"),
    "html in gzip": (gzip.compress(b"<html>"), "is no IDX file: it begins with b'<htm'"),
    "little endian": (b"\3\x08\0\0" + GOOD[4:], "is no IDX file"),
    "unknown type": (b"\0\0\x0a\3" + GOOD[4:], "is no IDX file"),
    "no dimensions": (b"\0\0\x08\0" + GOOD[4:], "has a damaged header: 0 dimensions"),
    "255 dimensions": (b"\0\0\x08\xff" + GOOD[4:], "has a damaged header: 255 dimensions"),
    "cut in the header": (GOOD[:9], "has a damaged header: 3 dimensions"),
    "cut in the data": (GOOD[:-5], "declares 2×3×4 values, 24 bytes, but 19 bytes follow"),
    "only a header": (GOOD[:16], "24 bytes, but 0 bytes follow"),
    "trailing byte": (GOOD + b"\0", "declares 2×3×4 values, 24 bytes, but more follow"),
    "trailing in gzip": (gzip.compress(GOOD + b"x"), "24 bytes, but more follow"),
    "empty and huge": (HUGE_AND_EMPTY, "has a damaged header: 8 dimensions"),
    "huge": (FAR, "has a damaged header: 3 dimensions and 7.923e+28 bytes"),
    "huge in gzip": (gzip.compress(FAR), "has a damaged header: 3 dimensions and 7.923e+28 bytes"),
    "gzip cut": (PACKED[:-12], "is damaged and cannot be gunzipped: "),
    "gzip without end": (PACKED[:-8], "is damaged and cannot be gunzipped: "),
    "gzip checksum": (PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], "gunzipped: CRC check failed"),
    "gzip magic only": (b"\x1f\x8b", "is damaged and cannot be gunzipped: "),
    "gzip method": (b"\x1f\x8b\7" + PACKED[3:], "gunzipped: Unknown compression method"),
    "gzip length": (PACKED[:-4] + b"\1\0\0\0", "gunzipped: Incorrect length of data"),
    "a second gzip": (PACKED + PACKED, "24 bytes, but more follow"),
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
    with pytest.raises(DataError, match="10 bytes, but more follow"):
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
    raw, packed = write(GOOD, "raw"), write(gzip.compress(GOOD * 2), "packed")
    assert files.MOST_BYTES == 4_294_967_296
    monkeypatch.setattr(idx, "MOST_BYTES", 40)
    assert idx.read(raw).size == 24
    monkeypatch.setattr(idx, "MOST_BYTES", 39)
    with pytest.raises(DataError, match="has 40 bytes; 39 are the most that is read"):
        idx.read(raw)
    monkeypatch.setattr(idx, "opened", lambda path, most: opened(path, 1000))
    monkeypatch.setattr(idx, "MOST_BYTES", 23)
    with pytest.raises(DataError, match="has a damaged header: 3 dimensions and 24 bytes"):
        idx.read(packed)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["raw", "gz"])
def test_files_longer_than_a_piece_are_read_whole(pack, write):
    values = np.random.default_rng(0).integers(0, 256, 2**21 + 5).astype(np.uint8)
    assert (idx.read(write(pack(idx_bytes(values)))) == values).all()


def test_arrays_have_at_most_eight_dimensions(write):
    values = np.arange(6, dtype=np.uint8).reshape(2, 1, 1, 1, 1, 1, 1, 3)
    assert (idx.read(write(idx_bytes(values))) == values).all()
    with pytest.raises(DataError, match="has a damaged header: 9 dimensions"):
        idx.read(write(idx_bytes(values[None])))


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(DataError, match="is not a file: a folder, a pipe or a device"):
            idx.read(path)


@pytest.fixture
def folder(tmp_path):
    return write_idx_folder(tmp_path / "own")


def put(folder, name, values):
    (folder / name).write_bytes(idx_bytes(np.asarray(values)))


def test_reads_raw_and_packed_alike(tmp_path, folder):
    packed = write_idx_folder(tmp_path / "packed", packed=True)
    one, other = (Idx(root=root, val_fraction=0.2).load(0) for root in (folder, packed))
    assert one.train.features.equal(other.train.features)
    assert one.feature_shape == (1, 4, 5)
    assert one.classes == 10
    assert [len(s) for s in (one.train, one.val, one.test)] == [48, 12, 20]


def test_without_t10k_the_test_is_split_off(tmp_path):
    data = Idx(root=write_idx_folder(tmp_path / "own", n_train=100, n_test=0)).load(0)
    assert [len(s) for s in (data.train, data.val, data.test)] == [70, 10, 20]


def test_classes_are_alike_in_all_splits(tmp_path):
    data = Idx(root=write_idx_folder(tmp_path / "own", n_train=100, n_test=0)).load(0)
    for split, count in ((data.train, 7), (data.val, 1), (data.test, 2)):
        assert split.targets.bincount().tolist() == [count] * 10


def test_test_images_that_are_in_training_too_are_told(folder):
    images = (np.arange(1200) % 251).astype(np.uint8).reshape(60, 4, 5)
    put(folder, "train-images-idx3-ubyte", images)
    put(folder, "t10k-images-idx3-ubyte", images[:20])
    with pytest.warns(DataWarning, match=r"^data=idx: 20 of 20 test examples are training"):
        Idx(root=folder, val_fraction=0.2).load(0)


def test_raw_is_taken_where_both_are(folder):
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(b"no matter")
    Idx(root=folder, val_fraction=0.2).load(0)


def test_a_dot_in_the_name_is_as_good(folder):
    for path in list(folder.iterdir()):
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    Idx(root=folder, val_fraction=0.2).load(0)


def test_colour_images_and_vectors_and_floats(folder):
    put(folder, "train-images-idx3-ubyte", np.arange(3600).reshape(60, 3, 4, 5).astype(np.uint8))
    put(folder, "t10k-images-idx3-ubyte", np.zeros((20, 3, 4, 5), np.uint8))
    assert Idx(root=folder, val_fraction=0.2).load(0).feature_shape == (3, 4, 5)
    put(folder, "train-images-idx3-ubyte", np.tile(np.float32([[-4], [4]]), (30, 6)))
    put(folder, "t10k-images-idx3-ubyte", np.full((20, 6), 2, np.float32))
    data = Idx(root=folder, val_fraction=0.2).load(0)
    assert data.train.features.unique().tolist() == [-1.0, 1.0]
    assert data.test.features.unique().tolist() == [0.5]


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("train-labels-idx1-ubyte", np.zeros(59, np.uint8), "60 examples but 59 targets"),
        ("train-labels-idx1-ubyte", np.arange(60, dtype=np.uint8) % 10 + 1, "y - 1"),
        ("t10k-labels-idx1-ubyte", np.full(20, 10, np.uint8), "t10k-labels.*label 10 .* 0 to 9"),
        ("train-labels-idx1-ubyte", np.zeros((60, 1), np.uint8), r"labels of shape \(60, 1\)"),
        ("train-images-idx3-ubyte", np.zeros(60, np.uint8), r"features of shape \(60,\); they"),
        (
            "t10k-images-idx3-ubyte",
            np.zeros((20, 2, 2), np.uint8),
            r"\(1, 2, 2\), the training split",
        ),
        (
            "train-labels-idx1-short",
            np.zeros(60, np.int16),
            "holds 2 files train-labels-",
        ),
        ("train-images-idx3-ubyte", np.full((60, 2, 2), np.nan, np.float32), "not finite"),
    ],
)
def test_files_that_do_not_fit_are_refused(name, values, message, folder):
    put(folder, name, values)
    with pytest.raises(InputError, match=message):
        Idx(root=folder, val_fraction=0.2).load(0)


def test_missing_files_and_folders_are_named(folder, tmp_path):
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(InputError, match=r"own holds no files t10k-labels-.*\.gz; put"):
        Idx(root=folder).load(0)
    with pytest.raises(InputError, match=r"data\.root=.*nowhere is not there; give the folder"):
        Idx(root=tmp_path / "nowhere").load(0)
    with pytest.raises(InputError, match="is not a folder"):
        Idx(root=folder / "t10k-images-idx3-ubyte").load(0)
    with pytest.raises(InputError, match=r"data\.root is not set: .*data\.root=PATH"):
        Idx()


def test_more_classes_than_occur_can_be_stated(folder):
    with pytest.warns(UserWarning, match="2 of 12 classes have no training example: 10, 11"):
        assert Idx(root=folder, classes=12, val_fraction=0.2).load(0).classes == 12


@pytest.mark.parametrize(
    ("packed", "raw", "refused"),
    [("", "", ""), ("a", "", "c"), ("", "b", "d"), ("a", "b", "cd"), ("ab", "", "c")],
)
def test_only_published_files_are_taken(packed, raw, refused, tmp_path):
    """Raw files are taken as they are where only hashes of packed ones are known.

    Each letter is a folder: a and c of packed files, b and d of raw ones.
    """
    folders = {}
    for name, classes in zip("abcd", (2, 2, 3, 3), strict=True):
        folders[name] = write_idx_folder(tmp_path / name, packed=name in "ac", classes=classes)
    known = {
        name: [files.digest(path) for path in sorted(folder.iterdir())]
        for name, folder in folders.items()
    }
    hashes = [[digest for name in names for digest in known[name]] for names in (packed, raw)]
    for name, folder in folders.items():
        if name in refused:
            with pytest.raises(DataError, match="is not the file that was published"):
                idx.read_folder(folder, None, *hashes)
        else:
            idx.read_folder(folder, None, *hashes)


def test_mnist_needs_all_four_files(tmp_path, monkeypatch):
    folder = publish(monkeypatch, Mnist, write_idx_folder(tmp_path / "own", n_test=0))
    with pytest.raises(InputError, match="holds no t10k-images"):
        Mnist(root=folder, val_size=10).load(0)
