"""Damaged files of every format: refused in one line, or read as what they hold; never else."""

import gzip
import io
import struct
import time
import tracemalloc
import warnings
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import currently_in_test_context, event, given

from mlr.core.checks import DataError, InputError
from mlr.data import Csv, Idx, Mnist, Npz, files, idx, validate
from mlr.data.faults import DataWarning
from tests.data import damage
from tests.data.support import idx_bytes, write_idx_folder
from tests.fuzzing import fuzzed

pytestmark = pytest.mark.fuzz


def refusal(path: Path, load, options: bool = False) -> DataError | InputError | None:
    """Why `load` refuses a file, after a look at how it says so; None if it takes it."""
    beside, refused = sorted(path.parent.iterdir()), None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # absent classes, shared rows
            load()
    except InputError as error:
        refused = error
    assert sorted(path.parent.iterdir()) == beside
    if currently_in_test_context():
        event("taken" if refused is None else "refused")
    if refused is not None:
        text = str(refused)
        assert type(refused) is DataError or options, text
        assert len(text) <= 195, text
        assert text.isprintable(), text
        assert path.name[-12:] in text or "data=" in text or "data." in text, text
    return refused


@fuzzed(180)
@given(content=damage.idx_content())
def test_idx(content, tmp_path):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    if refusal(path, lambda: idx.read(path)) is None:
        assert idx_bytes(idx.read(path)) == content


