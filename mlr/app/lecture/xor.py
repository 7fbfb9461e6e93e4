"""Slide 1: what the last lecture ended with."""

from __future__ import annotations

from math import log

import torch
from torch import Tensor

from mlr.app.lecture.answer import Answer, Claim, Picture, Slide, close, number, percent
from mlr.app.lecture.drawing import (
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
from mlr.app.lecture.lab import Lab, Trained
from mlr.data import Xor
from mlr.heads import Sigmoid
from mlr.objectives import Objective

CORNERS = torch.tensor([[-1, -1], [-1, 1], [1, -1], [1, 1]], dtype=torch.float64)
SIGNS_DIFFER = torch.tensor([[0], [1], [1], [0]], dtype=torch.float64)


def xor(lab: Lab) -> Answer:
    """Last time: what does a linear model make of XOR, and what does a hidden layer?

    Source: lecture slide 1; Goodfellow et al., Deep Learning, 6.1.
    """
    overrides = ("experiment=xor", "model=linear,mlp", "data.noise=0.15", "data.seed=0")
    linear, mlp = lab.sweep(*overrides, "optimizer.lr=0.5", "epochs=20")
    logistic, least_squares = (
        at_the_optimum(Objective("sigmoid", "bce"), 0.0),
        at_the_optimum(Objective("linear", "se"), 0.5),
    )
    claims = (
        close(
            "w = 0, b = 0 is the best of logistic regression: nothing is pulled",
            logistic[1],
            0,
            0,
        ),
        close("its loss there is ln 2 = 0.693147", logistic[0], log(2), 1e-16),
        close("linear + SE: y = ½ is the best, nothing is pulled", least_squares[1], 0, 0),
        close("at a loss of ⅛ a sample", least_squares[0], 0.125, 0),
        close("no line of 100,000 gets more than 3 corners of 4 right", best_line(), 3, 0),
        close(
            "trained, logistic regression stays at ln 2", linear.metrics["loss/test"], log(2), 0.01
        ),
        close("the hidden layer gets 100 % right", 100 * mlp.metrics["accuracy/test"], 100, 0),
        Claim(
            "and its loss goes to 0",
            number(mlp.metrics["loss/test"], 2),
            mlp.metrics["loss/test"] < 0.01,
        ),
    )
    falling = [
        (*linear.series["loss/train"], line(VERMILLION, "linear", "--")),
        (*mlp.series["loss/train"], line(BLUE, "one hidden layer")),
    ]
    stays = linear.metrics["loss/test"]
    return Answer(
        f"A linear model can only say ½, at a loss of {stays:.4f} ≈ ln 2; with a hidden layer "
        f"{percent(mlp.metrics['accuracy/test'], 0)} are right.",
        claims,
        (
            curves("loss of the batches", falling, mlp, size=HALF, xlabel="updates", ylabel="loss"),
            _regions(mlp),
        ),
    )


def at_the_optimum(objective: Objective, bias: float) -> tuple[float, float]:
    """Mean loss of the four corners for w = 0, and the largest pull on w or b."""
    z = torch.full((4, 1), bias, dtype=torch.float64)
    inputs = torch.cat([CORNERS, torch.ones(4, 1, dtype=torch.float64)], 1)
    pull = inputs.T @ objective.gradient(z, SIGNS_DIFFER)
    return float(objective.losses(z, SIGNS_DIFFER).mean()), float(pull.abs().max())


def best_line() -> int:
    """How many of the four corners the best of many lines gets right."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(2, 100_000, generator=generator, dtype=torch.float64)
    biases = 2 * torch.randn(100_000, generator=generator, dtype=torch.float64)
    classes = CORNERS @ weights + biases >= 0
    return int((classes == SIGNS_DIFFER.bool()).sum(0).max())


def _regions(mlp: Trained) -> Picture:
    """P(Y = 1|x) over the plane, and the test data."""
    data = Xor(noise=0.15, seed=0).load(0).test
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
        return picture("where the hidden layer says 1, and test data", figure, mlp)


def _logits(mlp: Trained, x: Tensor) -> Tensor:
    theta = mlp.parameters
    hidden = (x @ theta["hidden1.weight"].T + theta["hidden1.bias"]).relu()
    return hidden @ theta["output.weight"].T + theta["output.bias"]


SLIDES = (Slide(1, "Last time: XOR", xor),)
