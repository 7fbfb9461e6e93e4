"""Slides 38–44: one of K classes, and the softmax that makes probabilities of K logits."""

from __future__ import annotations

from math import log
from typing import Any

import torch
from torch import Tensor

from mlr.heads import Sigmoid, Softmax
from mlr.lecture.lab import Lab, Trained
from mlr.lecture.page import drawing
from mlr.lecture.page.answer import Answer, Claim, Illustration, Slide, close, number
from mlr.lecture.page.drawing import rule, sketch
from mlr.lecture.slides.one_logit import logits
from mlr.losses import CrossEntropy
from mlr.objectives import Objective

WIDTHS = (2, 3, 10)
SCALES = (1.0, 100.0, 1e4)
COLOURS = (drawing.BLUE, drawing.VERMILLION, drawing.GREEN)


def one_of_k(lab: Lab) -> Answer:
    """How is one class of K written as a target?

    Source: lecture.
    """
    labels = torch.arange(10)
    targets = Softmax().encode(labels, 10).double()
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
    """Draw logits (count, outputs) in float64, uniform in ±scale."""
    generator = torch.Generator().manual_seed(seed)
    return scale * (2 * torch.rand(count, outputs, dtype=torch.float64, generator=generator) - 1)


REST = {5: 0.0132967089577320, 10: 9.07916156590218e-5, 20: 4.12230722788370e-9}
"""1 − y of the largest of three predictions, by the gap of its logit to the others."""


def towards_arg_max(lab: Lab) -> Answer:
    """What does softmax tend to if one logit is much larger than the others?

    arg max stands for its one-hot vector: 1 at the largest logit, 0 elsewhere. The largest
    prediction of K = 3 is y = 1/(1 + 2 exp(−gap)) < 1. Correctly rounded it is 1 as soon as 1 − y
    is at most half the distance from 1 to the next float below: from gap 55 ln 2 = 38.12 on in
    float64, 26 ln 2 = 18.02 in float32. The program rounds the sum 1 + 2 exp(−gap) first, hence
    earlier.

    Source: lecture.
    """
    rest = {gap: _rest(gap) for gap in REST}
    programs = {dtype: _first_one(dtype) for dtype in DTYPES}
    rounded = {dtype: _first_rounded(dtype) for dtype in DTYPES}
    claims = (
        *(
            close(f"gap {gap}, K = 3: 1 − y is {number(exact, 3)}", rest[gap], exact, 1e-14 * exact)
            for gap, exact in REST.items()
        ),
        Claim(
            "1 − y > 0 at every gap up to 700",
            f"least {number(least := min(map(_rest, range(701))), 2)}",
            least > 0,
        ),
        close(
            "float64: y, correctly rounded, is 1 from the whole gap 39 on",
            rounded[torch.float64],
            39,
            0,
        ),
        close("float32: from 19 on", rounded[torch.float32], 19, 0),
        close(
            "float64: the program's y, whose sum is rounded, is 1 from gap 37 on",
            programs[torch.float64],
            37,
            0,
        ),
        close("float32: from 17 on", programs[torch.float32], 17, 0),
    )
    return Answer(
        f"To the one-hot vector of arg max: a gap of 5 leaves {rest[5]:.4f} to the other two, a "
        f"gap of 20 leaves {number(rest[20], 2)}. It gets there only in the limit: that float64 "
        f"shows exactly 1 from gap {programs[torch.float64]} on is rounding of the sum (from "
        f"{rounded[torch.float64]} on, if y itself is correctly rounded).",
        claims,
        (_by_temperature(),),
    )


def _by_temperature() -> Illustration:
    def draw(axes: Any) -> None:
        z = torch.tensor([2.0, 1.0, 0.5], dtype=torch.float64)
        temperature = torch.logspace(-1.2, 1.5, 301, dtype=torch.float64).unsqueeze(1)
        y = Softmax()(z / temperature)
        for k, (colour, style) in enumerate(zip(COLOURS, ("-", "--", "-."), strict=True)):
            axes.plot(temperature, y[:, k], style, color=colour, label=f"z = {z[k]:g}")
        rule(axes, y=1 / 3)
        axes.set(xlabel="temperature T (logarithmic)", ylabel="softmax(z/T)", xscale="log")
        axes.legend()

    return sketch("softmax(z/T): one-hot for T → 0, uniform for T → ∞", draw)


