from hashlib import sha256

import numpy as np
import pytest

from mlr.core.checks import DataError, InputError
from mlr.data import Idx, Mnist
from mlr.data.faults import DataWarning
from mlr.data.idx_folder import Published
from tests.data.support import idx_bytes, publish, write_idx_folder


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
        ("train-labels-idx1-ubyte", np.zeros(59, np.uint8), r"60 images but .*labels.* 59 labels"),
        ("train-labels-idx1-ubyte", np.arange(60, dtype=np.uint8) % 10 + 1, "taken off"),
        ("t10k-labels-idx1-ubyte", np.full(20, 10, np.uint8), r"t10k-labels.*label 10 .*0\.\.9"),
        ("train-labels-idx1-ubyte", np.zeros((60, 1), np.uint8), r"labels of shape \(60, 1\)"),
        ("train-images-idx3-ubyte", np.zeros(60, np.uint8), "images have two dimensions or more"),
        ("t10k-images-idx3-ubyte", np.zeros((20, 2, 2), np.uint8), r"\(1, 4, 5\) but test"),
        ("train-labels-idx1-short", np.zeros(60, np.int16), "2 files of train labels"),
        ("train-images-idx3-ubyte", np.full((60, 2, 2), np.nan, np.float32), "not finite"),
    ],
)
def test_files_that_do_not_fit_are_refused(name, values, message, folder):
    put(folder, name, values)
    with pytest.raises(InputError, match=message):
        Idx(root=folder, val_fraction=0.2).load(0)


def test_missing_files_and_folders_are_named(folder, tmp_path):
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(InputError, match=r"own holds no t10k-labels-idx1-ubyte or .*\.gz; put it"):
        Idx(root=folder).load(0)
    with pytest.raises(InputError, match=r"data\.root=.*nowhere, which is not there"):
        Idx(root=tmp_path / "nowhere").load(0)
    with pytest.raises(InputError, match="which is not a folder"):
        Idx(root=folder / "t10k-images-idx3-ubyte").load(0)
    with pytest.raises(InputError, match=r"data\.root is not set: .*data\.root=PATH"):
        Idx()


def test_more_classes_than_occur_can_be_stated(folder):
    with pytest.warns(UserWarning, match="2 of 12 classes have no training example: 10, 11"):
        assert Idx(root=folder, classes=12, val_fraction=0.2).load(0).classes == 12


@pytest.mark.parametrize(
    ("packed", "unpacked", "refused"),
    [
        ("", "", ""),
        ("a", "", "c"),  # raw files are not known, and taken as they are
        ("", "b", "acd"),
        ("a", "b", "cd"),
        ("ac", "bd", ""),
        ("ab", "", "c"),
        ("a", "d", "bc"),
    ],
)
def test_only_published_files_are_taken(packed, unpacked, refused, tmp_path):
    """Of a.gz, b, c.gz and d."""
    files = {name: tmp_path / (f"{name}.gz" if name in "ac" else name) for name in "abcd"}
    for name, file in files.items():
        file.write_text(name)
    known = {name: sha256(name.encode()).hexdigest() for name in files}
    published = Published([known[name] for name in packed], [known[name] for name in unpacked])
    for name, file in files.items():
        if name in refused:
            with pytest.raises(DataError, match=rf"SHA-256 {known[name][:12]}…\) is not the file"):
                published.check(file)
        else:
            published.check(file)


def test_mnist_needs_all_four_files(tmp_path, monkeypatch):
    folder = publish(monkeypatch, Mnist, write_idx_folder(tmp_path / "own", n_test=0))
    with pytest.raises(InputError, match="holds no t10k-images-idx3-ubyte or"):
        Mnist(root=folder, val_size=10).load(0)
