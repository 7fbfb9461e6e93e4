"""Slides 31–37: cross-entropy, whose gradient is largest where the prediction is wrongest."""

from __future__ import annotations

from typing import Any

import torch

from mlr.app.lecture import drawing
from mlr.app.lecture.answer import Answer, Claim, Slide, close, number
from mlr.app.lecture.drawing import mark, rule, sketch
from mlr.app.lecture.lab import Lab
from mlr.app.lecture.one_logit import bends, costs, expected_size, logit, logits, slopes
from mlr.heads import Sigmoid
from mlr.losses import BinaryCrossEntropy, SquaredError
from mlr.objectives import Objective

DEVIATIONS = (0.5, 1.0, 2.0, 5.0, 10.0)


def piecewise(lab: Lab) -> Answer:
    """What does cross-entropy cost, if only the probability of the right class counts?

    Source: lecture slide 31.
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
        f"−log y of a positive example and −log(1 − y) of a negative one; a prediction of ½ costs "
        f"ln 2 = {half:.6f} either way.",
        (
            close("−log y if t = 1, −log(1 − y) if t = 0, but for 10⁻¹⁵", off, 0, 1e-15),
            close("y = 1/2 costs ln 2 = 0.693147", half, 0.693147180559945309417, 1e-15),
            close("a certain right answer costs 0", float(loss(logit(1.0), logit(1.0))), 0, 0),
        ),
        (sketch("cross-entropy against the prediction", draw),),
    )


def one_formula(lab: Lab) -> Answer:
    """Can both cases be written as one formula?

    Source: lecture slide 32.
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
        "Yes, −t log y − (1 − t) log(1 − y): for t = 0 and t = 1 it differs from the one case or "
        f"the other by {number(off, 1)} at 10,000 random logits; soft targets mix the two.",
        (
            close("10,000 random logits, t ∈ {0, 1}: equal to the chosen case", off, 0, 0),
            close("and the formula is the chosen case", float((whole - chosen).abs().max()), 0, 0),
            close("soft targets: the mixture, but for 10⁻¹⁴", soft, 0, 1e-14),
            close("its gradient is y − t, but for 3×10⁻¹⁶", pulled, 0, 3e-16),
        ),
        (sketch("cross-entropy of hard and soft targets against the logit", draw),),
    )


def mirror_images(lab: Lab) -> Answer:
    """How do the graphs of t = 1 and t = 0 differ?

    Source: lecture slide 33.
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
            close("the gradients are each other's opposite", max(turned), 0, 0),
        ),
        (sketch("losses of a positive and of a negative example", draw),),
    )


def small_differences(lab: Lab) -> Answer:
    """Do the losses tell a wrong prediction of 0.01 from one of 0.001?

    Source: lecture slide 34.
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
        f"Cross-entropy does, {cross[1]:.4f} against {cross[2]:.4f}; squared error hardly, "
        f"{squared[1]:.5f} against {squared[2]:.7f}.",
        tuple(claims),
        (sketch("what a really wrong prediction costs", draw),),
    )


