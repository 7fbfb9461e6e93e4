"""Data of the published results: MNIST, Nielsen's stored curves, the strength of cement."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mlr.core.checks import InputError
from mlr.data import Mnist

SHARED_DATA = Path(__file__).parents[4] / "shared" / "data"
"""Default folder of the data, next to the checkout."""
CLASSES = 10
WHITE = 255
"""The largest pixel."""


@dataclass(frozen=True)
class Images:
    """Part of MNIST: pixels (N, 784) of 0 to 255, labels (N,)."""

    pixels: Tensor
    labels: Tensor

    @property
    def one_hot(self) -> Tensor:
        """One-hot targets (N, 10), float64."""
        return torch.eye(CLASSES, dtype=torch.float64)[self.labels]


def mnist_root() -> Path | None:
    """Find MNIST's folder: $MLR_MNIST, or next to the checkout; None for the user's cache."""
    if "MLR_MNIST" in os.environ:
        return Path(os.environ["MLR_MNIST"])
    shared = SHARED_DATA / "mnist"
    return shared if shared.is_dir() else None


def mnist_overrides() -> tuple[str, ...]:
    """Overrides of scripts/train.py for the same images."""
    root = mnist_root()
    return ("data=mnist",) if root is None else ("data=mnist", f"data.root={root}")


def mnist(validation: int = 0) -> dict[str, Images]:
    """Load MNIST by split: `train` without its last `validation` images, `val`, `test`.

    Raises:
        InputError: The files are missing and cannot be downloaded, or they are damaged.
    """
    # the loader needs at least one validation image, and never mixes the images of a split
    data = Mnist(root=mnist_root(), val_size=max(1, validation), scale="none").load(0)
    splits = {
        name: Images(split.features.flatten(1), split.targets)
        for name, split in (("train", data.train), ("val", data.val), ("test", data.test))
    }
    if validation == 0:
        both = (splits["train"], splits.pop("val"))
        splits["train"] = Images(
            torch.cat([part.pixels for part in both]), torch.cat([part.labels for part in both])
        )
    return splits


def curves_folder() -> Path:
    """Find the folder of Nielsen's stored curves: $MLR_NIELSEN, or next to the checkout.

    Raises:
        InputError: It does not exist.
    """
    folder = Path(os.environ.get("MLR_NIELSEN", SHARED_DATA / "nielsen-curves"))
    if not folder.is_dir():
        raise InputError(
            f"Nielsen's stored curves are not in {folder}: name a folder with the fig/*.json of "
            "github.com/mnielsen/neural-networks-and-deep-learning in MLR_NIELSEN."
        )
    return folder


def cement_file() -> Path:
    """Find the table of cement strengths: in $MLR_CEMENT, or next to the checkout.

    Raises:
        InputError: It is not there.
    """
    file = Path(os.environ.get("MLR_CEMENT", SHARED_DATA / "cement")) / "cement_strength.csv"
    if not file.is_file():
        raise InputError(
            f"The strengths of cement are not in {file.parent}: name a folder with the "
            "cement_strength.csv of github.com/gagolews/ordinal_regression_data in MLR_CEMENT."
        )
    return file
