"""Slides 10–12: cross-entropy is divergence plus the entropy of the data, a constant."""

from __future__ import annotations

from collections.abc import Callable
from math import log

import numpy as np
import torch
from torch import Tensor

from mlr.heads import Sigmoid, Softmax
from mlr.information import categorical, cross_entropy, entropy, kl_divergence, log_likelihood
from mlr.lecture.lab import Lab
from mlr.lecture.page.answer import Answer, Illustration, Slide, close, number
from mlr.lecture.page.drawing import (
    BLUE,
    GREY,
    SKY,
    VERMILLION,
    canvas,
    curves,
    line,
    picture,
)
from mlr.lecture.slides.divergence import DATA, distribution
from mlr.lecture.slides.one_logit import crossing

Cost = Callable[[Tensor], Tensor]


def three_descents(lab: Lab) -> Answer:
    """Do minimum divergence, minimum cross-entropy and maximum likelihood give the same model?

    Source: lecture; Goodfellow et al., Deep Learning, 5.5.
    """
    p, head = distribution(*DATA), Softmax()
    samples = torch.tensor([0] * 7 + [1] * 2 + [2])
    costs: dict[str, Cost] = {
        "KL": lambda theta: kl_divergence(p, head(theta)),
        "CE": lambda theta: cross_entropy(p, head(theta)),
        "NLL": lambda theta: -log_likelihood(categorical(theta), samples) / len(samples),
    }
    ways = {
        name: gradient_descent(cost, distribution(0.0, 1.0, -1.0), 1.0, 400)
        for name, cost in costs.items()
    }
    apart = {name: float((ways[name] - ways["KL"]).abs().max()) for name in ("CE", "NLL")}
    end = head(ways["NLL"][-1])
    claims = (
        close("gradient descent on CE takes the same steps as on KL", apart["CE"], 0, 1e-13),
        close("and so does gradient descent on −1/m log-likelihood (NLL)", apart["NLL"], 0, 1e-13),
        close(
            "all end at the shares of the ten examples, 0.7, 0.2, 0.1",
            float((end - p).abs().max()),
            0,
            1e-12,
        ),
    )
    steps = torch.arange(41)
    drawn = (("KL", SKY, "-", 9), ("CE", BLUE, "--", 5), ("NLL", VERMILLION, ":", 3.5))
    return Answer(
        f"Yes, and by the same steps: in 400 steps of gradient descent the parameters differ by "
        f"{number(max(apart.values()), 1)} at most, and all end at the shares of the examples, "
        f"{float(end[0]):.1f}, {float(end[1]):.1f}, {float(end[2]):.1f}.",
        claims,
        (
            curves(
                "probability of the first class, from one start",
                [
                    (steps, head(ways[name])[:41, 0], line(colour, name, style, linewidth=width))
                    for name, colour, style, width in drawn
                ],
                xlabel="steps",
                ylabel="q of the first class",
            ),
        ),
    )


def gradient_descent(cost: Cost, start: Tensor, rate: float, steps: int) -> Tensor:
    """Compute the parameters (steps + 1, K) of gradient descent from `start`."""
    way = [start]
    for _ in range(steps):
        theta = way[-1].clone().requires_grad_()
        (slope,) = torch.autograd.grad(cost(theta), theta)
        way.append(way[-1] - rate * slope)
    return torch.stack(way)


def decomposition(lab: Lab) -> Answer:
    """How are cross-entropy, entropy and divergence related?

    Source: lecture; Goodfellow et al., Deep Learning, 3.13.
    """
    generator = torch.Generator().manual_seed(0)
    worst, count = 0.0, 0
    for classes in range(2, 11):
        logits = 2 * torch.randn(2, 1000, classes, generator=generator, dtype=torch.float64)
        p, q = Softmax()(logits)
        ce = cross_entropy(p, q)
        off = (ce - entropy(p) - kl_divergence(p, q)).abs()
        worst, count = max(worst, float(off.max())), count + len(off)
    p, q = distribution(0.9, 0.1, 0.0), distribution(0.5, 0.25, 0.25)
    case = [float(it) for it in (cross_entropy(p, q), entropy(p), kl_divergence(p, q))]
    claims = (
        close(f"H(p, q) = H(p) + KL(p‖q), for {count:,} random pairs", worst, 0, 1e-14),
        close(
            "[.9, .1, 0] under [.5, .25, .25]: H(p, q) = 0.762462",
            case[0],
            0.762461898615939840,
            1e-15,
        ),
        close("H(p) = 0.325083", case[1], 0.325082973391448240, 1e-15),
        close("KL(p‖q) = 0.437379", case[2], 0.437378925224491601, 1e-15),
    )
    return Answer(
        "H(p, q) = H(p) + KL(p‖q): the entropy of the data plus the divergence of the model from "
        f"the data. For {count:,} random pairs the two sides differ by {number(worst, 1)} nats "
        "at most.",
        claims,
        (_four_models(p, q),),
    )


