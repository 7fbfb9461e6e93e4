"""Values that the page hands to its engine: examples, seeds of the draws, legal pairs."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlr.core.checks import InputError
from mlr.core.seeds import derive_seed
from mlr.data import Blobs, Digits, Moons, Neuron, Outliers, Xor
from mlr.data.prepare import PreparedSource, generator
from mlr.heads import HEADS
from mlr.objectives.compatibility import check_pair

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlr.data.base import Dataset

OFFERED_HEADS = ("clipped_linear", "sigmoid", "softmax", "linear", "hard_sigmoid", "sparsemax")
OFFERED_LOSSES = ("se", "bce", "ce", "matching", "mae", "hinge", "focal", "gce", "smoothed_ce")
SEEDS = range(20)
EXAMPLES = 800
"""In all three splits; the page has those of the training, 480."""
DRAWN = tuple(
    f"{layer}.{kind}" for layer in ("output", "hidden1", "hidden2") for kind in ("weight", "bias")
)
"""Parameters with a generator of their own."""


@dataclass(frozen=True)
class Offered:
    """Data that the page offers.

    Attributes:
        title: its name on the page.
        source: what loads it.
        overrides: of `mlr train`, which load the same.
    """

    title: str
    source: PreparedSource
    overrides: tuple[str, ...]


_DRAWN = (f"data.n={EXAMPLES}", "data.seed=0")
DATA: Mapping[str, Offered] = {
    "neuron": Offered("one example: input 1, target 0", Neuron(), ("data=neuron",)),
    "blobs": Offered("two blobs", Blobs(n=EXAMPLES, seed=0), ("data=blobs", *_DRAWN)),
    "blobs3": Offered(
        "three blobs",
        Blobs(n=EXAMPLES, classes=3, seed=0),
        ("data=blobs", "data.classes=3", *_DRAWN),
    ),
    "moons": Offered("two moons", Moons(n=EXAMPLES, seed=0), ("data=moons", *_DRAWN)),
    "xor": Offered("xor", Xor(n=EXAMPLES, seed=0), ("data=xor", *_DRAWN)),
    "outliers": Offered(
        "outliers on the right side", Outliers(n=EXAMPLES, seed=0), ("data=outliers", *_DRAWN)
    ),
    "digits": Offered(
        "179 handwritten digits",
        Digits(val_fraction=0.1, test_fraction=0.8),
        ("data=digits", "data.val_fraction=0.1", "data.test_fraction=0.8"),
    ),
}


def material(seed: int = 0, classes: int = 2) -> dict[str, Any]:
    """Gather everything as values of JSON; arrays are base64 of little-endian numbers.

    Args:
        seed: one more that the page offers.
        classes: one more number of them that data of the page have.
    """
    counts = sorted({2, 3, 10, classes})
    return {
        "data": {name: _data(examples) for name, examples in DATA.items()},
        "keys": {str(one): _keys(one) for one in sorted({*SEEDS, seed})},
        "heads": OFFERED_HEADS,
        "losses": OFFERED_LOSSES,
        "outputs": {
            str(count): {
                head.name: head().outputs(count) for head in HEADS if head.name in OFFERED_HEADS
            }
            for count in counts
        },
        "refused": {str(count): _refusals(count) for count in counts},
    }


def _data(offered: Offered) -> dict[str, Any]:
    dataset, source = offered.source.load(0), offered.source
    return described(dataset, offered.title, offered.overrides) | {
        "flips": _flips(source, len(dataset.train), dataset.classes or 0)
    }


def described(dataset: Dataset, title: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Return the training examples of a classification, as the page takes them.

    Args:
        dataset: whose examples they are.
        title: of the data on the page.
        overrides: of `mlr train`, which load the same.
    """
    import numpy as np

    features = dataset.train.features.numpy().astype(np.float64)
    return {
        "title": title,
        "overrides": overrides,
        "classes": dataset.classes,
        "columns": int(np.prod(features.shape[1:])),
        "features": packed(features),
        "labels": packed(dataset.train.targets.numpy().astype(np.uint8)),
        "flips": None,
    }


def _flips(source: PreparedSource, count: int, classes: int) -> dict[str, str] | None:
    """Order in which labels are flipped and by how much; None of data whose noise has no seed."""
    import numpy as np

    if not isinstance(source, (Blobs, Moons, Xor, Outliers)):
        return None
    rng = generator(0, source.name, "label noise")
    order = rng.permutation(count).astype(np.uint16)
    return {"order": packed(order), "by": packed(rng.integers(1, classes, count).astype(np.uint8))}


def packed(values: NDArray[Any]) -> str:
    """Encode an array as base64 of its little-endian numbers."""
    return b64encode(values.astype(values.dtype.newbyteorder("<")).tobytes()).decode()


def _keys(seed: int) -> dict[str, str | int]:
    """Seeds of the order of examples, of 64 bits as text, and of the initial values."""
    keys: dict[str, str | int] = {"order": str(derive_seed(seed, "order"))}
    # torch's generator of a CPU takes the lowest 32 bits
    keys |= {name: derive_seed(seed, "init", name) % 2**32 for name in DRAWN}
    return keys


def _refusals(classes: int) -> dict[str, dict[str, str]]:
    """Sentence of each pair that is refused, by head and loss."""
    refused: dict[str, dict[str, str]] = {}
    heads = {head.name: head() for head in HEADS}
    for name in OFFERED_HEADS:
        for loss in OFFERED_LOSSES:
            try:
                check_pair(name, loss, heads[name].outputs(classes), regression=False)
            except InputError as error:
                refused.setdefault(name, {})[loss] = str(error)
    return refused
