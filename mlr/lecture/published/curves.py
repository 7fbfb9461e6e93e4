"""Nielsen's stored MNIST curves: what each run was, and the numbers that he stored of it.

A script of his seeds Python's and numpy's generators once, and trains one or more networks with
them. Initial weights come from numpy, the order of the images from Python, so neither depends on
the training, and runs of different scripts see the same images in the same order.

Source: fig/{multiple_eta, weight_initialization, overfitting}.py and their .json files in
github.com/mnielsen/neural-networks-and-deep-learning @ 72db53d7 (MIT), pictures of chapter 3 of
M. Nielsen, Neural Networks and Deep Learning, 2015.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SEED = 12345678
BATCH = 10
INPUTS, OUTPUTS = 784, 10
SERIES = ("evaluation cost", "evaluation count", "training cost", "training count")


@dataclass(frozen=True)
class Curve:
    """One network that he trained, with cross-entropy and 10-image batches.

    name: what it is called here.
    file: the .json file that holds its curves.
    place: keys that lead to its four series in that file.
    hidden: sigmoid units of its hidden layer.
    rate: the learning rate η.
    decay: λ of λ/2N Σw².
    draws: initialisations of the script until its training, "default" or "large"; the last counts.
    earlier: epochs of training that the script did before.
    images: how many of the training images it saw, N.
    epochs: passes over them.
    evaluation: the split of the evaluation series.
    stored: names of the series that the file holds.
    """

    name: str
    file: str
    place: tuple[int | str, ...]
    hidden: int
    rate: float
    decay: float
    draws: tuple[str, ...]
    earlier: int = 0
    images: int = 50_000
    epochs: int = 30
    evaluation: str = "val"
    stored: tuple[str, ...] = SERIES

    def passes(self, at_most: int | None) -> int:
        """How many epochs are replayed; None: all."""
        return self.epochs if at_most is None else min(self.epochs, at_most)

    def published(self, folder: Path) -> dict[str, list[float]]:
        """The series that he stored, by name; one number an epoch."""
        found = json.loads((folder / f"{self.file}.json").read_text(encoding="utf-8"))
        for key in self.place:
            found = found[key]
        return {name: found[SERIES.index(name)] for name in self.stored}


def _rates() -> Iterator[Curve]:
    for number, rate in enumerate((0.025, 0.25)):
        draws = ("default",) * (number + 1)
        name = f"learning rate {rate}"
        yield Curve(
            *(name, "multiple_eta", (number,), 30, rate, 5.0, draws, 30 * number),
            stored=("training cost",),
        )


def _initial_weights() -> Iterator[Curve]:
    for hidden in (30, 100):
        for number, kind in enumerate(("default", "large")):
            name, file = f"{kind} weights, {hidden} hidden", f"weight_initialization_{hidden}"
            place, draws = (f"{kind}_weight_initialization",), ("default", "large")[: number + 1]
            yield Curve(
                *(name, file, place, hidden, 0.1, 5.0, draws, 30 * number),
                stored=("evaluation count",),
            )


def _overfitting() -> Iterator[Curve]:
    for file, decay in (("overfitting", 0.0), ("regularized", 0.1)):
        draws = ("default", "large")
        name = f"1000 images, λ = {decay:g}"
        yield Curve(name, file, (), 30, 0.5, decay, draws, 0, 1000, 400, "test")


CURVES = (*_rates(), *_initial_weights(), *_overfitting())
"""The runs in which rounding errors stay small. In the other stored ones (learning rate 2.5, and
50,000 images at rate 0.5) they grow from epoch to epoch until the curves part."""


class Initial(NamedTuple):
    """Parameters of a network: hidden biases and weights (H, 784), output ones (10, H)."""

    hidden_bias: NDArray[np.float64]
    output_bias: NDArray[np.float64]
    hidden_weight: NDArray[np.float64]
    output_weight: NDArray[np.float64]


def initial(curve: Curve) -> Initial:
    """What his script drew: all from N(0, 1); "default" weights then divided by √fan_in."""
    generator = np.random.RandomState(SEED)
    for _ in curve.draws:
        biases = [generator.randn(width) for width in (curve.hidden, OUTPUTS)]
        shapes = ((curve.hidden, INPUTS), (OUTPUTS, curve.hidden))
        weights = [generator.randn(*shape) for shape in shapes]
    if curve.draws[-1] == "default":
        weights = [weight / sqrt(weight.shape[1]) for weight in weights]
    return Initial(*biases, *weights)


def orders(images: int, earlier: int, epochs: int) -> Iterator[list[int]]:
    """The order of the images in each epoch, as Python 2 shuffled the one list again and again."""
    generator = random.Random(SEED)
    order = list(range(images))
    for epoch in range(earlier + epochs):
        for i in range(images - 1, 0, -1):
            j = int(generator.random() * (i + 1))
            order[i], order[j] = order[j], order[i]
        if epoch >= earlier:
            yield order