def shift_invariant(lab: Lab) -> Answer:
    """What changes if the same number is added to every logit?

    The logits are multiples of 2⁻²⁰, so that z + 1000 is not rounded.

    Source: implied by section 39, not on a slide; Goodfellow et al., Deep Learning, 6.2.2.3,
    eq. 6.32.
    """
    z = (random_logits(10_000, 10, 20.0) * 2**20).round() / 2**20
    t = Softmax().encode(torch.arange(10_000) % 10, 10).double()
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
        "Nothing: predictions, losses and gradients of 10,000 vectors z and z + 1000 differ by "
        f"{max(float(one.abs().max()) for one in off.values()):g}.",
        (
            *(
                close(f"{name} of z + 1000 equal those of z", float(one.abs().max()), 0, 0)
                for name, one in off.items()
            ),
            close("so the gradient sums to 0", total, 0, 1e-15),
        ),
        (sketch("softmax of shifted logits", draw),),
    )


def at_the_start(lab: Lab) -> Answer:
    """At which loss should the training of softmax + CE start?

    Source: lecture.
    """
    start = torch.zeros(3, dtype=torch.float64)
    target = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    gradient = Objective("softmax", "ce").gradient(start, target).tolist()
    found = {}
    for outputs in WIDTHS:
        z, t = torch.zeros(outputs).double(), torch.eye(outputs).double()[0]
        found[outputs] = float(Objective("softmax", "ce").losses(z, t))
    runs = lab.sweep("model.init=zeros,normal", "epochs=4", "probes.histograms=0")
    first, other = (float(run.series["loss/train"][1][0]) for run in runs)
    return Answer(
        f"At ln K, the loss of K equal predictions: ln 10 = {found[10]:.6f} for ten classes. A run "
        f"on digits starts at {first:.6f} from weights of 0, and at {other:.2f} from weights drawn "
        "from N(0, 1), which make it confident before it has learned anything.",
        (
            close("K = 2: ln 2 = 0.693147", found[2], log(2), 1e-15),
            close("K = 3: ln 3 = 1.098612", found[3], log(3), 1e-15),
            close("K = 10: ln 10 = 2.302585", found[10], log(10), 1e-15),
            *(
                close(f"K = 3, t = (1, 0, 0): gradient {k} is {name}", got, exact, 2e-16)
                for k, name, got, exact in zip(
                    (1, 2, 3), ("−2/3", "1/3", "1/3"), gradient, (-2 / 3, 1 / 3, 1 / 3), strict=True
                )
            ),
            close("a run from zero weights starts at ln 10", first, log(10), 1e-6),
            Claim("a run from weights N(0, 1) starts above it", f"{other:.4f}", other > log(10)),
        ),
        (_starts(runs),),
    )


def _starts(runs: list[Trained]) -> Illustration:
    def draw(axes: Any) -> None:
        for run, name, colour, style in zip(
            runs, ("zeros", "N(0, 1)"), (drawing.BLUE, drawing.VERMILLION), "-:", strict=True
        ):
            steps, losses = run.series["loss/train"]
            axes.plot(steps, losses, style, color=colour, label=f"initial weights {name}")
        rule(axes, y=log(10))
        axes.text(steps[-1], log(10) + 0.1, "ln 10", ha="right", color=drawing.INK)
        axes.set(xlabel="updates", ylabel="loss of a batch of digits", ylim=(0, None))
        axes.legend()

    return sketch("loss of the first batches, by initial weights", draw, runs[0])


DTYPES = (torch.float64, torch.float32)


def _gap(gap: float, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return three logits (3,), the first larger than the others by `gap`."""
    return torch.tensor([gap, 0.0, 0.0], dtype=dtype)


def _rest(gap: float) -> float:
    """Compute 1 − y of the largest of three predictions, as the sum of the other two."""
    return float(Softmax()(_gap(gap))[1:].sum())


def _first_one(dtype: torch.dtype) -> int:
    """Find the smallest whole gap whose largest prediction of three is computed as exactly 1."""
    return next(gap for gap in range(100) if float(Softmax()(_gap(gap, dtype))[0]) == 1)


def _first_rounded(dtype: torch.dtype) -> int:
    """Find the smallest whole gap whose largest prediction of three is 1 when rounded once."""
    # half the distance from 1 to the float below; a tie goes to 1, which is even
    half = torch.finfo(dtype).eps / 4
    return next(gap for gap in range(100) if _rest(gap) <= half)


SLIDES = (
    Slide(38, "One of K", one_of_k, "One-of-K target."),
    Slide(39, "Softmax generalises the sigmoid", generalises, "Softmax generalises the logistic."),
    Slide(40, "The gradient is the error", error_as_gradient, "L_CE = −∑ t log y = −tᵀ log y."),
    Slide(41, "Softmax is a distribution", a_distribution, "Positive, sums to 1."),
    Slide(42, "Softmax tends to arg max", towards_arg_max, "If one z_k is much larger: arg max."),
    Slide(43, "Shifts change nothing", shift_invariant),
    Slide(44, "The loss at the start", at_the_start, "Start value."),
)
