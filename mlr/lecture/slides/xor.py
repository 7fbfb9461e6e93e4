"""Slide 1: the recap of the last lecture, feed-forward networks, SGD and XOR."""

from __future__ import annotations

from math import log

import torch
from torch import Tensor

from mlr.data import Xor
from mlr.data.base import Dataset
from mlr.heads import Sigmoid
from mlr.lecture.lab import Lab, Trained
from mlr.lecture.page.answer import Answer, Claim, Illustration, Slide, close, number, percent
from mlr.lecture.page.drawing import (
    BLUE,
    HALF,
    INK,
    PAPER,
    VERMILLION,
    canvas,
    curves,
    line,
    picture,
)
from mlr.objectives import Objective

CORNERS = torch.tensor([[-1, -1], [-1, 1], [1, -1], [1, 1]], dtype=torch.float64)
SIGNS_DIFFER = torch.tensor([[0], [1], [1], [0]], dtype=torch.float64)


RATE = 0.5
"""Learning rate η of all runs here."""
DATA = ("experiment=xor", "data.noise=0.15", "data.seed=0", f"optimizer.lr={RATE}")


def xor(lab: Lab) -> Answer:
    """Last time: what do a linear model and a feed-forward network, trained by SGD, learn of XOR?

    Recap: a feed-forward network with one hidden layer computes h = max(0, W₁x + b₁), then the
    logit z = w₂ᵀh + b₂ and the prediction y = σ(z). Stochastic gradient descent (SGD) updates
    its parameters by θ ← θ − η · mean of ∂L/∂θ over a mini-batch, η the learning rate.

    Source: lecture, recap; Goodfellow et al., Deep Learning, 6.1.
    """
    linear, mlp = lab.sweep(*DATA, "model=linear,mlp", "epochs=20")
    accuracy, stays = mlp.metrics["accuracy/test"], linear.metrics["loss/test"]
    falling = [
        (*linear.series["loss/train"], line(VERMILLION, "linear", "--")),
        (*mlp.series["loss/train"], line(BLUE, "one hidden layer")),
    ]
    return Answer(
        f"A linear model does best by saying ½ everywhere, and trained by SGD it ends at a test "
        f"loss of {stays:.4f}, close to ln 2 = {log(2):.4f}. With a hidden layer "
        f"{percent(accuracy, 0)} of the test examples are right.",
        (*_of_linear(linear), *_of_hidden(mlp), _one_update(lab)),
        (
            curves("loss of the batches", falling, mlp, size=HALF, xlabel="updates", ylabel="loss"),
            _regions(mlp),
        ),
    )


def _of_linear(trained: Trained) -> tuple[Claim, ...]:
    logistic, least_squares = (
        at_the_optimum(Objective("sigmoid", "bce"), 0.0),
        at_the_optimum(Objective("linear", "se"), 0.5),
    )
    stays = trained.metrics["loss/test"]
    return (
        close("logistic regression is best at w = 0, b = 0: its gradient is 0", logistic[1], 0, 0),
        close("its loss there is ln 2 = 0.693147", logistic[0], log(2), 1e-16),
        close("linear + SE is best at y = ½: its gradient is 0", least_squares[1], 0, 0),
        close("its loss there is ⅛ for each example", least_squares[0], 0.125, 0),
        close("no line of 100,000 gets more than 3 corners of 4 right", best_line(), 3, 0),
        close("logistic regression trained by SGD has a test loss near ln 2", stays, log(2), 0.01),
    )


def _of_hidden(trained: Trained) -> tuple[Claim, ...]:
    test, metrics = _data().test, trained.metrics
    z = _logits(trained, test.features)[:, 0].double()
    by_hand = float((z.exp().log1p() - test.targets * z).mean())  # −log p of a Bernoulli
    return (
        close("the hidden layer gets 100 % right", 100 * metrics["accuracy/test"], 100, 0, " %"),
        Claim(
            "and its test loss is below 0.01",
            number(metrics["loss/test"], 2),
            metrics["loss/test"] < 0.01,
        ),
        close(
            "y = σ(w₂ᵀ max(0, W₁x + b₁) + b₂), written out, has this test loss",
            by_hand,
            metrics["loss/test"],
            1e-6,
        ),
    )


def _one_update(lab: Lab) -> Claim:
    """Claim that SGD's first update from w = 0 is −η · the mean gradient of the mini-batch."""
    train = _data().train
    whole = f"batch_size={len(train)}"
    run = lab.run(*DATA, "model=linear", "model.init=zeros", "epochs=1", whole, "dtype=float64")
    x, t = train.features.double(), train.targets.double()[:, None]
    # σ(0) = ½ for every example
    off = run.parameters["output.weight"][0] + RATE * ((0.5 - t) * x).mean(0)
    text = "one update of SGD from w = 0 is w − η · the mean of ∂L/∂w over the mini-batch"
    return close(text, float(off.abs().max()), 0, 1e-9)


def at_the_optimum(objective: Objective, bias: float) -> tuple[float, float]:
    """Compute the mean loss of the four corners for w = 0, and the largest |∂L/∂w| or |∂L/∂b|."""
    z = torch.full((4, 1), bias, dtype=torch.float64)
    inputs = torch.cat([CORNERS, torch.ones(4, 1, dtype=torch.float64)], 1)
    gradient = inputs.T @ objective.gradient(z, SIGNS_DIFFER)
    return float(objective.losses(z, SIGNS_DIFFER).mean()), float(gradient.abs().max())


def best_line() -> int:
    """Count the corners, of four, that the best of many lines gets right."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(2, 100_000, generator=generator, dtype=torch.float64)
    biases = 2 * torch.randn(100_000, generator=generator, dtype=torch.float64)
    classes = CORNERS @ weights + biases >= 0
    return int((classes == SIGNS_DIFFER.bool()).sum(0).max())


def _regions(mlp: Trained) -> Illustration:
    """Draw P(Y = 1|x) over the plane, and the test data."""
    data = _data().test
    axis = torch.linspace(-1.8, 2.5, 121)
    plane = torch.cartesian_prod(axis, axis)
    chance = Sigmoid()(_logits(mlp, plane)).reshape(121, 121).T
    with canvas(**HALF) as (figure, axes):
        axes.contourf(axis, axis, chance, [0, 0.5, 1], colors=[VERMILLION, BLUE], alpha=0.25)
        axes.contour(axis, axis, chance, [0.5], colors=INK, linewidths=2)
        for label, (colour, marker) in enumerate(((VERMILLION, "s"), (BLUE, "o"))):
            x = data.features[data.targets == label]
            style = {"color": colour, "markeredgecolor": PAPER, "label": f"class {label}"}
            axes.plot(x[:, 0], x[:, 1], marker, markersize=8, **style)
        axes.set(xlabel="x₁", ylabel="x₂", xlim=(-1.8, 1.8))
        axes.legend(loc="upper center", ncols=2)
        return picture("where the hidden layer predicts class 1, and test data", figure, mlp)


def _data() -> Dataset:
    return Xor(noise=0.15, seed=0).load(0)


def _logits(mlp: Trained, x: Tensor) -> Tensor:
    theta = mlp.parameters
    hidden = (x @ theta["hidden1.weight"].T + theta["hidden1.bias"]).relu()
    return hidden @ theta["output.weight"].T + theta["output.bias"]


SLIDES = (Slide(1, "Last time: SGD and XOR", xor, "“Last time”: feed-forward networks, SGD, XOR."),)
