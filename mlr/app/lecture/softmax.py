"""Slides 38–44: one of K classes, and the softmax that makes probabilities of K logits."""

from __future__ import annotations

from math import log
from typing import Any

import torch
from torch import Tensor

from mlr.app.lecture import drawing
from mlr.app.lecture.answer import Answer, Claim, Picture, Slide, close, number
from mlr.app.lecture.lab import Lab, Trained
from mlr.app.lecture.one_logit import logits
from mlr.app.lecture.sketch import rule, sketch
from mlr.heads import Sigmoid, Softmax
from mlr.losses import CrossEntropy
from mlr.objectives import Objective
from mlr.training.examples import one_hot_targets

WIDTHS = (2, 3, 10)
SCALES = (1.0, 100.0, 1e4)
COLOURS = (drawing.BLUE, drawing.VERMILLION, drawing.GREEN)


def one_of_k(lab: Lab) -> Answer:
    """How is one class of K written as a target?

    Source: lecture slide 38.
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
        f"As a vector of K numbers, 1 at the class and 0 elsewhere; the place of the largest gives "
        f"the class back, for {int((back == labels).sum())} of 10 classes.",
        (
            Claim(
                "encoded and decoded, all ten classes are themselves",
                f"{back.tolist()}",
                bool((back == labels).all()),
            ),
            close("each target sums to 1", float((targets.sum(-1) - 1).abs().max()), 0, 0),
            Claim(
                "its entries are 0 or 1",
                f"{sorted(set(targets.flatten().tolist()))}",
                set(targets.flatten().tolist()) == {0.0, 1.0},
            ),
        ),
        (sketch("the targets of ten classes", draw, height=5.6),),
    )


def generalises(lab: Lab) -> Answer:
    """What is softmax of two logits?

    Slip: softmax(z₁, …, z_K) is a vector; what equals y_k needs the index k.

    Source: lecture slide 39.
    """
    z = _random(100_000, 2, 20.0)
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
        f"The logistic sigmoid of their difference: over 100,000 random pairs they differ by "
        f"{off:.1e} at most.",
        (
            close("softmax(z)₁ = σ(z₁ − z₂), but for 1e−15", off, 0, 1e-15),
            close("softmax + CE = sigmoid + BCE, but for 1e−14 of it", losses_off, 0, 1e-14),
        ),
        (sketch("softmax of two logits is a sigmoid", draw),),
    )


def error_as_gradient(lab: Lab) -> Answer:
    """What is the gradient of −tᵀ log softmax(z)?

    Source: lecture slide 40; Goodfellow et al., Deep Learning, 6.2.2.3.
    """
    claims = []
    for outputs in WIDTHS:
        z, t = _random(10_000, outputs, 5.0), torch.softmax(_random(10_000, outputs, 2.0, 1), -1)
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
            close(f"K = {outputs}: L = −tᵀ log y, but for 1e−13 of it", losses_off, 0, 1e-13),
            close(f"K = {outputs}: dL/dz = y − t, but for 1e−15", off, 0, 1e-15),
            close(f"K = {outputs}: torch's derivative, but for 1e−14", torch_off, 0, 1e-14),
        ]
    z, t = torch.tensor([2.0, 1.0, -1.0]).double(), torch.tensor([0.0, 1.0, 0.0]).double()
    y, gradient = Softmax()(z), Objective("softmax", "ce").gradient(z, t)

    def draw(axes: Any) -> None:
        for shift, values, name, colour in (
            (-0.27, y, "prediction y", drawing.BLUE),
            (0.0, t, "target t", drawing.GREY),
            (0.27, gradient, "gradient dL/dz", drawing.VERMILLION),
        ):
            axes.bar(torch.arange(1, 4) + shift, values, 0.25, color=colour, label=name)
        rule(axes, y=0)
        axes.set(xlabel="output k", xticks=(1, 2, 3))
        axes.legend()

    return Answer(
        "Prediction less target, y − t, for hard and soft targets alike; at z = (2, 1, −1), "
        f"t = (0, 1, 0) it is ({', '.join(number(g, 3) for g in gradient.tolist())}).",
        tuple(claims),
        (sketch("prediction, target and gradient of three outputs", draw),),
    )


def a_distribution(lab: Lab) -> Answer:
    """Are softmax outputs probabilities, whatever the logits?

    The true value of each is above 0; floating point rounds what is below 1e−323 to 0.

    Source: lecture slide 41.
    """
    sums, least = [], []
    for scale in SCALES:
        y = Softmax()(_random(100_000, 10, scale))
        sums.append(float((y.sum(-1) - 1).abs().max()))
        least.append(float(y.min()))
    claims = [
        close(f"logits in ±{scale:g}: the sum is 1, but for 1e−15", off, 0, 1e-15)
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
            axes.fill_between(z[:, 0], bottom, top, color=colour, alpha=0.75, label=f"y{'₁₂₃'[k]}")
            bottom = top
        axes.set(xlabel="logit z₁ beside z₂ = 0, z₃ = 1", ylabel="predictions, stacked")
        axes.set(xlim=(-8, 8), ylim=(0, 1))
        axes.legend(loc="upper left", labelcolor=drawing.INK)

    return Answer(
        f"Yes: of 300,000 random logit vectors up to ±10,000 no sum is off 1 by more than "
        f"{max(sums):.1e}, and no entry is negative.",
        tuple(claims),
        (sketch("three predictions always fill the whole", draw),),
    )


def towards_arg_max(lab: Lab) -> Answer:
    """What becomes of softmax when one logit is much larger than the others?

    Source: lecture slide 42.
    """
    published = {5: 0.0132967089577320, 10: 9.07916156590218e-5, 20: 4.12230722788370e-9}
    rest = {gap: float(Softmax()(_gap(gap))[1:].sum()) for gap in published}
    one_hot = {dtype: _first_one_hot(dtype) for dtype in (torch.float64, torch.float32)}

    def draw(axes: Any) -> None:
        z = torch.tensor([2.0, 1.0, 0.5], dtype=torch.float64)
        temperature = torch.logspace(-1.2, 1.5, 301, dtype=torch.float64).unsqueeze(1)
        y = Softmax()(z / temperature)
        for k, (colour, style) in enumerate(zip(COLOURS, ("-", "--", "-."), strict=True)):
            axes.plot(temperature, y[:, k], style, color=colour, label=f"z = {z[k]:g}")
        rule(axes, y=1 / 3)
        axes.set(xlabel="temperature T (logarithmic)", ylabel="softmax(z/T)", xscale="log")
        axes.legend()

    close_one = [
        close(f"gap {gap}, K = 3: 1 − y is {exact:.3g}", rest[gap], exact, 1e-14 * exact)
        for gap, exact in published.items()
    ]
    return Answer(
        f"It becomes arg max: with a gap of 5 all but {rest[5]:.4f}, of 20 all but {rest[20]:.1e} "
        f"go to the largest; from {one_hot[torch.float64]} on float64 cannot tell it from 1.",
        (
            *close_one,
            close("float64: y is exactly 1 from gap 37 on", one_hot[torch.float64], 37, 0),
            close("float32: from gap 17 on", one_hot[torch.float32], 17, 0),
        ),
        (sketch("softmax from uniform to arg max by temperature", draw),),
    )


def shift_invariant(lab: Lab) -> Answer:
    """What changes if the same number is added to every logit?

    Source: implied by lecture slide 39; Goodfellow et al., Deep Learning, 6.2.2.3, eq. 6.32.
    """
    # of 2⁻²⁰ parts, so that adding 1000 rounds nothing away
    z = (_random(10_000, 10, 20.0) * 2**20).round() / 2**20
    t = one_hot_targets(torch.arange(10_000) % 10, 10, 10, torch.float64)
    objective = Objective("softmax", "ce", outputs=10)
    off = {
        "predictions": Softmax()(z + 1000) - Softmax()(z),
        "losses": objective.losses(z + 1000, t) - objective.losses(z, t),
        "gradients": objective.gradient(z + 1000, t) - objective.gradient(z, t),
    }
    total = float(objective.gradient(z, t).sum(-1).abs().max())

    def draw(axes: Any) -> None:
        values = torch.tensor([2.0, 1.0, 0.0], dtype=torch.float64)
        shifts = logits(-1000, 1000, 9)
        y = Softmax()(values + shifts)
        for k, colour in enumerate(COLOURS):
            axes.plot(shifts[:, 0], y[:, k], "o-", color=colour, label=f"z = {values[k]:g} + shift")
        axes.set(xlabel="shift of all logits", ylabel="predictions", ylim=(0, 1))
        axes.legend(loc="upper right")

    return Answer(
        "Nothing, to the last bit: predictions, losses and gradients of z + 1000 are those of z.",
        (
            *(
                close(f"{name} of z + 1000 equal those of z", float(one.abs().max()), 0, 0)
                for name, one in off.items()
            ),
            close("so the gradient sums to 0, but for 1e−15", total, 0, 1e-15),
        ),
        (sketch("softmax of shifted logits", draw),),
    )


def at_the_start(lab: Lab) -> Answer:
    """What should the loss be before anything is learnt?

    Source: lecture slide 44.
    """
    start = torch.zeros(3, dtype=torch.float64)
    target = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    gradient = Objective("softmax", "ce").gradient(start, target).tolist()
    found = {}
    for outputs in WIDTHS:
        z, t = torch.zeros(outputs).double(), torch.eye(outputs).double()[0]
        found[outputs] = float(Objective("softmax", "ce").losses(z, t))
    runs = lab.sweep("model.init=zeros,normal", "epochs=4", "probes.histogram_points=0")
    first, other = (float(run.series["loss/train"][1][0]) for run in runs)
    return Answer(
        f"ln K: all logits 0 give ln 10 = {found[10]:.6f} for ten classes, and that is where a run "
        f"on digits starts, {first:.6f}; from random weights {other:.2f}.",
        (
            close("K = 2: ln 2 = 0.693147", found[2], log(2), 1e-15),
            close("K = 3: ln 3 = 1.098612", found[3], log(3), 1e-15),
            close("K = 10: ln 10 = 2.302585", found[10], log(10), 1e-15),
            *(
                close(f"K = 3, t = (1, 0, 0): gradient {k} is {name}", got, exact, 1e-16)
                for k, name, got, exact in zip(
                    (1, 2, 3), ("−2/3", "1/3", "1/3"), gradient, (-2 / 3, 1 / 3, 1 / 3), strict=True
                )
            ),
            close("a run from zero weights starts at ln 10", first, log(10), 1e-6),
            Claim("one from large random weights above it", f"{other:.4f}", other > log(10)),
        ),
        (_starts(runs),),
    )


def _starts(runs: list[Trained]) -> Picture:
    def draw(axes: Any) -> None:
        for run, name, colour, style in zip(
            runs, ("zeros", "N(0, 1)"), (drawing.BLUE, drawing.VERMILLION), "-:", strict=True
        ):
            steps, losses = run.series["loss/train"]
            axes.plot(steps, losses, style, color=colour, label=f"initial weights {name}")
        rule(axes, y=log(10))
        axes.text(steps[-1], log(10) + 0.1, "ln 10", ha="right", color=drawing.INK)
        axes.set(xlabel="updates", ylabel="cross-entropy of a batch of digits", ylim=(0, None))
        axes.legend()

    return sketch("where learning starts", draw, runs[0])


def _random(count: int, outputs: int, scale: float, seed: int = 0) -> Tensor:
    """Logits (count, outputs) in float64, uniform in ±scale."""
    generator = torch.Generator().manual_seed(seed)
    return scale * (2 * torch.rand(count, outputs, dtype=torch.float64, generator=generator) - 1)


def _gap(gap: float, dtype: torch.dtype = torch.float64) -> Tensor:
    """Three logits (3,), the first so much larger than the others."""
    return torch.tensor([gap, 0.0, 0.0], dtype=dtype)


def _first_one_hot(dtype: torch.dtype) -> int:
    """The smallest whole gap whose largest prediction of three is exactly 1."""
    return next(gap for gap in range(100) if float(Softmax()(_gap(gap, dtype))[0]) == 1)


SLIDES = (
    Slide(38, "One of K", one_of_k),
    Slide(39, "Softmax generalises the sigmoid", generalises),
    Slide(40, "The gradient is the error", error_as_gradient),
    Slide(41, "Softmax is a distribution", a_distribution),
    Slide(42, "Softmax tends to arg max", towards_arg_max),
    Slide(43, "Shifts change nothing", shift_invariant),
    Slide(44, "The loss at the start", at_the_start),
)
