import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from mlr.core.checks import DataError, InputError
from mlr.data import Npz, npz_file
from mlr.data.faults import DataWarning
from tests.data.damage import npy

X, Y = np.arange(80.0).reshape(40, 2), np.arange(40) % 4


@pytest.fixture
def write(tmp_path):
    def to_file(**arrays):
        path = tmp_path / "own.npz"
        np.savez_compressed(path, **arrays)
        return path

    return to_file


def test_splits_what_the_file_does_not(write):
    data = Npz(path=write(x=X, y=Y), scale="none").load(0)
    assert [len(s) for s in (data.train, data.val, data.test)] == [24, 8, 8]
    assert data.classes == 4
    rows = (data.train.features[:, 0] / 2).long()
    assert torch.equal(data.train.targets, rows % 4)


def test_takes_the_splits_that_the_file_has(write):
    path = write(x=X, y=Y, x_test=-1 - X[:4], y_test=Y[:4])
    data = Npz(path=path, scale="none").load(0)
    assert [len(s) for s in (data.train, data.val, data.test)] == [32, 8, 4]
    path = write(a=X, b=Y, a_test=-1 - X[:4], b_test=Y[:4], a_val=-1 - X[:8], b_val=Y[:8])
    data = Npz(path=path, features="a", labels="b", scale="none").load(0)
    assert [len(s) for s in (data.train, data.val, data.test)] == [40, 8, 4]
    assert data.train.features.numpy().tolist() == X.tolist()


@pytest.mark.parametrize("part", ["val", "test"])
def test_examples_of_a_split_that_are_in_training_too_are_told(part, write):
    path = write(x=X, y=Y, **{f"x_{part}": X[:4], f"y_{part}": Y[:4]})
    with pytest.warns(DataWarning, match=f"^data=npz: 4 of 4 {part} examples are training"):
        Npz(path=path).load(0)


@pytest.mark.parametrize("shape", [(40,), (40, 3)])
def test_regression(shape, write):
    y = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
    data = Npz(path=write(x=X, y=y), task="regression", scale="none").load(0)
    assert data.classes is None
    # X counts from 0 in rows of 2, y from 1 in rows of K
    rows = data.train.features[:, 0].numpy() / 2
    assert data.train.targets.numpy().tolist() == y.reshape(40, -1)[rows.astype(int)].tolist()


@pytest.mark.parametrize("dtype", ["<f8", ">f4", "u1", ">i2"])
@pytest.mark.parametrize("shape", [(40, 2), (40, 3, 2), (40, 2, 3, 2)])
def test_arrays_in_columns_and_of_either_byte_order_are_read_alike(shape, dtype, write):
    x = (np.arange(np.prod(shape)) % 251).reshape(shape)
    y = np.arange(120).reshape(40, 3)
    path = write(x=np.asfortranarray(x.astype(dtype)), y=np.asfortranarray(y.astype(dtype)))
    data = Npz(path=path, task="regression", scale="none", order="given").load(0)
    assert data.train.features.tolist() == x[:24].tolist()
    assert data.test.features.tolist() == x[32:].tolist()
    assert data.train.targets.tolist() == y[:24].tolist()


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"x": X}, {}, r"Unknown data\.labels=y. Choose from x"),
        ({"X": X, "y": Y}, {}, r"Unknown data\.features=x. .*Choose from X, y"),
        ({"x": X, "y": Y[:-1]}, {}, "x has 40 examples but 39 labels"),
        ({"x": X[:, 0], "y": Y}, {}, r"x has shape \(40,\); .*a single feature is \(N, 1\)"),
        ({"x": X, "y": Y + 1}, {}, "none of class 0.*taken off"),
        ({"x": X, "y": Y * 2 - 3}, {}, "label -3 at index 0"),
        ({"x": X, "y": Y}, {"classes": 3}, r"label 3 at index 3 .*0\.\.2"),
        ({"x": X, "y": Y[:, None]}, {}, r"labels of shape \(40, 1\)"),
        ({"x": X * np.nan, "y": Y}, {}, "not finite in float32 in 24 of 24 rows"),
        ({"x": X + 0j, "y": Y}, {}, "'x' holds type complex128; only real numbers"),
        ({"x": X[:0], "y": Y[:0]}, {}, "has no training examples"),
        ({"x": X, "y": Y, "x_val": X}, {}, r"Unknown data\.labels=y_val. Did you mean"),
        (
            {"x": X, "y": Y, "x_val": X[:, :1], "y_val": Y},
            {},
            r"validation examples of shape \(1,\)",
        ),
        (
            {"x": X, "y": np.array(["a", "b"] * 20)},
            {},
            r"'y' holds type <U1; only real numbers are read: .* np\.unique\(y, return_inv",
        ),
        ({"x": X, "y": Y + 0.5}, {}, r"label 0\.5 at .* a whole number\. .* data\.task=regression"),
        ({"x": np.array([{}] * 40), "y": Y}, {}, "holds objects, which could be code"),
        ({"x": X, "y": np.ones((40, 1, 1))}, {"task": "regression"}, r"must be \(N,\) or \(N, K\)"),
        ({"x": X, "y": Y + np.inf}, {"task": "regression"}, "targets that are not finite"),
        ({"x": np.ones(()), "y": Y}, {}, r"x has shape \(\); features need one row an example"),
        ({"x": X, "y": np.ones(())}, {}, r"y has shape \(\); each example needs a target"),
        ({"x": X, "y": np.ones((40, 0))}, {"task": "regression"}, r"\(40, 0\); each example needs"),
        ({"x": X, "y": Y, "x_test": X[:, :0], "y_test": Y}, {}, r"test examples of shape \(0,\)"),
    ],
)
def test_bad_arrays_are_refused(arrays, options, message, write):
    with pytest.raises(InputError, match=message):
        Npz(path=write(**arrays), **options).load(0)


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"y": Y * 0}, {}, "labels up to 0 but none of class 1"),
        ({"y": Y[:-1]}, {}, "x has 40 examples but 39 labels"),
        ({"y": np.arange(40) // 39}, {}, "has only 1 of class 1: every class needs 3"),
        ({"y": Y + np.nan}, {"task": "regression"}, "targets that are not finite"),
        ({"y": Y, "x_test": X, "y_test": Y + 1}, {}, r"y_test has label 4 at index 3"),
        ({"y": Y, "x_val": X[:, :1], "y_val": Y}, {}, r"validation examples of shape \(1,\)"),
        ({"y": Y}, {}, r"is damaged: .*Bad CRC-32 for file .*x\.npy"),
    ],
)
def test_features_are_read_after_all_else_is_judged(arrays, options, message, tmp_path):
    """They may unpack to gigabytes; these would be found damaged by whoever reads them."""
    path = tmp_path / "own.npz"
    # longer than what is read to find its header
    x = np.arange(4000.0).reshape(40, 100) + 0.125
    np.savez(path, x=x, **arrays)
    content, last = path.read_bytes(), struct.pack("<d", 3999.125)
    assert content.count(last) == 1
    path.write_bytes(content.replace(last, struct.pack("<d", 0)))
    with pytest.raises(DataError, match=message):
        Npz(path=path, **options).load(0)


