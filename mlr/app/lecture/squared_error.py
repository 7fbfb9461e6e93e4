"""Slides 26–30: the logistic sigmoid, and the gradient that squared error leaves of it."""

from __future__ import annotations

from math import log
from typing import Any

import torch

from mlr.app.lecture import drawing
from mlr.app.lecture.answer import Answer, Claim, Picture, Slide, close, number, percent
from mlr.app.lecture.descent import descend, flow_time, updates_until_right
from mlr.app.lecture.drawing import mark, rule, sketch
from mlr.app.lecture.lab import Lab, Trained
from mlr.app.lecture.one_logit import bends, costs, logit, logits, lowest, slopes
from mlr.heads import Sigmoid

STARTS = (-5, -10, -12)


def squash(lab: Lab) -> Answer:
    """Which function squashes any number into (0, 1), with a slope everywhere?

    Source: lecture slide 26; Goodfellow et al., Deep Learning, 3.10.
    """
    head, z = Sigmoid(), logits(-30, 30, 6001)
    y, slope = head(z), head.slope(z)
    steepest, flattest = lowest(lambda z: -head.slope(z)[:, 0], -3, 3)
    mirrored = float((head(-z) - (1 - y)).abs().max())
    product = float((slope - y * head(-z)).abs().max())

    def draw(axes: Any) -> None:
        z = logits(-8, 8)
        axes.plot(z[:, 0], head(z)[:, 0], **drawing.of_head("sigmoid") | {"label": "y = σ(z)"})
        axes.plot(z[:, 0], head.slope(z)[:, 0], "--", color=drawing.ORANGE, label="slope dy/dz")
        mark(axes, 0, 0.25, "slope ¼", (14, 12))
        axes.set(xlabel="logit z", ylabel="prediction y", yticks=(0, 0.25, 0.5, 0.75, 1))
        axes.legend(loc="upper left")

    return Answer(
        f"The logistic sigmoid σ(z) = 1/(1 + e⁻ᶻ): its slope is never 0, and {-flattest:g} at "
        "most.",
        (
            close("the largest slope is 1/4", -flattest, 1 / 4, 1e-16),
            close("it is at z = 0", steepest, 0, 1e-6),
            close("σ(−z) = 1 − σ(z), but for 2×10⁻¹⁶", mirrored, 0, 2e-16),
            close("σ′ = σ(1 − σ), but for 10⁻¹⁶", product, 0, 1e-16),
            _inside("0 < y < 1 for |z| ≤ 30", float(y.min()), float(y.max())),
            Claim(
                "the slope is above 0 for |z| ≤ 700",
                number(float(head.slope(logit(700.0))), 2) + " at 700",
                bool((head.slope(logit(-700.0, 700.0)) > 0).all()),
            ),
        ),
        (sketch("the logistic sigmoid and its slope", draw),),
    )


def log_linear(lab: Lab) -> Answer:
    """Why is a sigmoid unit called log-linear?

    Source: lecture slide 27; Goodfellow et al., Deep Learning, 6.2.2.2.
    """
    head, z = Sigmoid(), logits(-30, 30, 6001)
    # 1 − y = σ(−z), without the digits that 1 − y loses
    log_odds = (head(z) / head(-z)).log()
    off = float((log_odds - z).abs().max())
    doubled = float(head(logit(log(2))) / head(-logit(log(2))))

    def draw(axes: Any) -> None:
        z = logits(-8, 8)
        axes.plot(z[:, 0], (head(z) / head(-z))[:, 0], color=drawing.BLUE, label="y/(1 − y)")
        axes.plot(z[:, 0], head(z)[:, 0], "--", color=drawing.ORANGE, label="y")
        axes.set(xlabel="logit z = wᵀx + b", ylabel="odds (logarithmic)", yscale="log")
        axes.legend()

    return Answer(
        f"The logarithm of its odds is the linear part, log(y/(1 − y)) = wᵀx + b: over |z| ≤ 30 "
        f"they differ by {number(off, 2)} at most.",
        (
            close("log(y/(1 − y)) = z over |z| ≤ 30, but for 4×10⁻¹⁵", off, 0, 4e-15),
            close("each ln 2 more doubles the odds: 2 at z = ln 2", doubled, 2, 1e-15),
        ),
        (sketch("odds against the logit: a straight line in the logarithm", draw),),
    )


