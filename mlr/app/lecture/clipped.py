"""Slides 20–22: why gradient descent cannot train a clipped linear unit, and what can be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from mlr.app.lecture.answer import Answer, Claim, Picture, Slide, close, number, percent
from mlr.app.lecture.drawing import BLUE, GREY, HALF, ORANGE, VERMILLION, curves, line, of_pair
from mlr.app.lecture.lab import Lab, Series, Trained
from mlr.heads import ClippedLinear
from mlr.objectives import Objective

DEAD = {
    1: 0.65865525393145705,
    2: 0.80853753872598690,
    5: 0.92074029056089698,
    10: 0.96017216272297102,
}
"""1 − P(0 ≤ z ≤ 1) for z ~ N(0, s²), by s."""


def no_gradient(lab: Lab) -> Answer:
    """What gradient does a clipped linear unit get outside [0, 1]?

    Source: lecture slide 20; Goodfellow et al., Deep Learning, 6.2.2.2.
    """
    objective = Objective("clipped_linear", "se")
    z = torch.linspace(-3, 4, 1401, dtype=torch.float64)[:, None]
    outside = (z < 0) | (z > 1)
    ones = torch.ones_like(z)
    pulls = {t: objective.gradient(z, t * ones) for t in (0, 1)}
    largest = max(float(pull[outside].abs().max()) for pull in pulls.values())
    start = ("model.weight=1", "model.bias=1", "epochs=200")
    stuck = lab.sweep("experiment=clipped", "loss=se,bce", *start)
    moved = max(abs(float(run.parameters["output.weight"]) - 1) for run in stuck)
    claims = (
        close("dL/dz = 0 exactly at every z outside [0, 1], for t = 0 and t = 1", largest, 0, 0),
        close(
            "from z = 2, t = 0: after 200 updates the weight is 1 to the bit, SE and BCE",
            moved,
            0,
            0,
        ),
        close(
            "from z = −1, t = 1: after 200 updates the logit is −1 to the bit",
            _descend(-1.0, 1.0),
            -1,
            0,
        ),
        *(
            close(
                f"z ~ N(0, {s}²): {100 * share:.2f} % of the logits get no gradient",
                100 * _dead(s),
                100 * share,
                0.01,
            )
            for s, share in DEAD.items()
        ),
    )
    return Answer(
        f"None: dL/dz is {largest:g} at every z outside, so it never comes back; and of logits "
        f"z ~ N(0, 1), {percent(_dead(1))} lie there.",
        claims,
        (_gradients(z, pulls), _dead_at_the_start()),
    )


def _gradients(z: Tensor, pulls: Mapping[int, Tensor]) -> Picture:
    return curves(
        "gradient against logit",
        [
            (z, pulls[1], line(BLUE, "target 1")),
            (z, pulls[0], line(VERMILLION, "target 0", "--")),
        ],
        size=HALF,
        xlabel="logit z",
        ylabel="dL/dz of clipped-linear + SE",
    )


def _dead_at_the_start() -> Picture:
    spread = torch.logspace(-1, 1.3, 60, dtype=torch.float64)
    return curves(
        "how many logits are dead at the start",
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
    """The logit after 200 updates of clipped-linear + SE from `start`."""
    objective = Objective("clipped_linear", "se")
    z, t = torch.full((1, 1), start).double(), torch.full((1, 1), target).double()
    for _ in range(200):
        z = z - 0.15 * objective.gradient(z, t)
    return float(z)


def _dead(spread: float) -> float:
    """Share of z ~ N(0, spread²) where the unit has no slope, from 100,000 even quantiles."""
    share = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    z = spread * 2**0.5 * torch.erfinv(2 * share - 1)
    return float((ClippedLinear().slope(z) == 0).double().mean())


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

    Source: lecture slide 21.
    """
    spreads = f"model.init_scale={','.join(map(str, SPREADS))}"
    clipped = _by_spread(lab.sweep("head=clipped_linear", "loss=se", spreads, *START))
    sigmoid = _by_spread(lab.sweep("head=sigmoid", "loss=bce", spreads, *START))
    reached = {s: _solved(runs) for s, runs in clipped.items()}
    always = min(map(_solved, sigmoid.values()))
    wide, near = SPREADS[-1], SPREADS[0]
    dead = _mean(clipped[wide], "saturation/fraction")[1][0]
    stuck = {
        name: _mean(runs[wide], "stuck/fraction")[1][-1]
        for name, runs in (("clipped", clipped), ("sigmoid", sigmoid))
    }
    claims = (
        close(
            f"sigmoid + BCE gets all right from {SEEDS} of {SEEDS} starts at every spread s",
            always,
            100,
            0,
        ),
        Claim(
            "clipped-linear + SE from fewer and fewer, the larger s is",
            ", ".join(f"{share:g} % (s = {s:g})" for s, share in reached.items()),
            all(after < before for before, after in pairwise(reached.values())),
        ),
        Claim(
            f"from s = {wide}, more than 90 % of the examples have no gradient at the start",
            percent(dead),
            dead > 0.9,
        ),
        Claim(
            "and what is wrong then stays wrong: without gradient at the end",
            f"{percent(stuck['clipped'])} of the examples, "
            f"{percent(stuck['sigmoid'])} with sigmoid + BCE",
            stuck["clipped"] > 0.2 and stuck["sigmoid"] == 0,
        ),
    )
    return Answer(
        f"Only from lucky starts: {reached[near]:g} % of them get all examples right with spread "
        f"{near}, {reached[wide]:g} % with spread {wide}; a sigmoid with BCE gets there from every "
        "one.",
        claims,
        (_reached(reached, clipped, sigmoid), _stuck(clipped, sigmoid)),
    )