def test_the_order_of_the_file_is_that_of_the_splits_it_does_not_have(write):
    data = Npz(path=write(x=X, y=Y), order="given", scale="none").load(0)
    splits = (data.train, data.val, data.test)
    assert [split.features[:, 0].tolist() for split in splits] == [
        X[:24, 0].tolist(),
        X[24:32, 0].tolist(),
        X[32:, 0].tolist(),
    ]
    path = write(x=X, y=Y, x_test=-1 - X[:4], y_test=Y[:4])
    data = Npz(path=path, order="given", scale="none", val_fraction=0.1).load(0)
    assert data.train.features.tolist() == X[:36].tolist()
    assert data.val.targets.tolist() == Y[36:].tolist()
    assert data.test.features.tolist() == (-1 - X[:4]).tolist()


def test_bad_files_are_refused(write, tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.npz does not exist; .*data\.path=FILE"):
        Npz(path=tmp_path / "nowhere.npz").load(0)
    path = tmp_path / "own.npy"
    np.save(path, X)
    with pytest.raises(
        InputError, match=r"own\.npy is not an \.npz file: write one with numpy\.savez"
    ):
        Npz(path=path).load(0)
    path = write(x=X, y=Y)
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"own\.npz"):
        Npz(path=path).load(0)


def test_every_cut_is_an_input_error(write):
    path = write(x=X, y=Y)
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"own\.npz"):
            Npz(path=path).load(0)


def test_options(tmp_path):
    with pytest.raises(InputError, match=r"data\.path is not set: name the \.npz file"):
        Npz()
    with pytest.raises(InputError, match=r"data\.classes=3 makes no sense with data\.task=regr"):
        Npz(path="x.npz", task="regression", classes=3)
    with pytest.raises(InputError, match=r"data\.classes=1 must be a whole number of at least 2"):
        Npz(path="x.npz", classes=1)
    for name, value in (("path", ""), ("path", 5)):
        with pytest.raises(InputError, match=rf"data\.path={value}.* must be the path of the"):
            Npz(**{name: value})
    for name in ("features", "labels"):
        for value in ("", 5):
            with pytest.raises(InputError, match=rf"data\.{name}={value}.* must be a text that"):
                Npz(path="x.npz", **{name: value})
    assert Npz(path="~/x.npz").path == Path.home() / "x.npz"
    with pytest.raises(InputError, match=r"data\.path=~nobody-here/x names a home folder that"):
        Npz(path="~nobody-here/x")


def test_a_list_that_promises_more_than_is_packed(tmp_path):
    """The array's header and the archive's list agree, and the packed bytes are too few."""
    path = tmp_path / "own.npz"
    content = npy(X, "<f8", "False", "(50, 2)")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", content)
        archive.writestr("y.npy", npy(Y, "<i8", "False", "(40,)"))
    short, long = (struct.pack("<I", len(content) + more) for more in (0, 160))
    path.write_bytes(path.read_bytes().replace(short, long))
    with pytest.raises(DataError, match=r"own\.npz"):
        Npz(path=path).load(0)


