"""LeCun's linear classifier of MNIST, and Nielsen's guess by darkness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mlr.lecture.lab import Lab, Trained
from mlr.lecture.page import drawing
from mlr.lecture.page.answer import Answer, Illustration, PublishedNumber
from mlr.lecture.published.files import CLASSES, WHITE, Images, mnist, mnist_overrides

TABLE = "LeCun, Cortes and Burges, The MNIST database, table of results"
DARKNESS = "Nielsen, chapter 1; src/mnist_average_darkness.py"
CONSTANT = 1e-10
"""Share of the largest eigenvalue below which a direction of pixel space counts as constant."""
SGD = ("model=linear", "schedule=cosine", "epochs=10", "probes=off")
BY_SGD: tuple[tuple[str, float | str, tuple[str, ...]], ...] = (
    ("linear + SE", 12.0, ("head=linear", "loss=se", "optimizer.lr=0.01")),
    ("sigmoid + SE", "not given", ("head=sigmoid", "loss=se", "optimizer.lr=0.5")),
    ("softmax + CE", "not given", ("head=softmax", "loss=ce", "optimizer.lr=0.1")),
)
"""Trainings: name, test error of the table, overrides."""


def lecun_linear(lab: Lab) -> Answer:
    """Is a linear unit with squared error 12 % wrong on MNIST, as LeCun's table says?

    The best weights have a closed form, least squares on one-hot targets: no training reaches a
    lower loss on the training images. That loss is not the number of errors: the same ten units
    make fewer of them with a loss that does not punish confident right predictions. The table does
    not say how long its classifier was trained, nor whether its outputs were squashed: 12.0 lies
    between least squares and a sigmoid on the same units.

    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document
    recognition, 1998, section III.C.1.
    """
    splits = mnist()
    weight = least_squares(splits["train"])
    closed = percent_wrong(scores(splits["test"], weight), splits["test"].labels)
    training = percent_wrong(scores(splits["train"], weight), splits["train"].labels)
    rows = [PublishedNumber("test error, linear + SE, closed form", 12.0, closed, 2, TABLE, " %")]
    trained: dict[str, float] = {}
    runs = []
    for pair, published, overrides in BY_SGD:
        run = lab.run(*SGD, *overrides, *mnist_overrides())
        runs.append(run)
        trained[pair] = wrong = 100 - 100 * run.metrics["accuracy/test"]
        what = f"test error, {pair}, 10 epochs of SGD"
        rows.append(PublishedNumber(what, published, wrong, 2, TABLE, " %"))
    what = "images guessed right by their mean darkness"
    rows.append(PublishedNumber(what, 2225, right_by_darkness(), 0, DARKNESS))
    return Answer(
        f"No: least squares has a test error of {closed:.2f} %, {closed - 12:.1f} points more than "
        f"the table, and {training:.2f} % on its own training images. Losses that do not punish "
        f"confident right predictions do better: {trained['sigmoid + SE']:.1f} % with sigmoid + "
        f"SE, {trained['softmax + CE']:.1f} % with softmax + CE.",
        (),
        (_bars({"least squares": closed} | trained, runs),),
        tuple(rows),
    )


def _bars(wrong: Mapping[str, float], runs: Sequence[Trained]) -> Illustration:
    """Draw test errors in percent, by name, next to the table's 12 %."""
    colours = (drawing.GREY, drawing.GREEN, drawing.VERMILLION, drawing.PURPLE)

    def draw(axes: Any) -> None:
        bars = axes.bar(list(wrong), list(wrong.values()), 0.6, color=colours)
        axes.bar_label(bars, fmt="%.1f %%", padding=3)
        drawing.rule(axes, y=12)
        axes.text(3.35, 12.2, "table: 12 %", ha="right", color=drawing.INK)
        axes.set(ylabel="test images wrong, %", ylim=(0, 16))
        axes.tick_params("x", labelsize=14)

    return drawing.sketch("ten linear units on MNIST, by what they are trained with", draw, *runs)


def least_squares(images: Images) -> Tensor:
    """Fit weights (785, 10), the bias last, by least squares on one-hot targets.

    The solution of least norm: pixels that are never lit get weight 0.
    """
    inputs = _with_one(images)
    values, vectors = torch.linalg.eigh(inputs.T @ inputs)
    varying = values > CONSTANT * values[-1]
    values, vectors = values[varying], vectors[:, varying]
    return vectors @ (vectors.T @ (inputs.T @ images.one_hot) / values.unsqueeze(1))


def scores(images: Images, weight: Tensor) -> Tensor:
    """Compute logits (N, 10)."""
    return _with_one(images) @ weight


def percent_wrong(logits: Tensor, labels: Tensor) -> float:
    """Compute the percentage of images whose largest logit (N, K) is not their label's (N,)."""
    return 100 * float((logits.argmax(1) != labels).double().mean())


def right_by_darkness() -> int:
    """Count the test images, of 10,000, that the mean darkness of the digits classifies rightly.

    The means are of 50,000 images, as Nielsen's.
    """
    splits = mnist(10_000)
    sums = {name: part.pixels.double().sum(1) for name, part in splits.items()}
    labels = splits["train"].labels
    means = torch.stack([sums["train"][labels == digit].mean() for digit in range(CLASSES)])
    guessed = (sums["test"].unsqueeze(1) - means).abs().argmin(1)
    return int((guessed == splits["test"].labels).sum())


def _with_one(images: Images) -> Tensor:
    """Scale pixels to [0, 1] and append a 1 for the bias (N, 785)."""
    pixels = images.pixels.double() / WHITE
    return torch.cat([pixels, torch.ones(len(pixels), 1, dtype=pixels.dtype)], 1)
