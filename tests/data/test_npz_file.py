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
        ({"x": X, "y": Y[:-1]}, {}, "'x' has 40 examples but 39 targets"),
        ({"x": X[:, 0], "y": Y}, {}, r"'x' has .* shape \(40,\); .*a single feature is \(N, 1\)"),
        ({"x": X, "y": Y + 1}, {}, r"none of class 0.* \(y - 1 if"),
        ({"x": X, "y": Y * 0}, {}, "labels up to 0 but none of class 1"),
        ({"x": X, "y": Y * 2 - 3}, {}, "'y' has label -3 at index 0"),
        ({"x": X, "y": Y}, {"classes": 3}, "label 3 at index 3 .* 0 to 2"),
        ({"x": X, "y": Y[:, None]}, {}, r"labels of shape \(40, 1\)"),
        ({"x": X, "y": np.arange(40) // 39}, {}, "cannot split 40 examples .* .1 has 1.:"),
        ({"x": X * np.nan, "y": Y}, {}, "not finite in float32 in 40 of 40 rows"),
        ({"x": X + 0j, "y": Y}, {}, "'x' has features of type complex128; they must be real"),
        ({"x": X[:0], "y": Y[:0]}, {}, r"'x' has features of shape \(0, 2\)"),
        ({"x": X, "y": Y, "x_val": X}, {}, r"Unknown data\.labels=y_val. Choose from x, y, x_val"),
        ({"x": X, "y": Y, "x_val": X[:, :1], "y_val": Y}, {}, r"'x_val' has .* shape \(1,\)"),
        ({"x": X, "y": Y, "x_test": X, "y_test": Y + 1}, {}, "'y_test' has label 4 at index 3"),
        ({"x": X, "y": np.array(["a", "b"] * 20)}, {}, r"'y' has .* <U1; .* np\.unique\(y, return"),
        ({"x": X, "y": Y + 0.5}, {}, r"label 0\.5 at .* data\.task=regression"),
        ({"x": np.array([{}] * 40), "y": Y}, {}, "Object arrays cannot be loaded"),
        ({"x": X, "y": np.ones((40, 1, 1))}, {"task": "regression"}, r"not \(N,\) or \(N, K\)"),
        ({"x": X, "y": Y + np.inf}, {"task": "regression"}, "targets that are not finite"),
        ({"x": np.ones(()), "y": Y}, {}, r"'x' has features of shape \(\)"),
        ({"x": X, "y": np.ones(())}, {}, "'x' has 40 examples but no targets"),
        ({"x": X, "y": np.ones((40, 0))}, {"task": "regression"}, r"targets \(40, 0\), not"),
        ({"x": X, "y": Y, "x_test": X[:, :0], "y_test": Y}, {}, r"of shape \(40, 0\)"),
    ],
)
def test_bad_arrays_are_refused(arrays, options, message, write):
    with pytest.raises(InputError, match=message) as caught:
        Npz(path=write(**arrays), **options).load(0)
    assert len(str(caught.value)) <= 195


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
        InputError, match=r"own\.npy is no \.npz file or damaged; write one with numpy\.savez"
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
    assert Npz(path="~/x.npz").file == Path.home() / "x.npz"
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
        *(("<f8", shape, "has another size than") for shape in ("(39, 2)", "(41, 2)", "(-40, 2)")),
        ("<f4", "(40, 2)", "has another size than"),
        ("<f8", "(40000000000, 2)", "has another size than"),
        ("<f8", "(40, 2", "is no .npz file or damaged"),
    ],
)
def test_a_header_that_lies_of_its_array_is_refused(descr, shape, message, tmp_path):
    path = tmp_path / "own.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy(X, descr, "False", shape))
        archive.writestr("y.npy", npy(Y, "<i8", "False", "(40,)"))
    with pytest.raises(DataError, match=f"own.npz .*{message}"):
        Npz(path=path).load(0)


def test_the_largest_array_is_read_and_a_larger_one_refused(write, monkeypatch):
    path = write(x=np.tile(Y[:, None], 100), y=Y)  # 40 · 100 · 8 bytes and a header of 128
    assert npz_file.MOST_BYTES == 4_294_967_296
    monkeypatch.setattr(npz_file, "MOST_BYTES", 32_128)
    assert Npz(path=path).load(0).feature_shape == (100,)
    monkeypatch.setattr(npz_file, "MOST_BYTES", 32_127)
    with pytest.raises(DataError, match="'x' unpacks to 32128 bytes; 32127 are the most"):
        Npz(path=path).load(0)