def flat_loss(lab: Lab) -> Answer:
    """What does squared error of a sigmoid cost a positive example, the wronger it gets?

    Source: lecture slide 28.
    """
    at_10, far, right = costs("sigmoid", "se", logit(-10.0, -40.0, 40.0)).tolist()

    def draw(axes: Any) -> None:
        z = logits(-10, 10)
        axes.plot(z[:, 0], costs("sigmoid", "se", z), **drawing.of_pair("sigmoid", "se"))
        mark(axes, -10, at_10, f"{at_10:.7f}", (10, -24))
        axes.set(xlabel="logit z, target 1", ylabel="loss", ylim=(0, 0.56))
        axes.legend()

    return Answer(
        f"Hardly anything more: at z = −10 it is {at_10:.7f}, and ½ is all it ever gets to.",
        (
            close("at z = −10 the loss is 0.4999546", at_10, 0.499954603161780806967, 1e-15),
            close("it tends to 1/2: at z = −40 it is there", far, 1 / 2, 1e-15),
            close("and to 0: at z = 40 it is below 10⁻³⁰", right, 0, 1e-30),
        ),
        (sketch("squared error of a sigmoid against its logit", draw),),
    )


def vanishing_gradient(lab: Lab) -> Answer:
    """Where is the derivative of squared error on a sigmoid large, and where is it small?

    Source: lecture slide 29.
    """
    place, least = lowest(lambda z: slopes("sigmoid", "se", z), -8, 8)
    z = logit(-10.0, -5.0, 0.0)
    at_10, at_5, at_0 = slopes("sigmoid", "se", z).tolist()
    y = Sigmoid()(logits(-20, 20, 4001))
    formula = -y[:, 0] * Sigmoid()(-logits(-20, 20, 4001))[:, 0] ** 2
    off = float((slopes("sigmoid", "se", logits(-20, 20, 4001)) - formula).abs().max())
    left, right = (bends("sigmoid", "se", logits(*ends)) for ends in ((-12, -0.7), (-0.69, 12)))
    return Answer(
        f"It gets to {number(least, 6)} at z = {number(place, 4)} (y = 1/3), no further, and "
        f"vanishes where the prediction is really wrong: {number(at_5, 4)} at z = −5, "
        f"{number(at_10, 4)} at z = −10.",
        (
            close("the minimum is −4/27 = −0.148148", least, -4 / 27, 1e-16),
            close("it lies at z = −ln 2 = −0.693147", place, -log(2), 1e-6),
            close("there y = 1/3", float(Sigmoid()(logit(place))), 1 / 3, 1e-6),
            close("z = −5: −0.0066036", at_5, -0.00660356221855635892597, 1e-17),
            close("z = −10: −4.5394×10⁻⁵", at_10, -0.0000453937468630324333429, 1e-19),
            close("z = 0: −1/8", at_0, -1 / 8, 0),
            close("it is −y(1 − y)², but for 10⁻¹⁶", off, 0, 1e-16),
            Claim(
                "concave left of −ln 2, convex right of it",
                f"d²L/dz² ≤ {number(float(left.max()), 2)}, ≥ {number(float(right.min()), 2)}",
                bool((left < 0).all() and (right > 0).all()),
            ),
        ),
        (_derivatives(place, least),),
    )


