"""Slides 20–22: gradient descent on a clipped linear unit, and on the unit without the clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from mlr.heads import ClippedLinear
from mlr.lecture.lab import Lab, Series, Trained
from mlr.lecture.page.answer import Answer, Claim, Illustration, Slide, close, number, percent
from mlr.lecture.page.drawing import BLUE, GREY, HALF, ORANGE, VERMILLION, curves, line, of_pair
from mlr.lecture.slides.one_logit import normal_logits
from mlr.objectives import Objective

DEAD = {
    1: 0.65865525393145705,
    2: 0.80853753872598690,
    5: 0.92074029056089698,
    10: 0.96017216272297102,
}
"""1 − P(0 ≤ z ≤ 1) for z ~ N(0, s²), by s."""


def no_gradient(lab: Lab) -> Answer:
    """Which gradient does a clipped linear unit get outside [0, 1]?

    Source: lecture; Goodfellow et al., Deep Learning, 6.2.2.2.
    """
    objective = Objective("clipped_linear", "se")
    z = torch.linspace(-3, 4, 1401, dtype=torch.float64)[:, None]
    outside = (z < 0) | (z > 1)
    ones = torch.ones_like(z)
    slopes = {t: objective.gradient(z, t * ones) for t in (0, 1)}
    largest = max(float(slope[outside].abs().max()) for slope in slopes.values())
    start = ("model.weight=1", "model.bias=1", "epochs=200")
    stuck = lab.sweep("experiment=clipped", "loss=se,bce", *start)
    moved = max(abs(float(run.parameters["output.weight"]) - 1) for run in stuck)
    alone, shared = _shared((1.0,))[-1], _shared((1.0, 0.5))[-1]
    claims = (
        close("dL/dz = 0 exactly at every z outside [0, 1], for t = 0 and t = 1", largest, 0, 0),
        close(
            "from z = 2, t = 0: the weight is still 1 after 200 updates, SE and BCE", moved, 0, 0
        ),
        close("from z = −1, t = 1: z is still −1 after 200 updates", _descend(-1.0, 1.0), -1, 0),
        close(
            f"x = 1, t = 0 with w = {WEIGHT:g}, alone: z is still {WEIGHT:g} after 200 updates",
            alone,
            WEIGHT,
            0,
        ),
        close("with a second example x = ½, t = 0 on the same w: z goes to 0", shared, 0, 1e-3),
        *(
            close(
                f"z ~ N(0, {s}²): {100 * share:.2f} % of the logits get no gradient",
                100 * _dead(s),
                100 * share,
                0.01,
                " %",
            )
            for s, share in DEAD.items()
        ),
    )
    return Answer(
        f"None: dL/dz is {largest:g} at every z outside, where {percent(_dead(1))} of logits "
        "z ~ N(0, 1) lie. Such an example never moves itself, but another example that shares its "
        "weights can move it.",
        claims,
        (_gradients(z, slopes), _dead_at_the_start()),
    )


WEIGHT = 1.5
"""Initial weight that two examples share: the logit of x = 1 is outside [0, 1], of x = ½ inside."""


def _shared(inputs: Sequence[float]) -> list[float]:
    """Train examples with z = wx, t = 0 from w = 1.5; returns the logits of the first."""
    objective = Objective("clipped_linear", "se")
    x = torch.tensor(inputs, dtype=torch.float64)[:, None]
    w, logits = WEIGHT, [WEIGHT * inputs[0]]
    for _ in range(200):
        w -= 0.15 * float((objective.gradient(w * x, torch.zeros_like(x)) * x).sum())
        logits.append(w * inputs[0])
    return logits


def _gradients(z: Tensor, slopes: Mapping[int, Tensor]) -> Illustration:
    return curves(
        "gradient against logit",
        [
            (z, slopes[1], line(BLUE, "target 1")),
            (z, slopes[0], line(VERMILLION, "target 0", "--")),
        ],
        size=HALF,
        xlabel="logit z",
        ylabel="dL/dz of clipped-linear + SE",
    )


def _dead_at_the_start() -> Illustration:
    spread = torch.logspace(-1, 1.3, 60, dtype=torch.float64)
    return curves(
        "share of random logits outside [0, 1], where dL/dz = 0",
        [
            (
                spread,
                [100 * _dead(float(s)) for s in spread],
                of_pair("clipped_linear", "se"),
            )
        ],
        size=HALF,
        xlabel="spread s of z ~ N(0, s²)",
        ylabel="% without gradient",
        xscale="log",
        ylim=(0, 100),
    )


def _descend(start: float, target: float) -> float:
    """Compute the logit after 200 updates of clipped-linear + SE from `start`."""
    objective = Objective("clipped_linear", "se")
    z, t = torch.full((1, 1), start).double(), torch.full((1, 1), target).double()
    for _ in range(200):
        z = z - 0.15 * objective.gradient(z, t)
    return float(z)


def _dead(spread: float) -> float:
    """Compute the share of z ~ N(0, spread²) where the slope of the unit is 0."""
    return float((ClippedLinear().slope(normal_logits(spread)) == 0).double().mean())


SPREADS = (0.5, 2, 5, 10)
SEEDS = 40
START = (
    *("data=blobs", "data.seed=0", "data.n=200", "data.noise=0.3", "model.init=he"),
    *("optimizer.lr=0.5", "epochs=200", "probes.points=50", "probes.histograms=0"),
    f"seed=range({SEEDS})",
)
Table = Mapping[float, Sequence[Trained]]


def not_trainable(lab: Lab) -> Answer:
    """Can gradient descent optimise a clipped linear unit?

    The scale s multiplies the initial weights; an example is stuck if it is predicted wrongly
    and its gradient is 0.

    Source: lecture.
    """
    spreads = f"model.init_scale={','.join(map(str, SPREADS))}"
    clipped = _by_spread(lab.sweep("head=clipped_linear", "loss=se", spreads, *START))
    sigmoid = _by_spread(lab.sweep("head=sigmoid", "loss=bce", spreads, *START))
    reached = {s: _solved(runs) for s, runs in clipped.items()}
    wide, near = SPREADS[-1], SPREADS[0]
    stuck, freed = _freed(clipped[near])
    return Answer(
        f"Not reliably: of {SEEDS} starts {reached[near]:g} % get all examples right with initial "
        f"weights of scale {near}, and {reached[wide]:g} % with scale {wide}; sigmoid + BCE gets "
        f"there from every start. Shared weights can free stuck examples (in {freed} of {stuck} "
        f"starts of scale {near} that have some), but need not.",
        tuple(_of_starts(clipped, sigmoid)),
        (_reached(reached, clipped, sigmoid), _stuck(clipped, sigmoid)),
    )


def _of_starts(clipped: Table, sigmoid: Table) -> list[Claim]:
    reached = {s: _solved(runs) for s, runs in clipped.items()}
    wide, near = SPREADS[-1], SPREADS[0]
    flat = _mean(clipped[wide], "saturation/fraction")[1][0]
    end, of_sigmoid = (_mean(runs[wide], "stuck/fraction")[1][-1] for runs in (clipped, sigmoid))
    stuck, freed = _freed(clipped[near])
    return [
        close(
            f"sigmoid + BCE gets all right from {SEEDS} of {SEEDS} starts at every scale s",
            min(map(_solved, sigmoid.values())),
            100,
            0,
            " %",
        ),
        Claim(
            "clipped-linear + SE from fewer and fewer, the larger s is",
            ", ".join(f"{share:g} % (s = {s:g})" for s, share in reached.items()),
            all(after < before for before, after in pairwise(reached.values())),
        ),
        Claim(
            f"s = {wide}: more than 90 % of the examples have no gradient at the start",
            percent(flat),
            flat > 0.9,
        ),
        Claim(
            f"s = {near}: some starts with stuck examples end with all examples right, some do not",
            f"{freed} of {stuck}",
            0 < freed < stuck,
        ),
        Claim(
            f"s = {wide}: examples that are stuck at the end",
            f"{percent(end)}, with sigmoid + BCE {percent(of_sigmoid)}",
            end > 0.2 and of_sigmoid == 0,
        ),
    ]


def _freed(runs: Sequence[Trained]) -> tuple[int, int]:
    """Count the starts with stuck examples, and those of them that end with all examples right."""
    stuck = [run for run in runs if run.series["stuck/fraction"][1][0] > 0]
    return len(stuck), sum(run.metrics["accuracy/train"] == 1 for run in stuck)


def _reached(reached: Mapping[float, float], clipped: Table, sigmoid: Table) -> Illustration:
    solved = list(map(_solved, sigmoid.values()))
    return curves(
        f"share of {SEEDS} starts that end with every example right",
        [
            (SPREADS, solved, of_pair("sigmoid", "bce") | {"marker": "o"}),
            (SPREADS, list(reached.values()), of_pair("clipped_linear", "se") | {"marker": "s"}),
        ],
        *_one_each(clipped, sigmoid),
        size=HALF,
        xlabel="scale s of the initial weights",
        ylabel="% of the starts",
        xscale="log",
        xticks=SPREADS,
        xticklabels=[f"{s:g}" for s in SPREADS],
        ylim=(0, 140),
        yticks=[0, 25, 50, 75, 100],
        legend="upper left",
    )


def _stuck(clipped: Table, sigmoid: Table) -> Illustration:
    """Draw TensorBoard's curve stuck/fraction, its mean over the starts."""
    wide, near = SPREADS[-1], SPREADS[0]
    drawn = (
        (clipped[wide], line(GREY, f"clipped-linear, s = {wide:g}", ":")),
        (clipped[near], line(ORANGE, f"clipped-linear, s = {near:g}", "--")),
        (sigmoid[wide], line(BLUE, f"sigmoid + BCE, s = {wide:g}")),
    )
    lines = []
    for runs, style in drawn:
        steps, shares = _mean(runs, "stuck/fraction")
        lines.append((steps, 100 * shares, style))
    return curves(
        "stuck examples (stuck/fraction in TensorBoard), mean over the starts",
        lines,
        *_one_each(clipped, sigmoid),
        size=HALF,
        xlabel="updates",
        ylabel="% of the examples",
        ylim=(-2, 90),
        legend="upper right",
    )