def test_headers_of_version_2_are_read(tmp_path):
    path = tmp_path / "own.npz"
    first = npy(X, "<f8", "False", "(40, 2)")
    second = first[:6] + b"\2\0" + first[8:10] + b"\0\0" + first[10:]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", second)
        archive.writestr("y.npy", npy(Y, "<i8", "False", "(40,)"))
    with np.load(path) as arrays:
        assert arrays["x"].tolist() == X.tolist()
    data = Npz(path=path, scale="none", order="given").load(0)
    assert data.train.features.tolist() == X[:24].tolist()


def test_numbers_that_were_changed_are_found_by_their_checksum(tmp_path):
    path = tmp_path / "own.npz"
    np.savez(path, x=X + 0.125, y=Y)
    content, last = path.read_bytes(), struct.pack("<d", 79.125)
    assert content.count(last) == 1
    path.write_bytes(content.replace(last, struct.pack("<d", 0)))
    with pytest.raises(DataError, match=r"own\.npz is no .* damaged; .*Bad CRC-32 for file"):
        Npz(path=path).load(0)


LABELS = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]] * 10)


@pytest.mark.parametrize("kind", [bool, np.int8, float])
def test_several_labels(kind, write):
    data = Npz(path=write(x=X, y=LABELS.astype(kind)), task="multilabel", scale="none").load(0)
    assert data.multilabel
    assert data.classes is None
    rows = (data.test.features[:, 0].numpy() / 2).astype(int)
    assert data.test.targets.numpy().tolist() == LABELS[rows].tolist()
    assert data.test.targets.dtype == torch.float32


@pytest.mark.parametrize(
    ("labels", "task", "message"),
    [
        (np.where(LABELS, 2, LABELS), "multilabel", r"'y' has label 2 in row 0 \(counted from 0; "),
        (LABELS - 0.5, "multilabel", "has label 0.5 in row 0 .*; 40 of 40 rows are wrong"),
        (LABELS[:, 0], "multilabel", r"labels of shape \(40,\) .* data\.task=classification"),
        (LABELS, "classification", r"one whole number each.* data\.task=multilabel if several"),
    ],
)
def test_labels_that_do_not_fit_the_task_are_refused(labels, task, message, write):
    with pytest.raises(DataError, match=message):
        Npz(path=write(x=X, y=labels), task=task).load(0)


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_splits_have_the_same_number_of_targets(task, write):
    path = write(x=X, y=LABELS, x_test=-1 - X[:4], y_test=LABELS[:4, :2])
    with pytest.raises(DataError, match=r"'y_test' has targets \(4, 2\), the training \(N, 3\)\."):
        Npz(path=path, task=task).load(0)


def test_classes_are_of_classification_only(write):
    with pytest.raises(InputError, match=r"data\.classes=3 makes no sense with data\.task=multi"):
        Npz(path=write(x=X, y=LABELS), task="multilabel", classes=3)


def test_weights_follow_their_examples(write):
    data = Npz(path=write(x=X, y=Y, w=np.arange(40)), weights="w", scale="none").load(0)
    for split in (data.train, data.val, data.test):
        assert split.weights.tolist() == (split.features[:, 0] / 2).tolist()
    path = write(x=X, y=Y, w=np.arange(40), x_test=-1 - X[:4], y_test=Y[:4])
    data = Npz(path=path, weights="w", scale="none").load(0)
    assert data.test.weights is None
    assert data.train.weights.tolist() == (data.train.features[:, 0] / 2).tolist()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(39), r"'w' has weights of shape \(39,\) for 40 examples"),
        (np.ones((40, 1)), r"has weights of shape \(40, 1\)"),
        (np.where(np.arange(40) == 7, -0.5, 1), r"has the weight -0\.5 in row 7 \(counted"),
        (np.where(np.arange(40) == 7, np.nan, 1), r"has weights that are not finite .* row 7"),
        (np.zeros(40), "has training examples of weight 0 only"),
    ],
)
def test_bad_weights_are_refused(weights, message, write):
    with pytest.raises(DataError, match=message):
        Npz(path=write(x=X, y=Y, w=weights), weights="w").load(0)
    with pytest.raises(InputError, match=r"Unknown data\.weights=v"):
        Npz(path=write(x=X, y=Y, w=weights), weights="v").load(0)
