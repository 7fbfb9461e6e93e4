"""Runs whose MNIST curves Nielsen stored, and their replay in float64.

A script of his seeds Python's and numpy's generators once, and trains one or more networks with
them. Initial weights come from numpy, the order of the images from Python, so neither depends on
the training, and runs of different scripts see the same images in the same order. Runs that see
the same batches are trained as one wide network: the hidden units of all are concatenated, and
each output is connected to the units of its own run only, so that all share one product over the
pixels.

Source: fig/{multiple_eta, weight_initialization, overfitting}.py and their .json files in
github.com/mnielsen/neural-networks-and-deep-learning @ 72db53d7 (MIT), pictures of chapter 3 of
M. Nielsen, Neural Networks and Deep Learning, 2015.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise
from math import sqrt
from pathlib import Path
from threading import Event
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlr.lecture.published.files import Images
from mlr.objectives import Objective
from mlr.training.background import threads

SEED = 12345678
BATCH = 10
INPUTS, OUTPUTS = 784, 10
SERIES = ("evaluation cost", "evaluation count", "training cost", "training count")


@dataclass(frozen=True)
class StoredRun:
    """One network that he trained, with cross-entropy and 10-image batches.

    name: of the run on our page.
    file: the .json file that holds its curves.
    place: keys of its four series in that file.
    hidden: sigmoid units of its hidden layer.
    rate: the learning rate η.
    decay: λ of λ/2N Σw².
    draws: initialisations of the script until its training, "default" or "large"; the last counts.
    earlier: epochs of training that the script did before.
    images: number N of its training images.
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
        """Number of epochs to replay; all for None."""
        return self.epochs if at_most is None else min(self.epochs, at_most)

    def published(self, folder: Path) -> dict[str, list[float]]:
        """Read the series that he stored, by name; one number per epoch."""
        found = json.loads((folder / f"{self.file}.json").read_text(encoding="utf-8"))
        for key in self.place:
            found = found[key]
        return {name: found[SERIES.index(name)] for name in self.stored}


def _rates() -> Iterator[StoredRun]:
    for number, rate in enumerate((0.025, 0.25)):
        draws = ("default",) * (number + 1)
        name = f"learning rate {rate}"
        yield StoredRun(
            *(name, "multiple_eta", (number,), 30, rate, 5.0, draws, 30 * number),
            stored=("training cost",),
        )


def _initial_weights() -> Iterator[StoredRun]:
    for hidden in (30, 100):
        for number, kind in enumerate(("default", "large")):
            name, file = f"{kind} weights, {hidden} hidden", f"weight_initialization_{hidden}"
            place, draws = (f"{kind}_weight_initialization",), ("default", "large")[: number + 1]
            yield StoredRun(
                *(name, file, place, hidden, 0.1, 5.0, draws, 30 * number),
                stored=("evaluation count",),
            )


def _overfitting() -> Iterator[StoredRun]:
    for file, decay in (("overfitting", 0.0), ("regularized", 0.1)):
        draws = ("default", "large")
        name = f"1000 images, λ = {decay:g}"
        yield StoredRun(name, file, (), 30, 0.5, decay, draws, 0, 1000, 400, "test")


STORED_RUNS = (*_rates(), *_initial_weights(), *_overfitting())
"""Runs whose rounding errors stay small. In the others that he stored (learning rate 2.5, and
50,000 images at rate 0.5) they grow from epoch to epoch until the curves diverge."""


class InitialParameters(NamedTuple):
    """Parameters of a network: hidden biases and weights (H, 784), output ones (10, H)."""

    hidden_bias: NDArray[np.float64]
    output_bias: NDArray[np.float64]
    hidden_weight: NDArray[np.float64]
    output_weight: NDArray[np.float64]


def initial_parameters(curve: StoredRun) -> InitialParameters:
    """Draw what his script drew: all from N(0, 1); "default" weights then divided by √fan_in."""
    generator = np.random.RandomState(SEED)
    for _ in curve.draws:
        biases = [generator.randn(width) for width in (curve.hidden, OUTPUTS)]
        shapes = ((curve.hidden, INPUTS), (OUTPUTS, curve.hidden))
        weights = [generator.randn(*shape) for shape in shapes]
    if curve.draws[-1] == "default":
        weights = [weight / sqrt(weight.shape[1]) for weight in weights]
    return InitialParameters(*biases, *weights)


def orders(images: int, earlier: int, epochs: int) -> Iterator[list[int]]:
    """Yield the order of the images in each epoch, as Python 2 shuffled one list repeatedly."""
    generator = random.Random(SEED)
    order = list(range(images))
    for epoch in range(earlier + epochs):
        for i in range(images - 1, 0, -1):
            j = int(generator.random() * (i + 1))
            order[i], order[j] = order[j], order[i]
        if epoch >= earlier:
            yield order


KERNEL = Objective("sigmoid", "bce", outputs=OUTPUTS).kernel
"""Called directly, as in a training step: no batch is validated."""
GREYS = 256
Series = dict[str, list[float]]
Progress = Callable[[int], None]
"""Called from several threads with the number of updates just done."""