def small_steps(lab: Lab) -> Answer:
    """How long does gradient descent need to turn a really wrong sigmoid round?

    Gradient descent on one bias, learning rate 1, target 1, until z > 0. Gradient flow takes
    3z + 3eᶻ + ½e²ᶻ − e⁻ᶻ between the ends with squared error, z + eᶻ with cross-entropy.

    Source: lecture slide 30; the runs: Nielsen, Neural Networks and Deep Learning, chapter 3.
    """
    paths = {loss: descend("sigmoid", loss, STARTS) for loss in ("se", "bce")}
    squared, cross = (updates_until_right(path) for path in paths.values())
    flow = {loss: [flow_time("sigmoid", loss, start) for start in STARTS[1:]] for loss in paths}
    claims = [
        close(f"from z = −{-start}, {name}: {expected:,} updates", found, expected, 0)
        for name, own, published in (
            ("SE", squared, (168, 22063, 162799)),
            ("BCE", cross, (6, 11, 13)),
        )
        for start, found, expected in zip(STARTS, own, published, strict=True)
    ]
    claims += [
        close("gradient flow from −10, SE: 22058.97", flow["se"][0], 22058.9656586058967, 1e-8),
        close("gradient flow from −10, BCE: 10.99995", flow["bce"][0], 10.9999546000702375, 1e-12),
        close("gradient flow from −12, SE: 162793.3", flow["se"][1], 162793.291400571265, 1e-7),
        close("gradient flow from −12, BCE: 12.99999", flow["bce"][1], 12.9999938557876467, 1e-12),
    ]
    runs = lab.sweep("experiment=neuron", "head=sigmoid,clipped_linear", "loss=se,bce")[:3]
    lost = [1 - losses[50] / losses[0] for losses in (run.series["loss/train"][1] for run in runs)]
    claims.append(
        Claim(
            "50 updates take < 5 % of a wrong neuron's loss with SE, > 95 % with BCE, 0 clipped",
            ", ".join(percent(share) for share in lost),
            bool(lost[0] < 0.05 and lost[1] > 0.95 and lost[2] == 0),
        )
    )
    return Answer(
        f"From z = −10 squared error needs {squared[1]:,} updates, cross-entropy {cross[1]}; from "
        f"−12, {squared[2]:,} against {cross[2]}: the wronger it is, the smaller are its steps.",
        tuple(claims),
        (_escapes(paths), _neurons(runs)),
    )


def _inside(text: str, low: float, high: float) -> Claim:
    return Claim(text, f"from {number(low, 3)} to 1 − {number(1 - high, 3)}", low > 0 and high < 1)


def _derivatives(place: float, least: float) -> Picture:
    def draw(axes: Any) -> None:
        z = logits(-8, 8)
        for pair in (("sigmoid", "se"), ("sigmoid", "bce"), ("clipped_linear", "se")):
            axes.plot(z[:, 0], slopes(*pair, z), **drawing.of_pair(*pair))
        mark(axes, place, least, "−4/27 at z = −ln 2", (-16, -26))
        axes.set(xlabel="logit z, target 1", ylabel="derivative dL/dz")
        axes.legend(loc="lower right")

    return sketch("the derivative of each loss against the logit", draw)


def _escapes(paths: dict[str, torch.Tensor]) -> Picture:
    """Logits of gradient descent on a logarithmic axis of updates."""

    def draw(axes: Any) -> None:
        for loss, path in paths.items():
            whole = len(path) - 1
            chosen = torch.logspace(0, torch.tensor(float(whole)).log10(), 400).long().unique()
            for start, place in enumerate(updates_until_right(path)):
                kept = torch.cat((chosen[chosen < place], torch.tensor([place])))
                label = None if start else loss.upper()
                style = drawing.of_pair("sigmoid", loss) | {"label": label}
                axes.plot(kept, path[kept, start], **style)
                if loss == "se":
                    end = float(path[place, start])
                    mark(axes, place, end, f"{place:,}", (-4, 18 + 22 * start))
        rule(axes, y=0)
        axes.set(xlabel="updates (logarithmic)", ylabel="logit z, target 1", xscale="log")
        axes.set(ylim=(-13, 9), yticks=(-12, -10, -5, 0))
        axes.legend(loc="upper left", ncols=2, handlelength=1.4, columnspacing=1)

    return sketch(
        "a sigmoid's bias from z = −5, −10 and −12, learning rate 1", draw, size=drawing.HALF
    )


def _neurons(runs: list[Trained]) -> Picture:
    pairs = (("sigmoid", "se"), ("sigmoid", "bce"), ("clipped_linear", "se"))

    def draw(axes: Any) -> None:
        for run, pair in zip(runs, pairs, strict=True):
            axes.plot(*run.series["loss/train"], **drawing.of_pair(*pair))
        axes.set(xlabel="updates", ylabel="loss (logarithmic)", yscale="log")
        axes.legend(loc="upper right")

    return sketch("a neuron started at z = 4 with target 0", draw, runs[0], size=drawing.HALF)


SLIDES = (
    Slide(26, "The logistic sigmoid", squash),
    Slide(27, "Log-linear", log_linear),
    Slide(28, "Squared error of a sigmoid", flat_loss),
    Slide(29, "Its derivative vanishes", vanishing_gradient),
    Slide(30, "A small gradient is a small step", small_steps),
)