@pytest.mark.parametrize(
    ("descr", "shape", "message"),
    [
        ("<f8", "(39, 2)", "is damaged: its header declares 624 bytes, and 640 follow"),
        ("<f8", "(41, 2)", "is damaged: its header declares 656 bytes, and 640 follow"),
        ("<f4", "(40, 2)", "is damaged: its header declares 320 bytes, and 640 follow"),
        ("<f8", "(-40, 2)", "declares a shape that no array has"),
        ("<f8", "(True, 80)", "declares a shape that no array has"),
        ("<f8", f"({'1, ' * 31}80, 1)", "declares a shape that no array has"),
        ("<f8", "(40, 2", "has a damaged header"),
    ],
)
def test_a_header_that_lies_of_its_array_is_told(descr, shape, message, tmp_path):
    path = tmp_path / "own.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy(X, descr, "False", shape))
        archive.writestr("y.npy", npy(Y, "<i8", "False", "(40,)"))
    with pytest.raises(DataError, match=rf"array 'x' {message}"):
        Npz(path=path).load(0)


def test_an_array_of_the_most_dimensions_is_read(tmp_path):
    path = tmp_path / "own.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy(X, "<f8", "False", f"(40, {'1, ' * 30}2)"))
    with npz_file.archive(path, "data.path") as arrays:
        assert arrays.read("x").shape == (40, *[1] * 30, 2)


def test_the_largest_array_is_read_and_a_larger_one_refused(write, monkeypatch):
    path = write(x=np.tile(Y[:, None], 100), y=Y)  # 40 · 100 · 8 bytes
    monkeypatch.setattr(npz_file, "MOST_BYTES", 32_000)
    assert Npz(path=path).load(0).feature_shape == (100,)
    monkeypatch.setattr(npz_file, "MOST_BYTES", 31_999)
    with pytest.raises(DataError, match="array 'x' declares 32000 bytes; 31999 are the most"):
        Npz(path=path).load(0)


@pytest.mark.parametrize(
    ("method", "encrypted"),
    [(zipfile.ZIP_STORED, 1), (zipfile.ZIP_DEFLATED, 1), (zipfile.ZIP_BZIP2, 0)],
)
def test_arrays_that_are_encrypted_or_packed_otherwise_are_refused(method, encrypted, tmp_path):
    path = tmp_path / "own.npz"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("x.npy", npy(X, "<f8", "False", "(40, 2)"))
        archive.writestr("y.npy", npy(Y, "<i8", "False", "(40,)"))
    content = bytearray(path.read_bytes())
    # the flags in the list at the end, as an encrypting program sets them
    for place in range(len(content)):
        if content[place : place + 4] == b"PK\1\2":
            content[place + 8] |= encrypted
    path.write_bytes(content)
    with pytest.raises(DataError, match="array 'x' is encrypted or packed in a way that numpy"):
        Npz(path=path).load(0)


def test_as_many_arrays_as_an_archive_can_hold_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(npz_file, "MOST_ARRAYS", 2)
    path = tmp_path / "own.npz"
    np.savez(path, x=X, y=Y, z=Y)
    with pytest.raises(DataError, match="holds 3 arrays; 2 are the most"):
        Npz(path=path).load(0)
    np.savez(path, x=X, y=Y)
    assert Npz(path=path).load(0).classes == 4


def test_headers_of_version_2_are_read(tmp_path):
    path = tmp_path / "own.npz"
    first = npy(X, "<f8", "False", "(40, 2)")
    second = first[:6] + b"\2\0" + first[8:10] + b"\0\0" + first[10:]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", second)
        archive.writestr("y.npy", npy(Y, "<i8", "False", "(40,)"))
    with np.load(path) as arrays:
        assert arrays["x"].tolist() == X.tolist()
    with npz_file.archive(path, "data.path") as arrays:
        assert arrays.read("x").tolist() == X.tolist()
        assert ("x" in arrays, "z" in arrays) == (True, False)


def test_what_is_packed_too_well_to_be_true_is_not_unpacked(tmp_path):
    """Of an array that is listed with 1.6 MB some 100 bytes are there."""
    path = tmp_path / "own.npz"
    content = npy(X[:1], "<f8", "False", "(100000, 2)")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", content)
        archive.writestr("y.npy", npy(np.arange(100_000) % 4, "<i8", "False", "(100000,)"))
    short, long = (struct.pack("<I", len(content) - 16 + size) for size in (16, 1_600_000))
    path.write_bytes(path.read_bytes().replace(short, long))
    assert path.stat().st_size * 1032 > 1_600_000
    with pytest.raises(
        DataError, match="is damaged: its header declares 1600000 bytes, and 1600000"
    ):
        Npz(path=path).load(0)


def test_two_arrays_of_one_name_are_refused(tmp_path):
    path = tmp_path / "own.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("x.npy", "x", "y.npy"):
            archive.writestr(name, npy(Y, "<i8", "False", "(40,)"))
    with pytest.raises(DataError, match="holds two arrays of one name"):
        Npz(path=path).load(0)
