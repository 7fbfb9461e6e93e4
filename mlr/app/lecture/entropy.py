"""Slides 10–12: cross-entropy is divergence plus the entropy of the data, which no model moves."""

from __future__ import annotations

from collections.abc import Callable
from math import log

import numpy as np
import torch
from torch import Tensor

from mlr.app.lecture.answer import Answer, Picture, Slide, close, number
from mlr.app.lecture.divergence import DATA, distribution
from mlr.app.lecture.drawing import (
    BLUE,
    GREY,
    SKY,
    VERMILLION,
    canvas,
    curves,
    line,
    picture,
)
from mlr.app.lecture.lab import Lab
from mlr.heads import Sigmoid, Softmax
from mlr.information import categorical, cross_entropy, entropy, kl_divergence, log_likelihood

Cost = Callable[[Tensor], Tensor]


def three_descents(lab: Lab) -> Answer:
    """Do least divergence, least cross-entropy and maximum likelihood find the same model?

    Source: lecture slide 10, argmin −E[log p_model]; Goodfellow et al., Deep Learning, 5.5.

    Slip: “maximize maximum likelihood” should be: maximise the likelihood.
    """
    p, head = distribution(*DATA), Softmax()
    samples = torch.tensor([0] * 7 + [1] * 2 + [2])
    costs: dict[str, Cost] = {
        "KL": lambda theta: kl_divergence(p, head(theta)),
        "CE": lambda theta: cross_entropy(p, head(theta)),
        "NLL": lambda theta: -log_likelihood(categorical(theta), samples) / len(samples),
    }
    ways = {
        name: descend(cost, distribution(0.0, 1.0, -1.0), 1.0, 400) for name, cost in costs.items()
    }
    apart = {name: float((ways[name] - ways["KL"]).abs().max()) for name in ("CE", "NLL")}
    end = head(ways["NLL"][-1])
    claims = (
        close("gradient descent on CE takes the steps of KL", apart["CE"], 0, 1e-13),
        close("and so does −1/m log-likelihood", apart["NLL"], 0, 1e-13),
        close("all end at the shares of the samples", float((end - p).abs().max()), 0, 1e-12),
    )
    steps = torch.arange(41)
    drawn = (("KL", SKY, "-", 9), ("CE", BLUE, "--", 5), ("NLL", VERMILLION, ":", 3.5))
    return Answer(
        f"Yes, and by the same steps: 400 of them stay {number(max(apart.values()), 1)} or less "
        f"apart and end at {float(end[0]):.1f}, {float(end[1]):.1f}, {float(end[2]):.1f}.",
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


def descend(cost: Cost, start: Tensor, rate: float, steps: int) -> Tensor:
    """Parameters (steps + 1, K) of gradient descent from `start`."""
    way = [start]
    for _ in range(steps):
        theta = way[-1].clone().requires_grad_()
        (slope,) = torch.autograd.grad(cost(theta), theta)
        way.append(way[-1] - rate * slope)
    return torch.stack(way)


def decomposition(lab: Lab) -> Answer:
    """How are cross-entropy, entropy and divergence related?

    Source: lecture slide 11, H(p, q) = H(p) + D(p‖q); Goodfellow et al., Deep Learning, 3.13.
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
        f"H(p, q) = H(p) + KL(p‖q), for {count:,} random pairs to {number(worst, 1)} nats: "
        "what the data need, plus what a wrong model adds.",
        claims,
        (_four_models(p, q),),
    )


def _four_models(p: Tensor, flat: Tensor) -> Picture:
    """H(p, q) of four models q, as what it is made of."""
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


def entropy_of_data(lab: Lab) -> Answer:
    """What does the entropy of the data do to the model?

    Source: lecture slide 12.
    """
    head = Sigmoid()
    z = torch.linspace(-6, 6, 1201, dtype=torch.float64, requires_grad=True)
    p = distribution(0.3, 0.7)
    q = torch.stack([head(-z), head(z)], -1)
    ce, kl = cross_entropy(p, q), kl_divergence(p, q)
    of_ce, of_kl, of_data = (
        torch.autograd.grad(it.sum(), z, retain_graph=True)[0] for it in (ce, kl, ce - kl)
    )
    grid = z.detach()
    least = float(grid[ce.argmin()])
    away = float(of_data.abs().max())
    claims = (
        close("d/dz [H(p, q) − KL(p‖q)] = dH(p)/dz = 0 for every z", away, 0, 1e-15),
        close("so both are least at the same z of the grid", float(grid[kl.argmin()]), least, 0),
        close("where σ(z) is the share 0.7 of the data, to half a step", least, log(7 / 3), 0.005),
        close(
            "dH(p, q)/dz = σ(z) − 0.7", float((of_ce - (head(grid) - 0.7)).abs().max()), 0, 1e-15
        ),
    )
    return Answer(
        f"Nothing: its gradient is 0 (measured: {number(away, 1)} at most), so cross-entropy and "
        f"divergence are least at the same z = {least:.2f}.",
        claims,
        (
            curves(
                "gradients of the three, data with p = 0.7",
                [
                    (grid, of_ce, line(BLUE, "dH(p, q)/dz")),
                    (grid, of_kl, line(VERMILLION, "dKL(p‖q)/dz", "--")),
                    (grid, of_data, line(GREY, "dH(p)/dz", ":")),
                ],
                xlabel="logit z of the model",
                ylabel="gradient",
            ),
        ),
    )


SLIDES = (
    Slide(10, "Three descents, one way", three_descents),
    Slide(11, "Cross-entropy", decomposition),
    Slide(12, "The entropy of the data", entropy_of_data),
)
