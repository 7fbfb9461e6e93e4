"""Slides 7–12: the Kullback–Leibler divergence, and what of it a model can change."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, log, sqrt

import torch
from torch import Tensor
from torch.distributions import Categorical

from mlr.app.lecture.answer import Answer, Claim, Slide, close, number
from mlr.app.lecture.drawing import (
    BLUE,
    GREY,
    INK,
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


def _of(*probabilities: float) -> Tensor:
    return torch.tensor(probabilities, dtype=torch.float64)


def divergence(lab: Lab) -> Answer:
    """How far is a model's distribution q from the distribution p of the data?

    Source: lecture slide 7; Goodfellow et al., Deep Learning, eq. 3.50.

    Slip: the slide mixes p̂_data, of the samples, and p_data, that they come from, inside one
    sum; here p is one and the same. And 0·log 0 is silently taken as 0, its limit.
    """
    p, q = _of(0.5, 0.25, 0.25), _of(0.25, 0.25, 0.5)
    far, flat = _of(0.8, 0.2), _of(0.5, 0.5)
    kl = float(kl_divergence(p, q))
    claims = (
        close("KL([½, ¼, ¼] ‖ [¼, ¼, ½]) = ¼ ln 2 = 0.173287", kl, log(2) / 4, 1e-16),
        close("KL(p‖p) is 0", float(kl_divergence(p, p)), 0, 0),
        close(
            "not symmetric: KL([.8, .2] ‖ [.5, .5]) = 0.192745",
            float(kl_divergence(far, flat)),
            0.192744757021757,
            1e-12,
        ),
        close(
            "and KL([.5, .5] ‖ [.8, .2]) = 0.223144",
            float(kl_divergence(flat, far)),
            0.223143551314210,
            1e-12,
        ),
        close("+∞ where q = 0 < p", float(kl_divergence(flat, _of(1.0, 0.0))), inf, 0),
        close("0·log 0 = 0 where p = 0", float(kl_divergence(_of(0.0, 1.0), flat)), log(2), 1e-16),
    )
    parts = p * (p.log() - q.log())
    places = torch.arange(3)
    with canvas() as (figure, axes):
        for shift, bars, colour, label in (
            (-0.27, p, BLUE, "p, the data"),
            (0.0, q, VERMILLION, "q, the model"),
            (0.27, parts, GREY, "p log(p/q)"),
        ):
            axes.bar(places + shift, bars, 0.25, color=colour, label=label)
        axes.axhline(0, color=INK, linewidth=1)
        axes.set_xticks(places, ["a", "b", "c"])
        axes.set(xlabel="outcome", ylim=(-0.25, 0.75))
        axes.legend(loc="upper center", ncols=3)
        shown = picture("p, q, and what each outcome adds to KL(p‖q)", figure)
    return Answer(
        f"By KL(p‖q) = ∑ p log(p/q): here {kl:.4f} nats; never below 0, and 0 only for q = p.",
        claims,
        (shown,),
    )


def expectation(lab: Lab) -> Answer:
    """Can the divergence be had from samples alone?

    Source: lecture slide 8, KL = E_p[log p_data(x) − log p_model(x)].
    """
    p, q, many = _of(0.5, 0.25, 0.25), _of(0.25, 0.25, 0.5), 100_000
    exact = float(kl_divergence(p, q))
    generator = torch.Generator().manual_seed(0)
    samples = torch.multinomial(p, many, replacement=True, generator=generator)
    terms = Categorical(p).log_prob(samples) - Categorical(q).log_prob(samples)
    counts = torch.arange(1, many + 1)
    running = terms.cumsum(0) / counts
    sigma = float(terms.std()) / sqrt(many)
    estimate = float(running[-1])
    band = 3 * float(terms.std()) / counts.sqrt()
    every = torch.logspace(1, 5, 400).long().unique() - 1
    claims = (
        Claim(
            "the mean of log p − log q over 100,000 samples is KL = 0.173287 within 3σ",
            f"{number(estimate)}, σ = {sigma:.1e}",
            abs(estimate - exact) < 3 * sigma,
        ),
    )
    return Answer(
        f"Yes, as the mean of log p − log q over samples of p: {estimate:.4f} from 100,000 of "
        f"them, where the sum gives {exact:.4f}.",
        claims,
        (
            curves(
                "the mean over the first n samples",
                [
                    (counts[every], running[every], line(BLUE, "mean of n samples")),
                    (counts[every], exact + band[every], line(GREY, "KL ± 3σ/√n", ":")),
                    (counts[every], exact - band[every], line(GREY, style=":")),
                    (
                        counts[every],
                        torch.full_like(band[every], exact),
                        line(INK, "KL", "--", linewidth=2),
                    ),
                ],
                xlabel="samples n",
                ylabel="mean of log p − log q",
                xscale="log",
                ylim=(-0.3, 0.7),
            ),
        ),
    )


DATA = (0.7, 0.2, 0.1)
"""p̂ of ten samples: seven of the first class, two of the second, one of the third."""


def data_term(lab: Lab) -> Answer:
    """Which part of the divergence can the model change?

    Source: lecture slide 9; Goodfellow et al., Deep Learning, eq. 5.60.
    """
    p, head = _of(*DATA), Softmax()
    generator = torch.Generator().manual_seed(0)
    theta = torch.randn(1000, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    model = head(theta)
    kl, ce = kl_divergence(p, model), cross_entropy(p, model)
    slopes = [torch.autograd.grad(it.sum(), theta, retain_graph=True)[0] for it in (kl, ce)]
    away = float((slopes[0] - slopes[1]).abs().max())
    gap = ce - kl
    claims = (
        close("∂KL/∂θ = ∂CE/∂θ at 1,000 models", away, 0, 1e-15),
        close(
            "CE − KL is H(p̂) = 0.801819 for the first of them",
            float(gap[0].detach()),
            0.801818552543337309,
            1e-15,
        ),
        close("and the same for all of them", float((gap.max() - gap.min()).detach()), 0, 2e-15),
    )
    share = torch.linspace(0.01, 0.99, 399, dtype=torch.float64)
    two, q = _of(0.7, 0.3), torch.stack([share, 1 - share], -1)
    return Answer(
        f"Only −E[log p_model], the cross-entropy: the term of the data is the constant "
        f"H(p̂) = {float(gap[0].detach()):.4f}, and the gradients differ by {away:.0e} at most.",
        claims,
        (
            curves(
                "two classes, p̂ = 0.7: the curves differ by a constant",
                [
                    (share, cross_entropy(two, q), line(BLUE, "cross-entropy H(p̂, q)")),
                    (share, kl_divergence(two, q), line(VERMILLION, "KL(p̂‖q)", "--")),
                    (share, entropy(two).expand(399), line(GREY, "their difference, H(p̂)", ":")),
                ],
                xlabel="q of the first class",
                ylabel="nats",
                ylim=(0, 2.5),
            ),
        ),
    )


def three_descents(lab: Lab) -> Answer:
    """Do least divergence, least cross-entropy and maximum likelihood find the same model?

    Source: lecture slide 10, argmin −E[log p_model]; Goodfellow et al., Deep Learning, 5.5.

    Slip: “maximize maximum likelihood” is to say: maximise the likelihood.
    """
    p, head = _of(*DATA), Softmax()
    samples = torch.tensor([0] * 7 + [1] * 2 + [2])
    costs: dict[str, Cost] = {
        "KL": lambda theta: kl_divergence(p, head(theta)),
        "CE": lambda theta: cross_entropy(p, head(theta)),
        "NLL": lambda theta: -log_likelihood(categorical(theta), samples) / len(samples),
    }
    ways = {name: descend(cost, _of(0.0, 1.0, -1.0), 1.0, 400) for name, cost in costs.items()}
    apart = {name: float((ways[name] - ways["KL"]).abs().max()) for name in ("CE", "NLL")}
    end = head(ways["NLL"][-1])
    claims = (
        close("gradient descent on CE goes the way of KL, step by step", apart["CE"], 0, 1e-13),
        close("and so does −1/m log-likelihood", apart["NLL"], 0, 1e-13),
        close("all end at the shares of the samples", float((end - p).abs().max()), 0, 1e-12),
    )
    steps = torch.arange(41)
    drawn = (("KL", SKY, "-", 9), ("CE", BLUE, "--", 5), ("NLL", VERMILLION, ":", 3.5))
    return Answer(
        f"Yes, and by the same steps: 400 of them stay within {max(apart.values()):.0e} of each "
        f"other and end at {float(end[0]):.1f}, {float(end[1]):.1f}, {float(end[2]):.1f}.",
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
    """How do cross-entropy, entropy and divergence hang together?

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
    p, q = _of(0.9, 0.1, 0.0), _of(0.5, 0.25, 0.25)
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
    cases = {"q = p": p, "q near p": _of(0.8, 0.15, 0.05), "q flat": q, "q far": _of(0.2, 0.3, 0.5)}
    models = torch.stack(list(cases.values()))
    places = torch.arange(len(cases))
    with canvas() as (figure, axes):
        floor = entropy(p).expand(len(cases))
        axes.bar(places, floor, 0.6, color=GREY, label="H(p)")
        axes.bar(
            places, kl_divergence(p, models), 0.6, bottom=floor, color=VERMILLION, label="KL(p‖q)"
        )
        axes.plot(places, cross_entropy(p, models), "_", color=INK, markersize=70, label="H(p, q)")
        axes.set_xticks(places, list(cases))
        axes.set(ylabel="nats", ylim=(0, 2.1))
        axes.legend(loc="upper left", markerscale=0.35)
        shown = picture("p = [.9, .1, 0] under four models", figure)
    return Answer(
        f"H(p, q) = H(p) + KL(p‖q), for {count:,} random pairs to {worst:.0e} nats: "
        "what the data need, and what a wrong model adds.",
        claims,
        (shown,),
    )


def entropy_of_data(lab: Lab) -> Answer:
    """What does the entropy of the data do to the model?

    Source: lecture slide 12.
    """
    head = Sigmoid()
    z = torch.linspace(-6, 6, 1201, dtype=torch.float64, requires_grad=True)
    p = _of(0.3, 0.7)
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
        f"Nothing: its gradient is 0 (measured: {away:.0e} at most), so cross-entropy and "
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
    Slide(7, "The divergence", divergence),
    Slide(8, "As an expectation", expectation),
    Slide(9, "What the model can change", data_term),
    Slide(10, "Three descents, one way", three_descents),
    Slide(11, "Cross-entropy", decomposition),
    Slide(12, "The entropy of the data", entropy_of_data),
)
