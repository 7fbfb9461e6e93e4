"""Data: sources check their options when made and load a Dataset of three splits when asked.

Generated data follow the run's seed, or `data.seed` where that is set. Real data are split by
`data.split_seed` or as published, so that runs of different seeds are tested on the same examples.
`prepare` turns arrays into a Dataset, `validate` judges their values, once. Adding data: a file
here, its class in `SOURCES`, a YAML of its `name` in `configs/data/`. Nothing here imports torch,
numpy, scikit-learn or requests before `load()`.
"""

from __future__ import annotations

from mlr.data.base import Dataset, Source, Split
from mlr.data.csv_file import Csv
from mlr.data.digits import Digits
from mlr.data.idx_folder import Idx
from mlr.data.mnist import FashionMnist, Mnist
from mlr.data.npz_file import Npz
from mlr.data.synthetic_mnist import SyntheticMnist
from mlr.data.toy import Blobs, Line, Moons, Neuron, Outliers, Xor

SOURCES: tuple[type[Source], ...] = (
    Blobs,
    Moons,
    Xor,
    Outliers,
    Neuron,
    Line,
    Digits,
    Mnist,
    FashionMnist,
    Idx,
    SyntheticMnist,
    Csv,
    Npz,
)

__all__ = [
    "SOURCES",
    "Blobs",
    "Csv",
    "Dataset",
    "Digits",
    "FashionMnist",
    "Idx",
    "Line",
    "Mnist",
    "Moons",
    "Neuron",
    "Npz",
    "Outliers",
    "Source",
    "Split",
    "SyntheticMnist",
    "Xor",
]
