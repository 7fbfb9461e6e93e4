"""Small runs whose moments the tests look at."""

from __future__ import annotations

import torch

from mlr.data.base import Dataset, Split
from mlr.figures.seen import Moment
from mlr.models import Linear
from mlr.training import Experiment
from tests.training.conftest import experiment


def data(shape: tuple[int, ...], classes: int | None, count: int = 40) -> Dataset:
    """Features of a shape, drawn once; targets that hang on them."""
    generator = torch.Generator().manual_seed(len(shape) + (classes or 0))
    parts = []
    for _ in range(3):
        x = torch.randn(count, *shape, generator=generator, dtype=torch.float64)
        value = x.flatten(1)[:, :1].clone()
        labels = torch.bucketize(
            value[:, 0], torch.linspace(-0.8, 0.8, (classes or 2) - 1).double()
        )
        parts.append(Split(x, value if classes is None else labels))
    return Dataset("made", *parts, classes)


def run(shape: tuple[int, ...] = (2,), classes: int | None = 2, **changes) -> Experiment:
    return experiment(data=data(shape, classes), **changes)


def moment(shape: tuple[int, ...] = (2,), classes: int | None = 2, **changes) -> Moment:
    """A run as it was initialised."""
    made = run(shape, classes, **changes)
    return Moment(made, 0, {name: one.detach() for name, one in made.module.named_parameters()})


KINDS = {
    "one output": {"head": "sigmoid", "loss": "se"},
    "own outputs": {"classes": 3, "head": "sigmoid", "loss": "bce"},
    "clipped": {"head": "clipped_linear", "loss": "se"},
    "softmax": {"classes": 4, "head": "softmax", "loss": "se"},
    "softmax of two": {"classes": 2, "head": "softmax", "loss": "ce"},
    "linear": {"classes": 3, "head": "linear", "loss": "hinge"},
    "images": {"shape": (1, 4, 4), "classes": 3, "head": "softmax", "loss": "ce"},
    "a line": {"shape": (1,), "classes": None, "head": "linear", "loss": "se"},
    "a line with spread": {
        "shape": (1,),
        "classes": None,
        "head": "gaussian",
        "loss": "gaussian_nll",
    },
    "many features": {"shape": (5,), "classes": None, "head": "linear", "loss": "se"},
    "a neuron": {"shape": (1,), "classes": 2, "head": "sigmoid", "loss": "bce", "model": Linear()},
}
