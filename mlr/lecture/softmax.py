"""Slides 38–41: one of K classes, and the softmax that makes probabilities of K logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mlr.app.lab import Lab
from mlr.heads import Sigmoid, Softmax
from mlr.lecture import drawing
from mlr.lecture.answer import Answer, Claim, Slide, close, number
from mlr.lecture.drawing import rule, sketch
from mlr.lecture.one_logit import logits
from mlr.losses import CrossEntropy
from mlr.objectives import Objective
from mlr.training.examples import one_hot_targets

WIDTHS = (2, 3, 10)
SCALES = (1.0, 100.0, 1e4)
COLOURS = (drawing.BLUE, drawing.VERMILLION, drawing.GREEN)


def one_of_k(lab: Lab) -> Answer:
    """How is one class of K written as a target?

    Source: lecture.
    """
    labels = torch.arange(10)
    targets = one_hot_targets(labels, 10, 10, torch.float64)
    back = Softmax().classify(targets)

    def draw(axes: Any) -> None:
        axes.grid(False)
        rows, columns = targets.nonzero(as_tuple=True)
        axes.scatter(columns, rows, s=420, marker="s", color=drawing.BLUE)
        for row in range(10):
            for column in range(10):
                value = f"{targets[row, column]:g}"
                colour = drawing.PAPER if row == column else drawing.INK
                axes.text(column, row, value, ha="center", va="center", color=colour)
        axes.set(xlabel="output k", ylabel="class", xticks=range(10), yticks=range(10))
        axes.set(xlim=(-0.6, 9.6), ylim=(9.6, -0.6))

    return Answer(
        "As a vector of K numbers (one of K, “one-hot”): 1 at the class and 0 elsewhere. Its "
        f"arg max is the class again, for {int((back == labels).sum())} of 10 classes.",
        (
            Claim(
                "the ten classes, encoded and decoded",
                ", ".join(map(str, back.tolist())),
                bool((back == labels).all()),
            ),
            close("each target sums to 1", float((targets.sum(-1) - 1).abs().max()), 0, 0),
            Claim(
                "its entries are 0 or 1",
                " and ".join(f"{value:g}" for value in targets.unique().tolist()),
                set(targets.flatten().tolist()) == {0.0, 1.0},
            ),
        ),
        (sketch("the targets of ten classes", draw),),
    )


def generalises(lab: Lab) -> Answer:
    """How does softmax generalise the logistic sigmoid?

    Softmax: y_k = exp(z_k) / ∑_j exp(z_j), for k = 1, …, K.

    Slip: softmax(z₁, …, z_K) is a vector; its entry y_k needs the index k.

    Source: lecture.
    """
    three = random_logits(100_000, 3, 20.0)
    fraction = three.exp() / three.exp().sum(-1, keepdim=True)
    from_fraction = float((Softmax()(three) - fraction).abs().max())
    z = random_logits(100_000, 2, 20.0)
    difference = z[:, :1] - z[:, 1:]
    off = float((Softmax()(z)[:, :1] - Sigmoid()(difference)).abs().max())
    t = torch.rand(100_000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    both = Objective("softmax", "ce", outputs=2).losses(z, torch.cat((t, 1 - t), -1))
    one = Objective("sigmoid", "bce", outputs=1).losses(difference, t)
    losses_off = float(((both - one) / one).abs().max())

    def draw(axes: Any) -> None:
        z = logits(-8, 8)
        y = Softmax()(torch.cat((z, torch.zeros_like(z)), -1))
        axes.plot(z[:, 0], y[:, 0], **drawing.of_head("softmax") | {"label": "softmax([z, 0])₁"})
        dots = logits(-8, 8, 33)
        axes.plot(dots[:, 0], Sigmoid()(dots)[:, 0], "o", color=drawing.BLUE, label="σ(z)")
        axes.set(xlabel="difference of the logits z", ylabel="prediction y")
        axes.legend(loc="upper left")

    return Answer(
        "For two logits the fraction exp(z₁)/(exp(z₁) + exp(z₂)) is 1/(1 + exp(z₂ − z₁)), the "
        "logistic sigmoid of their difference z₁ − z₂. For 100,000 random pairs the two differ by "
        f"{number(off, 2)} at most.",
        (
            close("K = 3: y_k = exp(z_k) / ∑_j exp(z_j)", from_fraction, 0, 1e-15),
            close("softmax(z)₁ = σ(z₁ − z₂)", off, 0, 1e-15),
            close("softmax + CE = sigmoid + BCE (relative)", losses_off, 0, 1e-14),
        ),
        (sketch("softmax of two logits is a sigmoid", draw),),
    )


def error_as_gradient(lab: Lab) -> Answer:
    """What is the gradient of −tᵀ log softmax(z)?

    Source: lecture; Goodfellow et al., Deep Learning, 6.2.2.3.
    """
    claims = []
    for outputs in WIDTHS:
        z = random_logits(10_000, outputs, 5.0)
        t = Softmax()(random_logits(10_000, outputs, 2.0, seed=1))
        objective = Objective("softmax", "ce", outputs=outputs)
        y = Softmax()(z)
        whole = -(t * y.log()).sum(-1)
        losses_off = float(((objective.losses(z, t) - whole) / whole).abs().max())
        # the literal loss of the literal head, differentiated by torch
        by_torch = torch.func.grad(lambda z, t=t: CrossEntropy()(Softmax()(z), t).sum())(z)
        gradient = objective.gradient(z, t)
        off = float((gradient - (y - t)).abs().max())
        torch_off = float((by_torch - gradient).abs().max())
        claims += [
            close(f"K = {outputs}: L = −tᵀ log y (relative)", losses_off, 0, 1e-13),
            close(f"K = {outputs}: dL/dz = y − t", off, 0, 1e-15),
            close(f"K = {outputs}: torch's derivative", torch_off, 0, 1e-14),
        ]
    z, t = torch.tensor([2.0, 1.0, -1.0]).double(), torch.tensor([0.0, 1.0, 0.0]).double()
    y, gradient = Softmax()(z), Objective("softmax", "ce").gradient(z, t)

    def draw(axes: Any) -> None:
        for shift, values, name, colour in (
            (-0.27, y, "prediction y", drawing.BLUE),
            (0.0, t, "target t", drawing.GREY),
            (0.27, gradient, "gradient dL/dz", drawing.VERMILLION),
        ):
            places = [k + shift for k in (1, 2, 3)]
            axes.bar(places, values.tolist(), 0.25, color=colour, label=name)
        rule(axes, y=0)
        axes.set(xlabel="output k", xticks=(1, 2, 3))
        axes.legend()

    return Answer(
        "Prediction minus target, y − t, for hard and soft targets. At z = (2, 1, −1), "
        f"t = (0, 1, 0) it is ({', '.join(number(g, 3) for g in gradient.tolist())}).",
        tuple(claims),
        (sketch("prediction, target and gradient of three outputs", draw),),
    )


def a_distribution(lab: Lab) -> Answer:
    """Are softmax outputs probabilities, whatever the logits?

    The true value of each is above 0; float64 rounds values below 2.5×10⁻³²⁴ to 0.

    Source: lecture.
    """
    sums, least = [], []
    for scale in SCALES:
        y = Softmax()(random_logits(100_000, 10, scale))
        sums.append(float((y.sum(-1) - 1).abs().max()))
        least.append(float(y.min()))
    claims = [
        close(f"logits in ±{scale:,.0f}: the sum is 1", off, 0, 1e-15)
        for scale, off in zip(SCALES, sums, strict=True)
    ]
    claims += [
        Claim("logits in ±100: every entry is above 0", number(least[1], 2), least[1] > 0),
        Claim("logits in ±10,000: no entry is below 0", number(least[2], 2), least[2] >= 0),
    ]

    def draw(axes: Any) -> None:
        z, bottom = logits(-8, 8), torch.zeros(801, dtype=torch.float64)
        y = Softmax()(torch.cat((z, torch.zeros_like(z), torch.ones_like(z)), -1))
        for k, colour in enumerate(COLOURS):
            top = bottom + y[:, k]
            axes.fill_between(z[:, 0], bottom, top, color=colour, alpha=0.45, linewidth=0)
            bottom = top
        for text, x, at in (("y₁", 5, 0.4), ("y₂", -5, 0.13), ("y₃", -5, 0.65)):
            axes.text(x, at, text, ha="center", va="center", fontsize=24)
        axes.set(xlabel="logit z₁, with z₂ = 0 and z₃ = 1", ylabel="predictions, stacked")
        axes.set(xlim=(-8, 8), ylim=(0, 1))

    return Answer(
        f"Yes: of 300,000 random logit vectors up to ±10,000 no sum differs from 1 by more than "
        f"{number(max(sums), 2)}, and no entry is negative.",
        tuple(claims),
        (sketch("three predictions, stacked: their sum is 1 at every z₁", draw),),
    )


def random_logits(count: int, outputs: int, scale: float, seed: int = 0) -> Tensor:
    """Logits (count, outputs) in float64, uniform in ±scale."""
    generator = torch.Generator().manual_seed(seed)
    return scale * (2 * torch.rand(count, outputs, dtype=torch.float64, generator=generator) - 1)


SLIDES = (
    Slide(38, "One of K", one_of_k, "One-of-K target."),
    Slide(39, "Softmax generalises the sigmoid", generalises, "Softmax generalises the logistic."),
    Slide(40, "The gradient is the error", error_as_gradient, "L_CE = −∑ t log y = −tᵀ log y."),
    Slide(41, "Softmax is a distribution", a_distribution, "Positive, sums to 1."),
)
