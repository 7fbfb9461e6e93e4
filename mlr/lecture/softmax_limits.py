"""Slides 42–44: softmax towards arg max, under shifts, and at the start of training."""

from __future__ import annotations

from math import log
from typing import Any

import torch
from torch import Tensor

from mlr.app.lab import Lab, Trained
from mlr.heads import Softmax
from mlr.lecture import drawing
from mlr.lecture.answer import Answer, Claim, Picture, Slide, close, number
from mlr.lecture.drawing import rule, sketch
from mlr.lecture.one_logit import logits
from mlr.lecture.softmax import COLOURS, WIDTHS, random_logits
from mlr.objectives import Objective
from mlr.training.examples import one_hot_targets

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


def _by_temperature() -> Picture:
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
                close(f"K = 3, t = (1, 0, 0): gradient {k} is {name}", got, exact, 1e-16)
                for k, name, got, exact in zip(
                    (1, 2, 3), ("−2/3", "1/3", "1/3"), gradient, (-2 / 3, 1 / 3, 1 / 3), strict=True
                )
            ),
            close("a run from zero weights starts at ln 10", first, log(10), 1e-6),
            Claim("a run from weights N(0, 1) starts above it", f"{other:.4f}", other > log(10)),
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
        axes.set(xlabel="updates", ylabel="loss of a batch of digits", ylim=(0, None))
        axes.legend()

    return sketch("loss of the first batches, by initial weights", draw, runs[0])


DTYPES = (torch.float64, torch.float32)


def _gap(gap: float, dtype: torch.dtype = torch.float64) -> Tensor:
    """Three logits (3,), the first so much larger than the others."""
    return torch.tensor([gap, 0.0, 0.0], dtype=dtype)


def _rest(gap: float) -> float:
    """1 − y of the largest of three predictions, as the sum of the other two."""
    return float(Softmax()(_gap(gap))[1:].sum())


def _first_one(dtype: torch.dtype) -> int:
    """The smallest whole gap whose largest prediction of three is computed as exactly 1."""
    return next(gap for gap in range(100) if float(Softmax()(_gap(gap, dtype))[0]) == 1)


def _first_rounded(dtype: torch.dtype) -> int:
    """The smallest whole gap whose largest prediction of three is 1 when rounded once."""
    # half the distance from 1 to the float below; a tie goes to 1, which is even
    half = torch.finfo(dtype).eps / 4
    return next(gap for gap in range(100) if _rest(gap) <= half)


SLIDES = (
    Slide(42, "Softmax tends to arg max", towards_arg_max, "If one z_k is much larger: arg max."),
    Slide(43, "Shifts change nothing", shift_invariant),
    Slide(44, "The loss at the start", at_the_start, "Start value."),
)
