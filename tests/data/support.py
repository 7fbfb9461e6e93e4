"""Small builders that the tests of data share."""

import gzip
import hashlib
import os
import struct
from pathlib import Path

import numpy as np

from mlr.data import SOURCES, Csv, FashionMnist, Idx, Mnist, Npz

REPO = Path(__file__).parents[2]
CONFIGS = REPO / "configs" / "data"
OWN_FILES = (Mnist, FashionMnist, Idx, Csv, Npz)
OFFLINE = tuple(source for source in SOURCES if source not in OWN_FILES)
TYPE_BYTES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def mnist_folder() -> Path:
    """Folder of the real MNIST files, if there is one."""
    return Path(os.environ.get("MLR_MNIST", REPO.parent / "shared" / "data" / "mnist"))


def idx_bytes(values: np.ndarray) -> bytes:
    """An IDX file's content."""
    code = TYPE_BYTES[values.dtype.str[1:]]
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, code, values.ndim, *values.shape)
    return header + values.astype(values.dtype.newbyteorder(">")).tobytes()


def publish(monkeypatch, source, folder: Path) -> Path:
    """Let `source` take the files of `folder` for those that were published."""
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    monkeypatch.setattr(source, "unpacked", tuple(found.values()))
    return folder


def write_idx_folder(
    folder: Path, n_train: int = 60, n_test: int = 20, classes: int = 10, packed: bool = False
) -> Path:
    """Images of 4×5 pixels with labels 0..K−1 in turn; `n_test=0` writes no t10k files."""
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    for part, count in (("train", n_train), ("t10k", n_test)):
        if count:
            images = rng.integers(0, 256, (count, 4, 5)).astype(np.uint8)
            labels = (np.arange(count) % classes).astype(np.uint8)
            for name, values in (("images-idx3", images), ("labels-idx1", labels)):
                content = idx_bytes(values)
                path = folder / f"{part}-{name}-ubyte{'.gz' if packed else ''}"
                path.write_bytes(gzip.compress(content) if packed else content)
    return folder
