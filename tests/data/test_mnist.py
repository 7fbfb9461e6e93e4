import gzip
import shutil

import pytest
import torch

from mlr.core.checks import DataError, InputError
from mlr.data import FashionMnist, Mnist, download
from tests.data.support import mnist_folder, publish, write_idx_folder

needs_mnist = pytest.mark.skipif(
    not mnist_folder().is_dir(),
    reason=f"the real MNIST files are not in {mnist_folder()}; name their folder in MLR_MNIST",
)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mlr" / "mnist"


@needs_mnist
def test_real_mnist():
    data = Mnist(root=mnist_folder()).load(0)
    assert [len(s) for s in (data.train, data.val, data.test)] == [55_000, 5_000, 10_000]
    assert data.feature_shape == (1, 28, 28)
    # the first labels, known to whoever has ever opened the file
    assert data.train.targets[:8].tolist() == [5, 0, 4, 1, 9, 2, 1, 3]
    assert data.test.targets[:4].tolist() == [7, 2, 1, 0]
    # the published mean and deviation of the 60,000 training images
    pixels = torch.cat([data.train.features, data.val.features])
    assert pixels.mean().item() == pytest.approx(0.1307, abs=1e-4)
    assert pixels.std().item() == pytest.approx(0.3081, abs=1e-4)
    assert (pixels.min(), pixels.max()) == (0, 1)


@needs_mnist
def test_cached_files_are_read_without_download(cache, monkeypatch):
    monkeypatch.setattr(Mnist, "mirrors", ())
    shutil.copytree(mnist_folder(), cache)
    data = Mnist(train_size=100, val_size=10_000).load(0)
    assert (len(data.train), len(data.val)) == (100, 10_000)
    (cache / "t10k-labels-idx1-ubyte.gz").chmod(0o644)
    (cache / "t10k-labels-idx1-ubyte.gz").write_bytes(b"damaged")
    with pytest.raises(
        InputError, match=r"t10k-labels.* is missing or damaged, .*data\.download=f"
    ):
        Mnist(download=False).load(0)


def test_all_hashes_are_pinned_and_all_mirrors_https():
    for source in (Mnist, FashionMnist):
        assert len(source.hashes) == 4
        assert all(len(digest) == 64 for digest in source.hashes.values())
        assert all(url.startswith("https://") and url.endswith("/") for url in source.mirrors)
    assert not set(Mnist.hashes.values()) & set(FashionMnist.hashes.values())


def test_without_a_network_the_message_says_what_to_do(cache, monkeypatch):
    # nothing listens on port 1
    monkeypatch.setattr(Mnist, "mirrors", ("https://127.0.0.1:1/",))
    with pytest.raises(DataError) as caught:
        Mnist().load(0)
    text = str(caught.value)
    assert text.startswith(
        "data=mnist: train-images-idx3-ubyte.gz cannot be downloaded (127.0.0.1:1: no connection"
    )
    assert text.endswith("/cache/mlr/mnist, or set data.root.")
    assert len(text) <= 195
    assert list(cache.iterdir()) == []


def test_download_false_asks_no_network(cache, monkeypatch):
    monkeypatch.setattr(download, "fetch", None)
    with pytest.raises(InputError, match=r"data\.download=false forbids to get it: put it there"):
        Mnist(download=False).load(0)


def test_pixels_are_divided_by_256_where_a_recipe_does_so(tmp_path, monkeypatch):
    folder = publish(monkeypatch, Mnist, write_idx_folder(tmp_path / "idx"))
    scales = {
        scale: Mnist(root=folder, val_size=0, scale=scale).load(0).train.features
        for scale in ("none", "unit256")
    }
    assert scales["none"].max() > 250
    assert (scales["unit256"] * 256 == scales["none"]).all()


@pytest.mark.parametrize(("val_size", "train_size"), [(60, None), (10, 51), (100, 1)])
def test_sizes_must_fit(val_size, train_size, tmp_path, monkeypatch):
    folder = publish(monkeypatch, Mnist, write_idx_folder(tmp_path / "own"))
    source = Mnist(root=folder, val_size=val_size, train_size=train_size)
    with pytest.raises(InputError, match=r"do not fit into the 60 training images of data=mnist"):
        source.load(0)


@pytest.mark.parametrize(
    ("val_size", "train_size", "train", "val"),
    [
        (10, 5, range(5), range(50, 60)),
        (10, None, range(50), range(50, 60)),
        (10, 50, range(50), range(50, 60)),
        (59, None, range(1), range(1, 60)),
        (59, 1, range(1), range(1, 60)),
        (0, 60, range(60), range(0)),
    ],
)
@pytest.mark.filterwarnings("ignore:.*classes have no training example:UserWarning")
def test_training_takes_the_first_images_and_validation_the_last(
    val_size, train_size, train, val, tmp_path, monkeypatch
):
    folder = publish(monkeypatch, Mnist, write_idx_folder(tmp_path / "own"))
    images = (folder / "train-images-idx3-ubyte").read_bytes()[16:]
    pixels = torch.tensor(list(images)).view(60, 1, 4, 5)
    data = Mnist(root=folder, val_size=val_size, train_size=train_size, scale="none").load(0)
    for split, rows in ((data.train, train), (data.val, val)):
        assert torch.equal(split.features, pixels[list(rows)].float())
        assert split.targets.tolist() == [row % 10 for row in rows]


def test_options_are_checked_at_once():
    with pytest.raises(InputError, match=r"data\.val_size=-1 must be a whole number of at least 0"):
        Mnist(val_size=-1)
    with pytest.raises(InputError, match=r"data\.download=maybe must be true or false"):
        Mnist(download="maybe")
    with pytest.raises(InputError, match=r"data\.root=5 must be the path of a folder"):
        Mnist(root=5)


@needs_mnist
def test_only_the_published_images_are_mnist(tmp_path):
    for path in mnist_folder().glob("*.gz"):
        (tmp_path / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    path = tmp_path / "t10k-images-idx3-ubyte"
    assert len(Mnist(root=tmp_path).load(0).test) == 10_000
    with path.open("r+b") as file:
        file.seek(5_000_000)
        file.write(b"\x01")
    with pytest.raises(DataError, match=r"t10k-images.* is not the file that was"):
        Mnist(root=tmp_path).load(0)
    shutil.copy(mnist_folder() / f"{path.name}.gz", tmp_path)
    path.unlink()
    Mnist(root=tmp_path).load(0)
    packed = tmp_path / f"{path.name}.gz"
    packed.chmod(0o644)
    packed.write_bytes(gzip.compress(gzip.decompress(packed.read_bytes()), 1))
    with pytest.raises(DataError, match="is not the file that was published"):
        Mnist(root=tmp_path).load(0)