def _one_each(*sweeps: Table) -> list[Trained]:
    """Select one run of each sweep."""
    return [runs[0] for sweep in sweeps for runs in list(sweep.values())[:1]]


def _by_spread(runs: Sequence[Trained]) -> Table:
    return {s: runs[at * SEEDS : (at + 1) * SEEDS] for at, s in enumerate(SPREADS)}


def _solved(runs: Sequence[Trained]) -> float:
    """Compute the percentage of runs that get all training examples right."""
    return 100 * sum(run.metrics["accuracy/train"] == 1 for run in runs) / len(runs)


def _mean(runs: Sequence[Trained], tag: str) -> Series:
    """Average the series `tag` over runs; returns steps and means."""
    series = [run.series[tag] for run in runs]
    return series[0][0], np.mean([values for _, values in series], axis=0)


def without_clip(lab: Lab) -> Answer:
    """Does the unit learn if the min and the max are removed?

    Source: lecture.
    """
    start = ("experiment=clipped", "head=clipped_linear,linear", "loss=se", "epochs=60")
    clipped, linear = lab.sweep(*start)
    spread = SPREADS[-1]
    starts = lab.sweep("head=linear", "loss=se", f"model.init_scale={spread}", *START)
    first, last = (float(linear.series["loss/train"][1][at]) for at in (0, -1))
    claims = (
        close(
            "from z = 4, t = 0, clipped: the loss stays ½",
            float(clipped.series["loss/train"][1][-1]),
            0.5,
            0,
        ),
        Claim(
            "the same start without the clip: the loss falls below 10⁻⁶",
            f"{first:g} → {number(last, 2)}",
            last < 1e-6,
        ),
        close(
            f"linear + SE gets all right from all {SEEDS} starts of section 21 with s = {spread}",
            _solved(starts),
            100,
            0,
            " %",
        ),
    )
    return Answer(
        f"Yes: from z = 4, t = 0 its loss falls from {first:g} to {number(last, 1)}, where that of "
        "the clipped unit stays 0.5.",
        claims,
        (
            curves(
                "from z = 4 with target 0",
                [
                    (*clipped.series["loss/train"], of_pair("clipped_linear", "se")),
                    (*linear.series["loss/train"], of_pair("linear", "se")),
                ],
                clipped,
                xlabel="updates",
                ylabel="loss",
            ),
        ),
    )


SLIDES = (
    Slide(
        20,
        "No gradient outside [0, 1]",
        no_gradient,
        "Question: “gradients outside [0, 1]?” Answer: “none”.",
    ),
    Slide(
        21,
        "Gradient descent on a clipped unit",
        not_trainable,
        "A clipped linear unit cannot be optimised by gradient descent.",
    ),
    Slide(22, "Without min and max", without_clip, "Remove min and max."),
)