def _four_models(p: Tensor, flat: Tensor) -> Illustration:
    """Draw H(p, q) of four models q as the sum of H(p) and KL(p‖q)."""
    cases = {
        "q = p": p,
        "q near p": distribution(0.8, 0.15, 0.05),
        "q flat": flat,
        "q far": distribution(0.2, 0.3, 0.5),
    }
    models = torch.stack(list(cases.values()))
    places = np.arange(len(cases))
    with canvas() as (figure, axes):
        floor = entropy(p).expand(len(cases)).numpy()
        axes.bar(places, floor, 0.6, color=GREY, label="H(p)")
        axes.bar(
            places,
            kl_divergence(p, models).numpy(),
            0.6,
            bottom=floor,
            color=VERMILLION,
            label="KL(p‖q)",
        )
        for place, whole in zip(places.tolist(), cross_entropy(p, models).tolist(), strict=True):
            axes.annotate(f"{whole:.2f}", (place, whole + 0.04), ha="center")
        axes.set_xticks(places, list(cases))
        axes.set(ylabel="H(p, q), nats", ylim=(0, 2.1))
        axes.legend(loc="upper left")
        return picture("p = [.9, .1, 0] under four models", figure)


POSITIVE = 0.7
"""Share of positive examples in the data of `entropy_of_data`; ln(7/3) is its logit."""


def entropy_of_data(lab: Lab) -> Answer:
    """What effect does the entropy of the data have on the model?

    Source: lecture.
    """
    head, p = Sigmoid(), distribution(1 - POSITIVE, POSITIVE)
    z = torch.linspace(-6, 6, 1201, dtype=torch.float64)
    of_ce, of_kl = _slope(cross_entropy, p, z), _slope(kl_divergence, p, z)
    of_data = of_ce - of_kl
    away = float(of_data.abs().max())
    best = {"H(p, q)": _least(cross_entropy, p), "KL(p‖q)": _least(kl_divergence, p)}
    claims = (
        close("d/dz [H(p, q) − KL(p‖q)] = dH(p)/dz = 0 at every z", away, 0, 1e-15),
        *(
            close(f"{name} is least at z = ln(7/3) = 0.847298", place, log(7 / 3), 1e-14)
            for name, place in best.items()
        ),
        close(
            "there σ(z) is the share 0.7 of the data", _at(head, best["H(p, q)"]), POSITIVE, 1e-14
        ),
        close("dH(p, q)/dz = σ(z) − 0.7", float((of_ce - (head(z) - 0.7)).abs().max()), 0, 1e-15),
    )
    return Answer(
        "None: the model does not depend on H(p_data), nor H(p_data) on the model. Its gradient is "
        f"0 (measured: {number(away, 1)} at most), so cross-entropy and divergence are least at "
        f"the same logit, z = ln(7/3) = {best['H(p, q)']:.4f}.",
        claims,
        (
            curves(
                "gradients of the three, data with p = 0.7",
                [
                    (z, of_ce, line(BLUE, "dH(p, q)/dz")),
                    (z, of_kl, line(VERMILLION, "dKL(p‖q)/dz", "--")),
                    (z, of_data, line(GREY, "dH(p)/dz", ":")),
                ],
                xlabel="logit z of the model",
                ylabel="gradient",
            ),
        ),
    )


def _slope(cost: Callable[[Tensor, Tensor], Tensor], p: Tensor, z: Tensor) -> Tensor:
    """Differentiate cost(p, q) with respect to the logit z (N,) of q = (σ(−z), σ(z))."""
    z = z.clone().requires_grad_()
    q = torch.stack([Sigmoid()(-z), Sigmoid()(z)], -1)
    return torch.autograd.grad(cost(p, q).sum(), z)[0]


def _least(cost: Callable[[Tensor, Tensor], Tensor], p: Tensor) -> float:
    """Find the logit z of q that minimises cost(p, q)."""
    return crossing(lambda z: _slope(cost, p, z[:, 0]), -6, 6)


def _at(head: Sigmoid, z: float) -> float:
    return float(head(distribution(z)))


SLIDES = (
    Slide(
        10,
        "Three objectives, the same steps",
        three_descents,
        "arg min −E[log p_model] is maximum likelihood.",
    ),
    Slide(11, "Cross-entropy", decomposition, "H(p, q) = H(p) + D(p‖q)."),
    Slide(12, "The entropy of the data", entropy_of_data, "H(p_data) has no effect on p_model."),
)
