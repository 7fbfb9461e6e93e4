"""Sources of data: each checks its options at construction and loads a Dataset of three splits.

Generated data follow the run's seed, or `data.seed` where that is set. Real data are split by
`data.split_seed` or as published, so that runs of different seeds are tested on the same examples.
`prepare` turns arrays into a Dataset and `validate` checks values read from files, once. No module
here imports torch, numpy or pooch before `load()`.

To add a dataset:

1. A file here with a class derived from `RealSource` if it is read and split, from `Generated` if
   it is drawn from a seed, else from `PreparedSource`, which is imported below and stands in
   `SOURCES`. It is a dataclass whose fields are its options, checked by `options.CHECKS`.
2. `configs/data/<name>.yaml`: a comment on what it is, its `_target_`, and all options, inherited
   ones included, with the defaults of the class and a comment each.
"""

from __future__ import annotations

from mlr.data.base import Dataset, Source, Split
from mlr.data.digits import Digits
from mlr.data.idx import Idx
from mlr.data.mnist import FashionMnist, Mnist
from mlr.data.npz_file import Npz
from mlr.data.synthetic_mnist import SyntheticMnist
from mlr.data.tables.csv_file import Csv
from mlr.data.toy import Blobs, Counts, Line, Moons, Multilabel, Neuron, Outliers, Xor

SOURCES: tuple[type[Source], ...] = (
    Blobs,
    Moons,
    Xor,
    Outliers,
    Multilabel,
    Neuron,
    Line,
    Counts,
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
    "Counts",
    "Csv",
    "Dataset",
    "Digits",
    "FashionMnist",
    "Idx",
    "Line",
    "Mnist",
    "Moons",
    "Multilabel",
    "Neuron",
    "Npz",
    "Outliers",
    "Source",
    "Split",
    "SyntheticMnist",
    "Xor",
]
