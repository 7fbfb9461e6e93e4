"""Slides 36–37: consequences for random logits, and convexity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from typing import Any

import torch

from mlr.app.lab import Lab
from mlr.heads import Sigmoid
from mlr.lecture import drawing
from mlr.lecture.answer import Answer, Claim, Slide, close, number, percent
from mlr.lecture.clipped import DEAD
from mlr.lecture.drawing import rule, sketch
from mlr.lecture.one_logit import bends, crossing, expected_size, logits, normal_logits, slopes

DEVIATIONS = (0.5, 1.0, 2.0, 5.0, 10.0)
SIZES = {
    ("sigmoid", "bce"): (0.5, 0.5, 0.5, 0.5, 0.5),
    ("sigmoid", "se"): (
        *(0.11802221121994, 0.103310482070954, 0.0757131887002699),
        *(0.0375724272139917, 0.019629780054682),
    ),
    ("clipped_linear", "se"): (
        *(0.304774211107698, 0.184373190186254, 0.0977085539997467),
        *(0.039761777309219, 0.0199305080328199),
    ),
}
"""E|dL/dz| of a positive example, z ~ N(0, s²), by pair, for s in `DEVIATIONS`."""


def at_random(lab: Lab) -> Answer:
    """How large is the gradient on average if the logits are random, as in an untrained network?

    The mean of |dL/dz| over z ~ N(0, s²) for a positive example, by Gauss–Legendre quadrature.

    Source: a consequence of section 35, not on a slide.
    """
    sizes = {pair: [expected_size(*pair, s) for s in DEVIATIONS] for pair in SIZES}
    claims = [
        close(f"s = {s:g}, {_name(pair)}: {exact:.4f}", size, exact, 1e-12)
        for pair, own in sizes.items()
        for s, size, exact in zip(DEVIATIONS, own, SIZES[pair], strict=True)
    ]
    cross, squared, clipped = sizes.values()
    most = max(DEVIATIONS)
    none = {s: _without_gradient(s) for s in (1.0, most)}
    larger = [one > other for one, other in zip(clipped, squared, strict=True)]
    claims += [
        close("with 12 nodes instead of 20 all is the same", _of_nodes(sizes), 0, 1e-12),
        Claim(
            "clipped-linear + SE averages more than sigmoid + SE at each of these s",
            f"{sum(larger)} of {len(larger)}",
            all(larger),
        ),
        *(
            close(
                f"s = {s:g}: clipped-linear + SE gives {100 * DEAD[int(s)]:.1f} % no gradient",
                100 * share,
                100 * DEAD[int(s)],
                0.01,
                " %",
            )
            for s, share in none.items()
        ),
    ]

    def draw(axes: Any) -> None:
        spread = torch.logspace(-1, 1.5, 41).tolist()
        for pair in SIZES:
            axes.plot(spread, [expected_size(*pair, s) for s in spread], **drawing.of_pair(*pair))
        axes.set(xlabel="spread s of the logits", ylabel="mean |dL/dz|", xscale="log", yscale="log")
        axes.legend(loc="lower left")

    return Answer(
        f"With sigmoid + BCE {cross[1]:g} for every spread s, with sigmoid + SE {squared[1]:.4f} "
        f"for s = 1 and {squared[-1]:.4f} for s = 10. Clipped-linear + SE averages more, "
        f"{clipped[1]:.4f} and {clipped[-1]:.4f}, but {percent(none[1.0])} and "
        f"{percent(none[most])} of its logits get exactly 0.",
        tuple(claims),
        (sketch("mean gradient of a positive example with random logits", draw),),
    )


def _of_nodes(sizes: Mapping[tuple[str, str], Sequence[float]]) -> float:
    """Largest difference of the means by 12 nodes from `sizes`."""
    return max(
        abs(expected_size(*pair, s, nodes=12) - size)
        for pair, own in sizes.items()
        for s, size in zip(DEVIATIONS, own, strict=True)
    )


def _without_gradient(spread: float) -> float:
    """Share of z ~ N(0, spread²) whose gradient is exactly 0 with clipped-linear + SE, t = 1."""
    return float((slopes("clipped_linear", "se", normal_logits(spread)) == 0).double().mean())


def convexity(lab: Lab) -> Answer:
    """Which of the losses is convex in the logit?

    Source: a consequence of sections 29 and 35, not on a slide.
    """
    z = logits(-20, 20, 8001)
    y, other = Sigmoid()(z)[:, 0], Sigmoid()(-z)[:, 0]
    cross, squared = bends("sigmoid", "bce", z), bends("sigmoid", "se", z)
    off = float((cross - y * other).abs().max())
    off_squared = float((squared - y * other**2 * (3 * y - 1)).abs().max())
    turn = crossing(lambda z: bends("sigmoid", "se", z), -3, 0)

    def draw(axes: Any) -> None:
        z = logits(-8, 8)
        for pair in (("sigmoid", "bce"), ("sigmoid", "se")):
            axes.plot(z[:, 0], bends(*pair, z), **drawing.of_pair(*pair))
        rule(axes, y=0)
        axes.set(xlabel="logit z, target 1", ylabel="second derivative d²L/dz²")
        axes.legend(loc="upper left")

    return Answer(
        "Cross-entropy: d²L/dz² = y(1 − y) > 0 everywhere. The squared error of a positive example "
        f"is not: d²L/dz² < 0 for every z < −ln 2 = {number(turn, 4)}.",
        (
            close("BCE: d²L/dz² = y(1 − y)", off, 0, 2e-16),
            Claim(
                "BCE: it is above 0 for |z| ≤ 20",
                f"least {number(float(cross.min()), 2)}",
                bool((cross > 0).all()),
            ),
            close("SE: d²L/dz² = y(1 − y)²(3y − 1)", off_squared, 0, 2e-16),
            close("SE: it changes its sign at z = −ln 2 = −0.693147", turn, -log(2), 1e-14),
            Claim(
                "SE: it is below 0 where y < 1/3, and above 0 where y > 1/3",
                f"{percent(float(((squared < 0) == (y < 1 / 3)).double().mean()))} of 8,001 logits",
                bool(((squared < 0) == (y < 1 / 3)).all()),
            ),
        ),
        (sketch("second derivatives against the logit", draw),),
    )


def _name(pair: tuple[str, str]) -> str:
    return str(drawing.of_pair(*pair)["label"])


SLIDES = (
    Slide(36, "Gradient at random initialisation", at_random),
    Slide(37, "Convexity", convexity),
)
