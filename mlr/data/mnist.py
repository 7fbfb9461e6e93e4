"""Downloaded images: MNIST and Fashion-MNIST, 70,000 of 28×28 pixels in ten classes each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import ClassVar

from mlr.core.checks import DataError, InputError
from mlr.data import download as web
from mlr.data import idx, options
from mlr.data.base import Dataset
from mlr.data.faults import LONGEST, fault, tail
from mlr.data.files import is_intact
from mlr.data.prepare import Arrays, PreparedSource


@dataclass(eq=False, kw_only=True)
class _FourFiles(PreparedSource):
    """Four IDX files with published hashes; no others are accepted, so that results compare.

    The split is the official one: the last `val_size` training images are for validation, the
    first ones are trained on, and the 10,000 test images are the test. No seed changes it.

    Args:
        root: folder with the four files, raw or .gz; None: the user's cache, filled by download.
        download: True to download files that are missing from the cache.
        val_size: number of the last training images that are for validation.
        train_size: number of the first ones to train on; None takes all that are left.
        label_noise: share of training labels replaced by another class, drawn by the run's seed.
        scale: none (0..255), unit (divided by 255), unit256 (divided by 256, as in the files of
            Theano's and Nielsen's tutorials) or standardize (one mean and deviation for all
            pixels, of the training split).
    """

    classes = 10
    scales = (*options.IMAGE_SCALES, "unit256")
    mirrors: ClassVar[tuple[str, ...]]
    hashes: ClassVar[Mapping[str, str]]
    """SHA-256 of each packed file."""
    unpacked: ClassVar[tuple[str, ...]] = ()
    """SHA-256 of the unpacked files; empty where unknown, and then any are accepted."""
    root: str | PathLike[str] | None = None
    download: bool = True
    val_size: int = 5000
    train_size: int | None = None
    label_noise: float = 0.0
    scale: str = "unit"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.root is not None:
            self.root = options.path("data.root", self.root, "a folder")

    def load(self, seed: int) -> Dataset:
        """Read features (N, 1, 28, 28) and labels (N,).

        Raises:
            InputError: there is no such folder, or the sizes do not fit.
            DataError: the files are missing and cannot be downloaded, are damaged, or are not
                the published ones.
            WriteError: the cache cannot be written.
        """
        folder = self._cached() if self.root is None else Path(self.root)
        hashes = (self.hashes.values(), self.unpacked)
        train, test, _ = idx.read_folder(folder, self.classes, *hashes)
        if test is None:
            raise fault(folder, "holds no t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz.")
        return self.dataset(seed, self.classes, (*self._divided(train), test))

    def _divided(self, data: Arrays) -> tuple[Arrays, Arrays]:
        available = len(data) - self.val_size
        size = available if self.train_size is None else self.train_size
        if not 1 <= size <= available:
            raise InputError(
                f"data.val_size={self.val_size} and data.train_size={self.train_size} do not fit "
                f"into the {len(data)} training images of data={self.name}: at least one must be "
                "left to train on."
            )
        return data.take(slice(size)), data.take(slice(available, None))

    def _cached(self) -> Path:
        """Return the folder of the user's cache with the four files complete."""
        import platformdirs

        folder = Path(platformdirs.user_cache_dir("mlr")) / self.name
        for file, sha256 in self.hashes.items():
            if not self.download and not is_intact(folder / file, sha256):
                raise fault(
                    folder / file,
                    "is missing or damaged, and data.download=false forbids to get it: put it "
                    "there, or name its folder by data.root=FOLDER.",
                )
            try:
                web.fetch([mirror + file for mirror in self.mirrors], sha256, folder / file)
            except DataError as error:
                why = f"data={self.name}: {error}; put it into "
                end = ", or set data.root."
                raise DataError(f"{why}{tail(folder, LONGEST - len(why + end))}{end}") from None
        return folder


@dataclass(eq=False, kw_only=True)
class Mnist(_FourFiles):
    """Handwritten digits, images (1, 28, 28).

    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to
    document recognition, 1998. The data are CC BY-SA 3.0.
    """

    name = "mnist"
    mirrors = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    hashes: ClassVar[Mapping[str, str]] = {
        "train-images-idx3-ubyte.gz": (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
        ),
        "train-labels-idx1-ubyte.gz": (
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
        ),
        "t10k-images-idx3-ubyte.gz": (
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
        ),
    }
    unpacked = (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    )


@dataclass(eq=False, kw_only=True)
class FashionMnist(_FourFiles):
    """Clothes in ten classes, images (1, 28, 28), harder to classify than MNIST.

    Source: H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST, arXiv:1708.07747, 2017; MIT licence.
    """

    name = "fashion_mnist"
    mirrors = (
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    )
    hashes: ClassVar[Mapping[str, str]] = {
        "train-images-idx3-ubyte.gz": (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
        ),
        "train-labels-idx1-ubyte.gz": (
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
        ),
        "t10k-images-idx3-ubyte.gz": (
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
        ),
    }