def replay(
    curves: Sequence[StoredRun],
    splits: Mapping[str, Images],
    epochs: int | None,
    progress: Progress,
) -> dict[StoredRun, Series]:
    """Train the networks of all runs again, and measure after each epoch what he measured.

    Args:
        curves: the runs.
        splits: MNIST as he divided it, 50,000 + 10,000 + 10,000.
        epochs: at most; None for as many as he trained.
        progress: called with the number of updates just done.

    Returns:
        Series by run and name, with a number per epoch.
    """

    def alike(curve: StoredRun) -> tuple[int, int, int]:
        return curve.images, curve.earlier, curve.epochs

    # the longest first, so that no core idles at the end
    groups = [list(group) for _, group in groupby(sorted(curves, key=alike, reverse=True), alike)]
    data = {name: ScaledImages.of(split) for name, split in splits.items()}
    with threads(1) as cores, ThreadPoolExecutor(cores) as pool:
        cancelled = Event()
        jobs = [pool.submit(_train, group, data, epochs, progress, cancelled) for group in groups]
        try:
            return {curve: series for job in jobs for curve, series in job.result().items()}
        finally:  # after an interrupt or a failure the others are stopped
            cancelled.set()
            pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class ScaledImages:
    """Pixels (N, 784) in [0, 1), one-hot targets (N, 10), both float64, and labels (N,)."""

    pixels: Tensor
    targets: Tensor
    labels: Tensor

    @classmethod
    def of(cls, images: Images) -> ScaledImages:
        """Scale images as his loader did, by 1/256."""
        return cls(images.pixels.double() / GREYS, images.one_hot, images.labels)

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> ScaledImages:
        """Select the first `count` images."""
        return ScaledImages(self.pixels[:count], self.targets[:count], self.labels[:count])


@torch.inference_mode()
def _train(
    curves: Sequence[StoredRun],
    data: Mapping[str, ScaledImages],
    epochs: int | None,
    progress: Progress,
    cancelled: Event,
) -> dict[StoredRun, Series]:
    """Train runs that see the same images in the same order."""
    first = curves[0]
    network, seen = SideBySide(curves), data["train"].first(first.images)
    series: dict[StoredRun, Series] = {
        curve: {name: [] for name in curve.stored} for curve in curves
    }
    for order in orders(first.images, first.earlier, first.passes(epochs)):
        if cancelled.is_set():
            break
        for batch in torch.tensor(order).split(BATCH):
            network.update(seen.pixels[batch], seen.targets[batch])
        progress(len(curves) * len(order) // BATCH)
        for run, curve in enumerate(curves):
            for part, images in (("evaluation", data[curve.evaluation]), ("training", seen)):
                names = (f"{part} cost", f"{part} count")
                if set(names) & set(curve.stored):
                    for name, value in zip(names, network.evaluate(run, images), strict=True):
                        if name in curve.stored:
                            series[curve][name].append(value)
    return series


class SideBySide:
    """R networks trained as one.

    Axes: B images, H hidden units of all runs, 10R outputs. Weight decay scales the hidden weights
    by a factor that is stored apart from them, so that an update touches each weight once.
    """

    def __init__(self, curves: Sequence[StoredRun]) -> None:
        self.curves = curves
        parts = [[torch.from_numpy(part) for part in initial_parameters(curve)] for curve in curves]
        hidden_biases, output_biases, hidden_weights, output_weights = zip(*parts, strict=True)
        self.hidden_bias = torch.cat(hidden_biases)
        self.output_bias = torch.cat(output_biases)
        # the hidden weights are shrink · stored
        self.stored = torch.cat(hidden_weights)
        self.shrink = torch.ones_like(self.hidden_bias)
        self.output_weight = torch.block_diag(*(weight.T for weight in output_weights))
        self.wired = torch.block_diag(*(torch.ones_like(weight.T) for weight in output_weights))
        self.decay = _spread([1 - c.rate * c.decay / c.images for c in curves], hidden_biases)
        self.rate = _spread([curve.rate / BATCH for curve in curves], output_biases)
        bounds = pairwise(accumulate((curve.hidden for curve in curves), initial=0))
        self.units = [slice(*pair) for pair in bounds]

    def update(self, pixels: Tensor, targets: Tensor) -> None:
        """Update every run on pixels (B, 784) and targets (B, 10)."""
        hidden = torch.addcmul(self.hidden_bias, pixels @ self.stored.T, self.shrink).sigmoid_()
        logits = torch.addmm(self.output_bias, hidden, self.output_weight)
        logits = logits.unflatten(1, (-1, OUTPUTS))
        errors = KERNEL.gradient(logits, targets.unsqueeze(1).expand_as(logits))
        errors = errors.flatten(1).mul_(self.rate)
        back = (errors @ self.output_weight.T).mul_(hidden).mul_(1 - hidden)
        self.output_weight.mul_(self.decay.unsqueeze(1))
        self.output_weight.addcmul_(hidden.T @ errors, self.wired, value=-1)
        self.output_bias -= errors.sum(0)
        self.hidden_bias -= back.sum(0)
        self.shrink *= self.decay
        self.stored.addmm_((back / self.shrink).T, pixels, alpha=-1)

    def evaluate(self, run: int, images: ScaledImages) -> tuple[float, int]:
        """Compute the cost of one run, weight decay included, and its number of right images."""
        curve = self.curves[run]
        units, outputs = self.units[run], slice(run * OUTPUTS, (run + 1) * OUTPUTS)
        weight = self.stored[units] * self.shrink[units].unsqueeze(1)
        out = self.output_weight[units, outputs]
        hidden = torch.addmm(self.hidden_bias[units], images.pixels, weight.T).sigmoid_()
        logits = torch.addmm(self.output_bias[outputs], hidden, out)
        squares = weight.square().sum() + out.square().sum()
        cost = KERNEL.losses(logits, images.targets).mean()
        cost += curve.decay / (2 * len(images)) * squares
        return float(cost), int((logits.argmax(1) == images.labels).sum())


def _spread(values: Sequence[float], parts: Sequence[Tensor]) -> Tensor:
    """Repeat each run's number for each entry of its part."""
    return torch.cat([torch.full_like(p, v) for v, p in zip(values, parts, strict=True)])