@fuzzed(180)
@given(content=damage.gzip_content())
def test_gzip(content, tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(content)
    if refusal(path, lambda: idx.read(path)) is None:
        unpacked = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        assert idx_bytes(idx.read(path)) == unpacked


@fuzzed(160)
@given(content=damage.npz_content())
def test_npz(content, tmp_path):
    path = tmp_path / "own.npz"
    path.write_bytes(content)
    source = Npz(path=path, scale="none")
    if refusal(path, lambda: source.load(0), options=True) is None:
        # an independent reader finds the same numbers
        with np.load(path, allow_pickle=False) as arrays:
            x, y = arrays["x"], arrays["y"]
        data = source.load(0)
        found = np.concatenate([s.features.flatten() for s in (data.train, data.val, data.test)])
        assert sorted(found.tolist()) == sorted(x.astype(np.float32).ravel().tolist())
        assert sum(len(s) for s in (data.train, data.val, data.test)) == len(y)


@fuzzed(160)
@given(content=damage.csv_content())
def test_csv(content, tmp_path):
    path = tmp_path / "own.csv"
    path.write_bytes(content)
    source = Csv(path=path, scale="none")
    if refusal(path, lambda: source.load(0), options=True) is None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            data = source.load(0)
        text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        lines = [line for line in text.split("\n") if line]
        assert sum(len(s) for s in (data.train, data.val, data.test)) <= len(lines) - 1
        assert all(s.features.isfinite().all() for s in (data.train, data.val, data.test))


@fuzzed(160)
@given(labels=damage.labels())
def test_targets(labels, tmp_path):
    path = tmp_path / "own.npz"
    np.savez(path, x=np.arange(120.0).reshape(60, 2), y=labels)
    for classes in (None, 3):
        source = Npz(path=path, classes=classes, scale="none")
        if refusal(path, lambda source=source: source.load(0)) is None:
            assert labels.shape == (60,)
            found, count = validate.class_labels("x", labels, classes)
            assert found.tolist() == labels.tolist()
            assert 0 <= found.min() <= found.max() < count


@fuzzed(40)
@given(labels=damage.labels())
def test_labels_of_idx_files(labels, tmp_path):
    folder = tmp_path / "idx"
    write_idx_folder(folder, classes=3)
    if labels.dtype.str[1:] not in ("u1", "i1", "f4", "f8"):
        labels = labels.astype("f4") if labels.dtype.kind in "iuf" else np.zeros((60, 1), "f4")
    path = folder / "train-labels-idx1-ubyte"
    path.write_bytes(idx_bytes(labels))
    if refusal(path, lambda: Idx(root=folder).load(0)) is None:
        assert labels.shape == (60,)
        assert set(labels.tolist()) == {0, 1, 2}


@cache
def bombs() -> dict[str, bytes]:
    """Files of a few hundred kilobytes at most that declare, or unpack to, very much more."""
    zeros, header = bytes(32 * 2**20), struct.pack(">BBBB2I", 0, 0, 8, 2, 2**10, 2**15)
    far = struct.pack(">BBBB3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1)
    found = {
        "raw.idx": far + bytes(1000),
        "far.idx.gz": gzip.compress(far + zeros, 1),
        "short.idx.gz": gzip.compress(header[:4] + bytes([0, 0, 0, 1, 0, 0, 0, 9]) + zeros, 1),
        "members.idx.gz": gzip.compress(b"") * 20_000,
    }
    for name, content in {
        "header.npz": b"\x93NUMPY\2\0" + b"\xff" * 4 + zeros,
        "tail.npz": damage.npy(np.zeros((40, 2)), "<f8", "False", "(40, 2)") + zeros,
        "shape.npz": damage.npy(np.zeros(1), "<f8", "False", "(40000000000, 2)") + zeros,
    }.items():
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.npy", content)
            archive.writestr("y.npy", damage.npy(np.zeros(40), "<f8", "False", "(40,)"))
            archive.writestr("not_asked_for.npy", zeros)
        found[name] = buffer.getvalue()
    found["line.csv"] = b"a,label\n" + b"1" * (5 * 2**20)
    found["names.csv"] = b"a," * 300_000 + b"label\n1,2\n"
    return found


BOMBS = (
    *("raw.idx", "far.idx.gz", "short.idx.gz", "members.idx.gz", "header.npz", "tail.npz"),
    *("shape.npz", "line.csv", "names.csv"),
)


def test_every_bomb_is_named():
    assert {*bombs()} == {*BOMBS}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_take_no_memory_and_no_time(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(bombs()[name])
    readers = {".npz": Npz(path=path), ".csv": Csv(path=path)}
    load = (lambda: readers[path.suffix].load(0)) if path.suffix in readers else None
    began = time.process_time()
    tracemalloc.start()
    try:
        assert refusal(path, load or (lambda: idx.read(path)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # a line of a table is read whole before it is judged, names are kept as texts
    assert peak < (64 if path.suffix == ".csv" else 4) * 2**20
    assert time.process_time() - began < 3


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """A cache that is complete, and the smallest file in it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "mlr" / "mnist"
    folder.parent.mkdir()
    write_idx_folder(folder, packed=True)
    hashes = {path.name: files.digest(path) for path in folder.iterdir()}
    monkeypatch.setattr(Mnist, "hashes", {name: hashes[name] for name in Mnist.hashes})
    monkeypatch.setattr(Mnist, "unpacked", ())
    return folder / "t10k-labels-idx1-ubyte.gz"


def test_every_bit_flip_and_every_cut_of_the_cache_is_refused(cached):
    """And mended where downloads are allowed, which tests of the download show."""
    source, content = Mnist(download=False, val_size=20), cached.read_bytes()
    assert len(source.load(0).test) == 20
    flips = (bytearray(content) for _ in range(8 * len(content)))
    damaged = [content[:length] for length in range(len(content))] + [content + b"\0"]
    for bit, flipped in enumerate(flips):
        flipped[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(flipped))
    for wrong in damaged:
        cached.write_bytes(wrong)
        with pytest.raises(
            DataError, match=r"t10k-labels.* is missing or damaged, .* put it there"
        ):
            source.load(0)


def test_a_file_put_beside_the_cache_is_not_trusted(cached, monkeypatch):
    raw = cached.with_suffix("")
    raw.write_bytes(gzip.decompress(cached.read_bytes())[:-1] + b"\x01")
    monkeypatch.setattr(Mnist, "unpacked", ("0" * 64,))
    with pytest.raises(DataError, match="is not the file that was published"):
        Mnist(download=False, val_size=20).load(0)
