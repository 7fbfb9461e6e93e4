"""Slides 26–29: the logistic sigmoid, and the gradient of squared error on it."""

from __future__ import annotations

from math import log
from typing import Any

from mlr.heads import Sigmoid
from mlr.lecture.lab import Lab
from mlr.lecture.page import drawing
from mlr.lecture.page.answer import Answer, Claim, Illustration, Slide, close, number
from mlr.lecture.page.drawing import mark, rule, sketch
from mlr.lecture.slides.one_logit import costs, curvature, logit, logits, lowest, slopes


def squash(lab: Lab) -> Answer:
    """Which smooth function maps any real number into (0, 1), with a positive slope everywhere?

    Terms on the left of y = σ(z) = σ(wᵀx + b): y the prediction, σ the activation, z the logit, w
    the weights, x the input, b the bias.

    Source: lecture; Goodfellow et al., Deep Learning, 3.10.
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
        f"The logistic sigmoid σ(z) = 1/(1 + e⁻ᶻ): its slope σ(z)(1 − σ(z)) is positive everywhere "
        f"and {-flattest:g} at most, at z = 0.",
        (
            close("the largest slope is 1/4", -flattest, 1 / 4, 1e-16),
            close("it is at z = 0", steepest, 0, 1e-6),
            close("σ(−z) = 1 − σ(z)", mirrored, 0, 2e-16),
            close("σ′ = σ(1 − σ)", product, 0, 1e-16),
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

    Source: lecture; Goodfellow et al., Deep Learning, 6.2.2.2.
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
        "Because the logarithm of its odds is linear in the input: log(y/(1 − y)) = z = wᵀx + b. "
        f"For |z| ≤ 30 the two sides differ by {number(off, 2)} at most.",
        (
            close("log(y/(1 − y)) = z over |z| ≤ 30", off, 0, 4e-15),
            close(
                "adding ln 2 to z doubles the odds: 1 at z = 0, 2 at z = ln 2", doubled, 2, 1e-15
            ),
        ),
        (sketch("odds against the logit: a straight line in the logarithm", draw),),
    )


def flat_loss(lab: Lab) -> Answer:
    """How large does the squared error of a sigmoid get on a positive example?

    ½ − L = y − ½y² > 0 for every z: this difference is computed without cancellation.

    Source: lecture.
    """
    at_10, right = costs("sigmoid", "se", logit(-10.0, 40.0)).tolist()
    missing = {z: _below_half(z) for z in (-10.0, -40.0, -700.0)}

    def draw(axes: Any) -> None:
        z = logits(-10, 10)
        axes.plot(z[:, 0], costs("sigmoid", "se", z), **drawing.of_pair("sigmoid", "se"))
        rule(axes, y=0.5)
        mark(axes, -10, at_10, f"{at_10:.7f}", (10, -24))
        axes.set(xlabel="logit z, target 1", ylabel="loss", ylim=(0, 0.56))
        axes.legend()

    return Answer(
        f"Less than ½: at z = −10 it is {at_10:.7f}, and for z → −∞ it approaches ½ without ever "
        f"reaching it (at z = −40, {number(missing[-40.0], 2)} is missing). A prediction that is "
        "more wrong costs hardly more.",
        (
            close("at z = −10 the loss is 0.4999546", at_10, 0.499954603161780806967, 1e-15),
            close(
                "½ − L at z = −10 is 4.53968×10⁻⁵",
                missing[-10.0],
                4.53968382191930327686e-5,
                1e-18,
            ),
            close(
                "½ − L at z = −40 is 4.24835×10⁻¹⁸", missing[-40.0], 4.24835425529158899e-18, 1e-32
            ),
            Claim(
                "½ − L > 0 at z = −700 too",
                number(missing[-700.0], 2),
                missing[-700.0] > 0,
            ),
            close(
                "for z → ∞ the loss approaches 0: 9×10⁻³⁶ at z = 40",
                right,
                9.02425693922707578e-36,
                1e-48,
            ),
        ),
        (sketch("squared error of a sigmoid against its logit", draw),),
    )


def _below_half(z: float) -> float:
    """Compute ½ − L of a positive example with squared error, y(1 − y/2)."""
    y = float(Sigmoid()(logit(z)))
    return y * (1 - y / 2)


def vanishing_gradient(lab: Lab) -> Answer:
    """Where is the derivative of the squared error of a sigmoid large, and where is it small?

    Source: lecture.
    """
    place, least = lowest(lambda z: slopes("sigmoid", "se", z), -8, 8)
    z = logit(-10.0, -5.0, 0.0)
    at_10, at_5, at_0 = slopes("sigmoid", "se", z).tolist()
    y = Sigmoid()(logits(-20, 20, 4001))
    formula = -y[:, 0] * Sigmoid()(-logits(-20, 20, 4001))[:, 0] ** 2
    off = float((slopes("sigmoid", "se", logits(-20, 20, 4001)) - formula).abs().max())
    left, right = (curvature("sigmoid", "se", logits(*ends)) for ends in ((-12, -0.7), (-0.69, 12)))
    return Answer(
        f"For a positive example it is largest in size, {number(least, 6)}, at z = −ln 2 = "
        f"{number(place, 4)} (y = 1/3), and vanishes where the prediction is really wrong: "
        f"{number(at_5, 4)} at z = −5, {number(at_10, 4)} at z = −10.",
        (
            close("the minimum is −4/27 = −0.148148", least, -4 / 27, 1e-16),
            close("it lies at z = −ln 2 = −0.693147", place, -log(2), 1e-6),
            close("there y = 1/3", float(Sigmoid()(logit(place))), 1 / 3, 1e-6),
            close("z = −5: −0.0066036", at_5, -0.00660356221855635892597, 1e-17),
            close("z = −10: −4.5394×10⁻⁵", at_10, -0.0000453937468630324333429, 1e-19),
            close("z = 0: −1/8", at_0, -1 / 8, 0),
            close("it is −y(1 − y)²", off, 0, 1e-16),
            Claim(
                "concave left of −ln 2, convex right of it",
                f"d²L/dz² ≤ {number(float(left.max()), 2)}, ≥ {number(float(right.min()), 2)}",
                bool((left < 0).all() and (right > 0).all()),
            ),
        ),
        (_derivatives(place, least),),
    )


def _inside(text: str, low: float, high: float) -> Claim:
    return Claim(text, f"from {number(low, 3)} to 1 − {number(1 - high, 3)}", low > 0 and high < 1)


def _derivatives(place: float, least: float) -> Illustration:
    def draw(axes: Any) -> None:
        z = logits(-8, 8)
        for pair in (("sigmoid", "se"), ("sigmoid", "bce"), ("clipped_linear", "se")):
            axes.plot(z[:, 0], slopes(*pair, z), **drawing.of_pair(*pair))
        mark(axes, place, least, "−4/27 at z = −ln 2", (-16, -26))
        axes.set(xlabel="logit z, target 1", ylabel="derivative dL/dz")
        axes.legend(loc="lower right")

    return sketch("the derivative of each loss against the logit", draw)


SLIDES = (
    Slide(
        26,
        "The logistic sigmoid",
        squash,
        "Squash: the logistic σ(z); explain the terms on the left.",
    ),
    Slide(27, "Log-linear", log_linear, "“log-linear”: z = wᵀx + b."),
    Slide(28, "Squared error of a sigmoid", flat_loss, "L_SE = ½(y − t)² on σ."),
    Slide(
        29,
        "Its derivative vanishes",
        vanishing_gradient,
        "Figure: the derivative of SE∘σ for a positive example.",
    ),
)