def linear_in_the_logit(lab: Lab) -> Answer:
    """What does cross-entropy of a sigmoid look like against the logit?

    Source: lecture slide 35.
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
        f"It is a line where the prediction is wrong, {at_10:.7f} at z = −10 with slope "
        f"{number(slope, 7)}: a wrong unit is pulled back with full force.",
        (
            close("z = −50: 50.0000", far, 50.000000000000000000000192875, 1e-14),
            close("there the slope is −1", far_slope, -1, 0),
            Claim("z = −10: 10.0000454", f"{at_10:.7f}", abs(at_10 - 10.00004539889921686) < 1e-14),
            close("there the slope is −0.9999546", slope, -0.999954602131297565605, 1e-15),
        ),
        (sketch("loss of a positive example against its logit", draw),),
    )


def at_random(lab: Lab) -> Answer:
    """How much gradient does an untrained unit get, whose logits are spread by s?

    The mean of |dL/dz| over z ~ N(0, s²) for a positive example, by Gauss and Legendre's rule.

    Source: consequence of lecture slide 35.
    """
    published = {
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
    sizes = {pair: [expected_size(*pair, s) for s in DEVIATIONS] for pair in published}
    rule_off = max(
        abs(expected_size(*pair, s, nodes=12) - size)
        for pair, own in sizes.items()
        for s, size in zip(DEVIATIONS, own, strict=True)
    )
    claims = [
        close(f"s = {s:g}, {_name(pair)}: {exact:.4f}", size, exact, 1e-12)
        for pair, own in sizes.items()
        for s, size, exact in zip(DEVIATIONS, own, published[pair], strict=True)
    ]
    claims.append(close("with 12 nodes for 20 all is the same, but for 10⁻¹²", rule_off, 0, 1e-12))

    def draw(axes: Any) -> None:
        spread = torch.logspace(-1, 1.5, 41).tolist()
        for pair in published:
            axes.plot(spread, [expected_size(*pair, s) for s in spread], **drawing.of_pair(*pair))
        axes.set(xlabel="spread s of the logits", ylabel="mean |dL/dz|", xscale="log", yscale="log")
        axes.legend(loc="lower left")

    cross, squared = sizes["sigmoid", "bce"], sizes["sigmoid", "se"]
    return Answer(
        f"With cross-entropy {cross[1]:g}, whatever the spread; with squared error "
        f"{squared[1]:.4f} for s = 1 and {squared[-1]:.4f} for s = 10.",
        tuple(claims),
        (sketch("mean gradient of a positive example with random logits", draw),),
    )


def convexity(lab: Lab) -> Answer:
    """Which of the losses is convex in the logit?

    Source: consequence of lecture slides 29 and 35.
    """
    z = logits(-20, 20, 8001)
    y, other = Sigmoid()(z)[:, 0], Sigmoid()(-z)[:, 0]
    cross, squared = bends("sigmoid", "bce", z), bends("sigmoid", "se", z)
    off = float((cross - y * other).abs().max())
    off_squared = float((squared - y * other**2 * (3 * y - 1)).abs().max())
    negative = z[squared < 0]

    def draw(axes: Any) -> None:
        z = logits(-8, 8)
        for pair in (("sigmoid", "bce"), ("sigmoid", "se")):
            axes.plot(z[:, 0], bends(*pair, z), **drawing.of_pair(*pair))
        rule(axes, y=0)
        axes.set(xlabel="logit z, target 1", ylabel="second derivative d²L/dz²")
        axes.legend(loc="upper left")

    return Answer(
        f"Cross-entropy: d²L/dz² = y(1 − y) > 0 everywhere; squared error bends the wrong way for "
        f"every z up to {number(float(negative.max()), 3)}.",
        (
            close("BCE: d²L/dz² = y(1 − y), but for 2×10⁻¹⁶", off, 0, 2e-16),
            Claim(
                "it is above 0 for |z| ≤ 20",
                f"least {number(float(cross.min()), 2)}",
                bool((cross > 0).all()),
            ),
            close("SE: d²L/dz² = y(1 − y)²(3y − 1), but for 2×10⁻¹⁶", off_squared, 0, 2e-16),
            Claim(
                "below 0 exactly where y < 1/3",
                f"below 0 up to z = {number(float(negative.max()), 4)}",
                bool(((squared < 0) == (y < 1 / 3)).all()),
            ),
        ),
        (sketch("second derivatives against the logit", draw),),
    )


def _name(pair: tuple[str, str]) -> str:
    return str(drawing.of_pair(*pair)["label"])


SLIDES = (
    Slide(31, "Cross-entropy, case by case", piecewise),
    Slide(32, "Cross-entropy in one formula", one_formula),
    Slide(33, "Mirror images", mirror_images),
    Slide(34, "Small differences of really wrong predictions", small_differences),
    Slide(35, "Linear in the logit", linear_in_the_logit),
    Slide(36, "Gradient at random initialisation", at_random),
    Slide(37, "Convexity", convexity),
)
