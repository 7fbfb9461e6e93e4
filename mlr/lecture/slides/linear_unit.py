"""Slides 23–25: a linear unit as a classifier, trained by squared error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mlr.data import Outliers
from mlr.heads import Linear
from mlr.lecture.lab import Lab, Trained
from mlr.lecture.page import drawing
from mlr.lecture.page.answer import Answer, Claim, Illustration, Slide, close, percent
from mlr.lecture.page.drawing import mark, rule, sketch
from mlr.lecture.slides.one_logit import costs, logit, logits, slopes
from mlr.objectives import Objective
from mlr.objectives.compatibility import find_head

POINTS, CLASSES = (0.0, 1.0, 2.0, 3.0), (0.0, 0.0, 1.0, 1.0)
STEEPEST = {("linear", "se"): 1.0, ("sigmoid", "bce"): 0.25}
"""Largest d²L/dz²; its inverse is the largest learning rate that never overshoots."""
BOUNDARY = {"linear": 0.5, "sigmoid": 0.0}
"""Logit whose prediction is ½."""


@dataclass(frozen=True)
class FittedUnit:
    """A trained unit with z = weight · x + bias.

    boundary: x at which the prediction is ½.
    right: True for each point that is predicted rightly.
    loss: mean loss over the points.
    """

    weight: float
    bias: float
    boundary: float
    right: tuple[bool, ...]
    loss: float

    @property
    def accuracy(self) -> float:
        """Share of points predicted rightly."""
        return sum(self.right) / len(self.right)


def fit_unit(head: str, loss: str, more: Sequence[float] = (), updates: int = 2000) -> FittedUnit:
    """Train a unit on the four points and on `more` points of class 1.

    Applies gradient descent to all points at once, on inputs of mean 0 and variance 1, where the
    learning rate 1/`STEEPEST` solves least squares in a single update.
    """
    objective = Objective(head, loss, outputs=1)
    gradient = objective.kernel.gradient  # as in a training step, without validation
    x = torch.tensor([*POINTS, *more], dtype=torch.float64).unsqueeze(1)
    t = torch.tensor([*CLASSES, *(1.0 for _ in more)], dtype=torch.float64).unsqueeze(1)
    mean, deviation = x.mean(), x.std(correction=0)
    inputs = (x - mean) / deviation
    weight = bias = torch.zeros((), dtype=torch.float64)
    lr = 1 / STEEPEST[head, loss]
    with torch.inference_mode():
        for _ in range(updates):
            slopes = gradient(weight * inputs + bias, t)
            weight = weight - lr * (slopes * inputs).mean()
            bias = bias - lr * slopes.mean()
        z = weight * inputs + bias
        right = objective.head.classify(z) == t[:, 0]
        w, b = float(weight / deviation), float(bias - weight * mean / deviation)
        boundary = (BOUNDARY[head] - b) / w
        return FittedUnit(
            w, b, boundary, tuple(right.tolist()), float(objective.losses(z, t).mean())
        )


ROUNDING = 1e-12


def threshold_at_half(lab: Lab) -> Answer:
    """How does a linear unit that may predict any number choose between two classes?

    Source: lecture.
    """
    found = fit_unit("linear", "se")
    z = logit(0.5 - 1e-9, 0.5)
    classes = Linear().classify(z).tolist()

    def draw(axes: Any) -> None:
        _points(axes)
        _unit(axes, found, "linear", "se", (-0.5, 3.5))
        rule(axes, y=0.5)
        mark(axes, found.boundary, 0.5, f"boundary x = {found.boundary:g}", (14, -22))
        axes.set(xlabel="input x", ylabel="prediction y", yticks=(0, 0.5, 1))
        axes.legend(loc="upper left")

    return Answer(
        "It predicts class 1 where y ≥ ½: on the points 0, 1 | 2, 3 the boundary of the "
        f"least-squares line is x = {found.boundary:.4g}, and {percent(found.accuracy)} are right.",
        (
            Claim(
                "below y = ½ class 0, from y = ½ on class 1", _listed(classes), classes == [0, 1]
            ),
            close("the slope of the line is w = 2/5", found.weight, 2 / 5, ROUNDING),
            close("its intercept is b = −1/10", found.bias, -1 / 10, ROUNDING),
            close("its boundary, wx + b = ½, is 3/2", found.boundary, 3 / 2, ROUNDING),
            close("all four points are right", found.accuracy, 1, 0),
        ),
        (sketch("the least-squares line, and its threshold at ½", draw),),
    )


def wants_to_be_exact(lab: Lab) -> Answer:
    """How large is the squared error of a positive example predicted as 10, and predicted as 0?

    Slip: the slide writes P(Y = 1|X) = ½(…)², which is a loss, not a probability.

    Source: lecture.
    """
    y = logit(0.0, 10.0, 2.0)
    wrong, sure, double = costs("linear", "se", y).tolist()
    up, down, _ = slopes("linear", "se", y).tolist()
    predicted = Linear().classify(y).tolist()

    def draw(axes: Any) -> None:
        z = logits(-3, 12)
        axes.axvspan(0.5, 12, color=drawing.GREEN, alpha=0.15, linewidth=0)
        axes.text(11.7, 58, "predicted rightly", ha="right", color=drawing.INK)
        axes.plot(z[:, 0], costs("linear", "se", z), **drawing.of_pair("linear", "se"))
        mark(axes, 0, wrong, f"y = 0, wrong: {wrong:g}", (0, 46))
        mark(axes, 10, sure, f"y = 10, right: {sure:g}", (-16, 4))
        axes.set(xlabel="prediction y, target 1", ylabel="loss ½(y − t)²", xlim=(-3, 12))

    return Answer(
        f"Squared error “wants to be exact”: the right and confident prediction 10 costs {sure:g}, "
        f"the wrong prediction 0 only {wrong:g}, less by a factor of {sure / wrong:g}.",
        (
            close("y = 10 costs 40.5", sure, 40.5, 0),
            close("y = 0 costs 0.5", wrong, 0.5, 0),
            close("the right prediction costs 81 times as much", sure / wrong, 81, 0),
            close("the gradient at y = 10 is 9, back towards the boundary", down, 9, 0),
            close("the gradient at y = 0 is only −1", up, -1, 0),
            close("y = 2 already costs as much as y = 0", double, wrong, 0),
            Claim(
                "of the predictions 0 and 10 only 10 is classified as 1",
                _listed(predicted[:2]),
                predicted[:2] == [0, 1],
            ),
        ),
        (sketch("squared error of a positive example against its prediction", draw),),
    )


def outlier_drags(lab: Lab) -> Answer:
    """How does one more point of class 1, far out on its own side, move the boundary?

    Source: a consequence of section 24, not on a slide; Bishop, PRML, 4.1.3, figure 4.4.
    """
    near, far = fit_unit("linear", "se", (20.0,)), fit_unit("linear", "se", (100.0,))
    logistic = [fit_unit("sigmoid", "bce", more) for more in ((), (20.0,), (100.0,))]
    runs = [
        lab.run("experiment=outliers", "head=linear", "loss=se"),
        lab.run("experiment=outliers", "head=sigmoid", "loss=bce"),
    ]
    squared, log = (run.metrics["accuracy/test"] for run in runs)
    kept = min(one.accuracy for one in logistic)
    only_2 = (True, True, False, True, True)
    return Answer(
        f"A point at 20 moves the boundary of least squares from 3/2 to {near.boundary:.4f}, past "
        f"the point 2; logistic regression still classifies {percent(kept)} rightly. On two clouds "
        f"with far points linear + SE has a test accuracy of {percent(squared)}, sigmoid + BCE of "
        f"{percent(log)}.",
        (
            close("a point at 20 moves it to 105/47 = 2.2340", near.boundary, 105 / 47, ROUNDING),
            close("a point at 100 moves it to 505/207 = 2.4396", far.boundary, 505 / 207, 1e-11),
            Claim(
                "the point 2 is then wrong, and only it", _wrong_points(near), near.right == only_2
            ),
            Claim("likewise with the point at 100", _wrong_points(far), far.right == only_2),
            close(
                "logistic regression classifies all points rightly in all three cases", kept, 1, 0
            ),
            Claim(
                "two clouds: linear + SE has a test accuracy ≤ 95 %",
                percent(squared),
                squared <= 0.95,
            ),
            Claim("sigmoid + BCE has ≥ 99 %", percent(log), log >= 0.99),
        ),
        (_dragged(near, logistic[1]), _clouds(runs)),
    )


def _listed(classes: list[int]) -> str:
    return ", ".join(map(str, classes))


def _wrong_points(found: FittedUnit) -> str:
    points = ", ".join(f"{x:g}" for x, right in zip(POINTS, found.right, strict=False) if not right)
    return f"wrong: x = {points}"


def _points(axes: Any, *more: float) -> None:
    """Draw the four points at the height of their classes, and more of class 1."""
    x, t = np.array([*POINTS, *more]), np.array([*CLASSES, *(1.0 for _ in more)])
    for c, colour, marker in ((0.0, drawing.VERMILLION, "s"), (1.0, drawing.BLUE, "o")):
        axes.plot(x[t == c], t[t == c], marker, color=colour, markersize=13, zorder=4)


def _unit(axes: Any, found: FittedUnit, head: str, loss: str, limits: tuple[float, float]) -> None:
    """Draw the prediction of a unit against its input."""
    x = logits(*limits)
    y = find_head(head)(found.weight * x + found.bias)
    axes.plot(x[:, 0], y[:, 0], **drawing.of_pair(head, loss))


def _dragged(squared: FittedUnit, logistic: FittedUnit) -> Illustration:
    def draw(axes: Any) -> None:
        _points(axes, 20.0)
        _unit(axes, squared, "linear", "se", (-1, 21))
        _unit(axes, logistic, "sigmoid", "bce", (-1, 21))
        rule(axes, y=0.5)
        mark(axes, squared.boundary, 0.5, f"boundary {squared.boundary:.2f}", (12, -20))
        axes.set(xlabel="input x", ylabel="prediction y", yticks=(0, 0.5, 1), xlim=(-1, 21))
        axes.legend(loc="lower right")

    return sketch("one more point of class 1 at x = 20", draw, size=drawing.HALF)


def _clouds(runs: list[Trained]) -> Illustration:
    """Draw test points of the outliers, and the line on which each trained unit predicts ½."""
    test = Outliers().load(0).test
    x, t = test.features.numpy(), test.targets.numpy()

    def draw(axes: Any) -> None:
        for c, colour, marker in ((0, drawing.VERMILLION, "s"), (1, drawing.BLUE, "o")):
            axes.plot(*x[t == c].T, marker, color=colour, markersize=6, alpha=0.6)
        low, high = x[:, 1].min(), x[:, 1].max()
        x2 = np.array([low, high])
        for run, pair, level in zip(
            runs, (("linear", "se"), ("sigmoid", "bce")), (0.5, 0.0), strict=True
        ):
            (w1, w2), b = run.parameters["output.weight"][0], run.parameters["output.bias"][0]
            axes.plot((level - float(b) - float(w2) * x2) / float(w1), x2, **drawing.of_pair(*pair))
        axes.set(xlabel="feature 1", ylabel="feature 2", ylim=(low, high))
        axes.legend(loc="center", bbox_to_anchor=(0.6, 0.5), handlelength=1.4)

    title = "boundaries trained on two clouds with far points"
    return sketch(title, draw, *runs, size=drawing.HALF)


SLIDES = (
    Slide(23, "A threshold at one half", threshold_at_half, "Threshold at ½."),
    Slide(
        24,
        "Squared error wants to be exact",
        wants_to_be_exact,
        "SE “wants to be exact”: a large loss for a confident right prediction.",
    ),
    Slide(25, "One outlier drags the boundary", outlier_drags),
)