def _reached(reached: Mapping[float, float], clipped: Table, sigmoid: Table) -> Picture:
    solved = list(map(_solved, sigmoid.values()))
    return curves(
        f"starts of {SEEDS} that get every example right",
        [
            (SPREADS, solved, of_pair("sigmoid", "bce") | {"marker": "o"}),
            (SPREADS, list(reached.values()), of_pair("clipped_linear", "se") | {"marker": "s"}),
        ],
        *_one_each(clipped, sigmoid),
        size=HALF,
        xlabel="spread s of the initial weights",
        ylabel="% of the starts",
        xscale="log",
        xticks=SPREADS,
        xticklabels=[f"{s:g}" for s in SPREADS],
        ylim=(0, 140),
        yticks=[0, 25, 50, 75, 100],
        legend="upper left",
    )


def _stuck(clipped: Table, sigmoid: Table) -> Picture:
    """The curve that TensorBoard shows as stuck/fraction, its mean over the starts."""
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
        "wrong and without gradient (stuck/fraction in TensorBoard), mean of the starts",
        lines,
        *_one_each(clipped, sigmoid),
        size=HALF,
        xlabel="updates",
        ylabel="% of the examples",
        ylim=(-2, 90),
        legend="upper right",
    )


def _one_each(*sweeps: Table) -> list[Trained]:
    """A run of each sweep."""
    return [runs[0] for sweep in sweeps for runs in list(sweep.values())[:1]]


def _by_spread(runs: Sequence[Trained]) -> Table:
    return {s: runs[at * SEEDS : (at + 1) * SEEDS] for at, s in enumerate(SPREADS)}


def _solved(runs: Sequence[Trained]) -> float:
    """Per cent of the runs that get all training examples right."""
    return 100 * sum(run.metrics["accuracy/train"] == 1 for run in runs) / len(runs)


def _mean(runs: Sequence[Trained], tag: str) -> Series:
    """Steps, and the mean of the runs' values of `tag`."""
    series = [run.series[tag] for run in runs]
    return series[0][0], np.mean([values for _, values in series], axis=0)


def without_clip(lab: Lab) -> Answer:
    """What if the min and the max are left out?

    Source: lecture slide 22.
    """
    start = ("experiment=clipped", "head=clipped_linear,linear", "loss=se", "epochs=60")
    kept, freed = lab.sweep(*start)
    spread = SPREADS[-1]
    linear = lab.sweep("head=linear", "loss=se", f"model.init_scale={spread}", *START)
    first, last = (float(freed.series["loss/train"][1][at]) for at in (0, -1))
    claims = (
        close(
            "from z = 4, t = 0, clipped: the loss stays ½",
            float(kept.series["loss/train"][1][-1]),
            0.5,
            0,
        ),
        Claim(
            "the same start without the clip: the loss falls to 0",
            f"{first:g} → {number(last, 2)}",
            last < 1e-6,
        ),
        close(
            f"linear + SE gets all right from all {SEEDS} starts of slide 21 with s = {spread}",
            _solved(linear),
            100,
            0,
        ),
    )
    return Answer(
        f"Then it learns from the same starts: the loss falls from {first:g} to {number(last, 1)}, "
        "where the clipped unit stays at 0.5.",
        claims,
        (
            curves(
                "from z = 4 with target 0",
                [
                    (*kept.series["loss/train"], of_pair("clipped_linear", "se")),
                    (*freed.series["loss/train"], of_pair("linear", "se")),
                ],
                kept,
                xlabel="updates",
                ylabel="loss",
            ),
        ),
    )


SLIDES = (
    Slide(20, "No gradient outside [0, 1]", no_gradient),
    Slide(21, "It cannot be optimised", not_trainable),
    Slide(22, "Without min and max", without_clip),
)
