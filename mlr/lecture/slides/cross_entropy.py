"""Slides 31–37: cross-entropy, whose gradient is largest where the prediction is most wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from typing import Any

import torch

from mlr.heads import Sigmoid
from mlr.lecture.lab import Lab
from mlr.lecture.page import drawing
from mlr.lecture.page.answer import Answer, Claim, Slide, close, number, percent
from mlr.lecture.page.drawing import mark, rule, sketch
from mlr.lecture.slides.clipped import DEAD
from mlr.lecture.slides.one_logit import (
    costs,
    crossing,
    curvature,
    expected_size,
    logit,
    logits,
    normal_logits,
    slopes,
)
from mlr.losses import BinaryCrossEntropy, SquaredError
from mlr.objectives import Objective


def piecewise(lab: Lab) -> Answer:
    """How large is the cross-entropy of a positive, and of a negative example?

    Source: lecture.
    """
    y = logits(1e-3, 1 - 1e-3, 999)
    loss = BinaryCrossEntropy()
    positive, negative = loss(y, torch.ones_like(y)), loss(y, torch.zeros_like(y))
    # −log y and −log(1 − y) of the bits that are given
    off = max(
        float((positive + y[:, 0].log()).abs().max()),
        float((negative + (-y[:, 0]).log1p()).abs().max()),
    )
    half = float(loss(logit(0.5), logit(1.0)))

    def draw(axes: Any) -> None:
        axes.plot(y[:, 0], positive, color=drawing.BLUE, label="t = 1: −log y")
        axes.plot(y[:, 0], negative, "--", color=drawing.VERMILLION, label="t = 0: −log(1 − y)")
        mark(axes, 0.5, half, "ln 2", (0, 22))
        axes.set(xlabel="prediction y", ylabel="cross-entropy", ylim=(0, 5))
        axes.legend(loc="upper center")

    return Answer(
        "−log y for a positive example and −log(1 − y) for a negative one: minus the logarithm of "
        f"the probability of the right class. The prediction y = ½ costs ln 2 = {half:.6f} for "
        "both.",
        (
            close("−log y if t = 1, −log(1 − y) if t = 0", off, 0, 1e-15),
            close("y = 1/2 costs ln 2 = 0.693147", half, 0.693147180559945309417, 1e-15),
            close("a certain right answer costs 0", float(loss(logit(1.0), logit(1.0))), 0, 0),
        ),
        (sketch("cross-entropy against the prediction", draw),),
    )


def one_formula(lab: Lab) -> Answer:
    """Can both cases be written as one formula?

    Source: lecture.
    """
    generator = torch.Generator().manual_seed(0)
    z = 60 * torch.rand(10_000, 1, dtype=torch.float64, generator=generator) - 30
    t = torch.rand(10_000, 1, dtype=torch.float64, generator=generator)
    objective = Objective("sigmoid", "bce", outputs=1)
    log_y, log_other = -costs("sigmoid", "bce", z, 1.0), -costs("sigmoid", "bce", z, 0.0)
    hard = (t < 0.5).double()
    chosen = torch.where(hard[:, 0] == 1, -log_y, -log_other)
    whole = -hard[:, 0] * log_y - (1 - hard[:, 0]) * log_other
    off = float((objective.losses(z, hard) - chosen).abs().max())
    mixed = objective.losses(z, t)
    soft = float((mixed - (-t[:, 0] * log_y - (1 - t[:, 0]) * log_other)).abs().max())
    pulled = float((objective.gradient(z, t) - (Sigmoid()(z) - t)).abs().max())

    def draw(axes: Any) -> None:
        z = logits(-8, 8)
        for target, style in ((1.0, "-"), (0.75, "--"), (0.5, "-."), (0.25, ":"), (0.0, "-")):
            colour = drawing.VERMILLION if target == 0 else drawing.BLUE
            cost = costs("sigmoid", "bce", z, target)
            axes.plot(z[:, 0], cost, style, color=colour, label=f"{target:g}")
        axes.set(xlabel="logit z", ylabel="cross-entropy")
        axes.legend(title="target t", loc="upper center")

    return Answer(
        "Yes, −t log y − (1 − t) log(1 − y), since one of t and 1 − t is 0: t = 1 leaves −log y, "
        "t = 0 leaves −log(1 − y). At 10,000 random logits the formula differs from its case by "
        f"{number(off, 1)}; soft targets weight the two cases by t and 1 − t.",
        (
            close("10,000 random logits, t ∈ {0, 1}: BCE is −log y or −log(1 − y)", off, 0, 0),
            close(
                "and the formula is the same, since one of its two terms is 0",
                float((whole - chosen).abs().max()),
                0,
                0,
            ),
            close("soft targets: the weighted sum of the two", soft, 0, 1e-14),
            close("its gradient is y − t", pulled, 0, 3e-16),
        ),
        (sketch("cross-entropy of hard and soft targets against the logit", draw),),
    )


def mirror_images(lab: Lab) -> Answer:
    """How do the graphs of t = 1 and t = 0 differ?

    Source: lecture.
    """
    z = logits(-200, 200, 8001)
    pairs = (("sigmoid", "bce"), ("sigmoid", "se"))
    off = [float((costs(*pair, z, 1.0) - costs(*pair, -z, 0.0)).abs().max()) for pair in pairs]
    turned = [float((slopes(*pair, z, 1.0) + slopes(*pair, -z, 0.0)).abs().max()) for pair in pairs]

    def draw(axes: Any) -> None:
        z = logits(-6, 6)
        for target, style in ((1.0, "-"), (0.0, "--")):
            for pair in pairs:
                colour = drawing.of_pair(*pair)["color"]
                name = f"{pair[1].upper()}, t = {target:g}"
                axes.plot(z[:, 0], costs(*pair, z, target), style, color=colour, label=name)
        rule(axes, x=0)
        axes.set(xlabel="logit z", ylabel="loss")
        axes.legend(loc="upper center", ncols=2)

    return Answer(
        f"They are mirror images, L(z, 1) = L(−z, 0): at {len(z):,} logits the largest difference "
        f"is {max(off):g}.",
        (
            close("BCE: L(z, 1) = L(−z, 0) at 8,001 logits in ±200", off[0], 0, 0),
            close("SE: likewise", off[1], 0, 0),
            close(
                "the gradients have opposite signs: dL/dz(z, 1) = −dL/dz(−z, 0)", max(turned), 0, 0
            ),
        ),
        (sketch("losses of a positive and of a negative example", draw),),
    )


def small_differences(lab: Lab) -> Answer:
    """Do the losses distinguish the wrong predictions 0.01 and 0.001 of a positive example?

    Source: lecture.
    """
    wrong = (0.1, 0.01, 0.001, 1e-5)
    y, t = logit(*wrong), torch.ones(4, 1, dtype=torch.float64)
    cross, squared = BinaryCrossEntropy()(y, t).tolist(), SquaredError()(y, t).tolist()
    published = (
        ("2.302585092994046", "4.605170185988091", "6.907755278982137", "11.51292546497023"),
        ("0.405", "0.49005", "0.4990005", "0.49999000005"),
    )
    claims = [
        close(f"y = {number(value)}: {name} {float(exact):{form}}", got, float(exact), 1e-14)
        for name, form, own, texts in (
            ("BCE", ".4f", cross, published[0]),
            ("SE", ".7g", squared, published[1]),
        )
        for value, got, exact in zip(wrong, own, texts, strict=True)
    ]

    def draw(axes: Any) -> None:
        y = torch.logspace(-6, 0, 601, dtype=torch.float64).unsqueeze(1)
        for name, loss in (("bce", BinaryCrossEntropy()), ("se", SquaredError())):
            axes.plot(y[:, 0], loss(y, torch.ones_like(y)), **drawing.of_loss(name))
        axes.plot(wrong, cross, "o", color=drawing.BLUE)
        axes.plot(wrong, squared, "o", color=drawing.VERMILLION)
        axes.set(xlabel="prediction y (logarithmic), target 1", ylabel="loss", xscale="log")
        axes.legend()

    return Answer(
        f"Cross-entropy does, with {cross[1]:.4f} and {cross[2]:.4f}; squared error hardly, with "
        f"{squared[1]:.5f} and {squared[2]:.7f}.",
        tuple(claims),
        (sketch("what a really wrong prediction costs", draw),),
    )


def linear_in_the_logit(lab: Lab) -> Answer:
    """Which shape has the cross-entropy of a sigmoid over the logit?

    Source: lecture.
    """
    z = logit(-50.0, -10.0)
    far, at_10 = costs("sigmoid", "bce", z).tolist()
    far_slope, slope = slopes("sigmoid", "bce", z).tolist()

    def draw(axes: Any) -> None:
        z = logits(-10, 10)
        for pair in (("sigmoid", "bce"), ("sigmoid", "se")):
            axes.plot(z[:, 0], costs(*pair, z), **drawing.of_pair(*pair))
        rule(axes, y=0.5)
        mark(axes, -10, at_10, f"{at_10:.4f}", (12, 4))
        axes.set(xlabel="logit z, target 1", ylabel="loss")
        axes.legend()

    return Answer(
        "For a really wrong prediction it approaches the line L = −z with slope −1: at z = −10 it "
        f"is {at_10:.7f} with slope {number(slope, 7)}. So the gradient does not vanish.",
        (
            close("z = −50: 50.0000", far, 50.000000000000000000000192875, 1e-14),
            close("there the slope is −1, rounded to float64", far_slope, -1, 0),
            Claim("z = −10: 10.0000454", f"{at_10:.7f}", abs(at_10 - 10.00004539889921686) < 1e-14),
            close("there the slope is −0.9999546", slope, -0.999954602131297565605, 1e-15),
        ),
        (sketch("loss of a positive example against its logit", draw),),
    )


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
    """Compute the largest difference of the means by 12 nodes from `sizes`."""
    return max(
        abs(expected_size(*pair, s, nodes=12) - size)
        for pair, own in sizes.items()
        for s, size in zip(DEVIATIONS, own, strict=True)
    )


def _without_gradient(spread: float) -> float:
    """Compute the share of z ~ N(0, spread²) without gradient with clipped-linear + SE, t = 1."""
    return float((slopes("clipped_linear", "se", normal_logits(spread)) == 0).double().mean())


def convexity(lab: Lab) -> Answer:
    """Which of the losses is convex in the logit?

    Source: a consequence of sections 29 and 35, not on a slide.
    """
    z = logits(-20, 20, 8001)
    y, other = Sigmoid()(z)[:, 0], Sigmoid()(-z)[:, 0]
    cross, squared = curvature("sigmoid", "bce", z), curvature("sigmoid", "se", z)
    off = float((cross - y * other).abs().max())
    off_squared = float((squared - y * other**2 * (3 * y - 1)).abs().max())
    turn = crossing(lambda z: curvature("sigmoid", "se", z), -3, 0)

    def draw(axes: Any) -> None:
        z = logits(-8, 8)
        for pair in (("sigmoid", "bce"), ("sigmoid", "se")):
            axes.plot(z[:, 0], curvature(*pair, z), **drawing.of_pair(*pair))
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
    Slide(31, "Cross-entropy, case by case", piecewise, "BCE piecewise: −log y, −log(1 − y)."),
    Slide(
        32,
        "Cross-entropy in one formula",
        one_formula,
        "The same as −t log y − (1 − t) log(1 − y).",
    ),
    Slide(33, "Mirror images", mirror_images, "Draw the graphs for t = 1 and t = 0."),
    Slide(
        34,
        "Small differences of really wrong predictions",
        small_differences,
        "It penalises small differences of really wrong predictions.",
    ),
    Slide(35, "Linear in the logit", linear_in_the_logit, "Figure: L_CE over z for t = 1."),
    Slide(36, "Gradient at random initialisation", at_random),
    Slide(37, "Convexity", convexity),
)
