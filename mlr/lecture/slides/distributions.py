"""Slides 13–15: cross-entropy is one loss for every distribution; squared error is a Gaussian's."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Distribution, Laplace, Normal

from mlr.data import Line
from mlr.data.base import Dataset
from mlr.heads import Softmax
from mlr.information import (
    HALF_LOG_TAU,
    categorical,
    cross_entropy,
    gaussian_cross_entropy,
    kl_divergence,
    likelihood,
    log_likelihood,
)
from mlr.lecture.lab import Lab, Trained
from mlr.lecture.page.answer import Answer, Claim, Illustration, Slide, close, number
from mlr.lecture.page.drawing import (
    BLUE,
    GREEN,
    GREY,
    HALF,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    curves,
    line,
    sketch,
)
from mlr.lecture.slides.divergence import DATA
from mlr.lecture.slides.entropy import Cost, gradient_descent
from mlr.objectives import Objective


def generic(lab: Lab) -> Answer:
    """For which models is the cross-entropy −E[log p_model] a loss?

    Source: lecture; Goodfellow et al., Deep Learning, 6.2.1.1.
    """
    generator = torch.Generator().manual_seed(0)
    z = 3 * torch.randn(1000, 3, generator=generator, dtype=torch.float64)
    t = torch.randn(1000, 1, generator=generator, dtype=torch.float64)
    yes = (t > 0).double()
    classes = torch.randint(3, (1000,), generator=generator)
    one_hot = torch.nn.functional.one_hot(classes, 3).double()
    one = z[:, :1]
    binary = Objective("sigmoid", "bce").losses(one, yes)
    several = Objective("softmax", "ce").losses(z, one_hot)
    squared = Objective("linear", "se").losses(one, t)
    absolute = (one - t).abs()[:, 0]
    claims = (
        _equal("Bernoulli, sigmoid + BCE", Bernoulli(logits=one[:, 0]), yes[:, 0], binary),
        _equal("categorical, softmax + CE", Categorical(logits=z), classes, several),
        _equal("Gaussian, SE + ½ log 2π", Normal(one[:, 0], 1.0), t[:, 0], squared + HALF_LOG_TAU),
        _equal("Laplace, |y − t| + log 2", Laplace(one[:, 0], 1.0), t[:, 0], absolute + log(2)),
    )
    x = torch.linspace(-4, 4, 401, dtype=torch.float64)
    zero, two = torch.zeros((), dtype=torch.float64), torch.stack([x, torch.zeros_like(x)], -1)
    costs: list[tuple[str, Distribution, Tensor, str, str]] = [
        ("Gaussian, target 0", Normal(x, 1.0), zero, GREEN, "-."),
        ("Laplace, target 0", Laplace(x, 1.0), zero, ORANGE, ":"),
        ("Bernoulli, target 1", Bernoulli(logits=x), zero + 1, BLUE, "-"),
        ("categorical, 1 of 3", _three(two), torch.tensor(0), PURPLE, "--"),
    ]
    shown = curves(
        "−log p of one example under four distributions",
        [(x, -it.log_prob(at), line(colour, name, style)) for name, it, at, colour, style in costs],
        xlabel="mean or logit z",
        ylabel="−log p",
        ylim=(0, 6),
        legend="above",
    )
    return Answer(
        f"For every model that has a likelihood: −log p of {len(claims)} distributions gives "
        f"{len(claims)} known losses. A Bernoulli gives BCE, a categorical CE, a Gaussian of "
        "variance 1 SE + ½ log 2π, a Laplace of scale 1 |y − t| + log 2.",
        claims,
        (shown,),
    )


def _three(two: Tensor) -> Categorical:
    return Categorical(logits=torch.cat([two, torch.zeros_like(two[:, :1])], -1))


def _equal(name: str, model: Distribution, targets: Tensor, losses: Tensor) -> Claim:
    """Claim that −log p of each target is its loss."""
    # one target along the first axis, of a model for each: so nothing is summed
    costs = -log_likelihood(model, targets.unsqueeze(0))
    off = float(((costs - losses).abs() / (1 + losses)).max())
    return close(f"{name}: −log p is the loss of each of 1,000 examples (relative)", off, 0, 1e-14)


NOISE = 0.5
"""Standard deviation of the line's targets."""


def squared_error_is_gaussian(lab: Lab) -> Answer:
    """Why is the squared error a cross-entropy, too?

    For K outputs the constant is ½K log 2π.

    Source: lecture; Goodfellow et al., Deep Learning, 5.5.1, 6.2.2.1 and 6.2.2.4.
    """
    y = torch.linspace(-2, 4, 601, dtype=torch.float64, requires_grad=True)
    t, one, point = torch.ones(601).double(), torch.tensor(1.0).double(), torch.tensor(0.0).double()
    se = Objective("linear", "se")(y[:, None], t[:, None])
    ce = gaussian_cross_entropy(t, point, y, one)
    slopes = [torch.autograd.grad(it.sum(), y)[0] for it in (se, ce)]
    se, ce, grid = se.detach(), ce.detach(), y.detach()
    gap = ce - se
    far = float(gaussian_cross_entropy(one, point, 10 * one, one))
    claims = (
        close("H(p̂, N(y, 1)) − SE = ½ log 2π = 0.918939", float(gap.mean()), HALF_LOG_TAU, 1e-14),
        close("the same for every y", float(gap.max() - gap.min()), 0, 1e-14),
        close("with equal gradients, y − t", float((slopes[0] - slopes[1]).abs().max()), 0, 0),
        close("y = 10, t = 1: 41.418939", far, 40.5 + HALF_LOG_TAU, 1e-14),
        _of_three_outputs(),
    )
    runs = _fits(lab)
    return Answer(
        "SE is the cross-entropy with a Gaussian of mean y and variance 1, less the constant "
        f"½ log 2π = {number(float(gap[0]), 6)}, whose gradient is 0. A Gaussian head learns the "
        f"standard deviation too: {_deviation(runs[-1]):.3f}, where the noise has {NOISE:g}.",
        (*claims, *_of_fits(*runs)),
        (_two_costs(grid, se, ce), _band(*runs)),
    )


def _of_three_outputs() -> Claim:
    generator = torch.Generator().manual_seed(0)
    y, t = torch.randn(2, 1000, 3, generator=generator, dtype=torch.float64)
    nll = -Normal(y, 1.0).log_prob(t).sum(-1)
    gap = nll - Objective("linear", "se", outputs=3).losses(y, t)
    text = "K = 3 outputs, 1,000 examples: −log p − SE = 3/2 log 2π = 2.756816"
    return close(text, float(gap.mean()), 2.75681559961401823, 1e-14)


def _fits(lab: Lab) -> tuple[Trained, Trained, Trained]:
    """Fit a line by squared error, by a Gaussian's −log-likelihood, and with its deviation."""
    own = ("experiment=line", "data.seed=0", f"data.noise={NOISE:g}")
    squared, fixed = lab.sweep(*own, "loss=se,gaussian_nll")
    return squared, fixed, lab.run(*own, "head=gaussian", "loss=gaussian_nll")


def _deviation(learnt: Trained) -> float:
    """Compute the σ that a Gaussian head predicts, mean over the inputs −1 and 1."""
    weight, bias = learnt.parameters["output.weight"][1], learnt.parameters["output.bias"][1]
    return float((bias + weight * torch.tensor([-1.0, 1.0])).exp().mean())


def _of_fits(squared: Trained, fixed: Trained, learnt: Trained) -> tuple[Claim, ...]:
    pairs = zip(squared.parameters.values(), fixed.parameters.values(), strict=True)
    apart = max(float((one - other).abs().max()) for one, other in pairs)
    left, more = squared.metrics["loss/test"], fixed.metrics["loss/test"]
    count = len(_line().test)
    sigma = {
        name: share / count**0.5 for name, share in (("SE", NOISE**2 / 2**0.5), ("NLL", 0.5**0.5))
    }
    of_mean = f"of a mean over {count} test examples"
    return (
        close(
            f"the test loss of a line fitted by SE is ½ noise² = 0.125 (σ {of_mean}: "
            f"{sigma['SE']:.4f})",
            left,
            NOISE**2 / 2,
            2 * sigma["SE"],
        ),
        close("−log-likelihood with σ = 1 fits the same line", apart, 0, 1e-6),
        close("its test loss is ½ log 2π higher", more - left, HALF_LOG_TAU, 1e-6),
        close("a Gaussian head learns σ = 0.5", _deviation(learnt), NOISE, 0.03),
        close(
            f"its test loss is the entropy of the noise, 0.7258 (σ {of_mean}: {sigma['NLL']:.2f})",
            learnt.metrics["loss/test"],
            log(NOISE) + HALF_LOG_TAU + 0.5,
            2 * sigma["NLL"],
        ),
    )


def _line() -> Dataset:
    return Line(seed=0, noise=NOISE).load(0)


def _two_costs(y: Tensor, se: Tensor, ce: Tensor) -> Illustration:
    return curves(
        "one example with target 1",
        [
            (y, ce, line(BLUE, "H(p̂, N(y, 1))")),
            (y, se, line(VERMILLION, "½(y − t)²", "--")),
            (y, ce - se, line(GREY, "difference", ":")),
        ],
        size=HALF,
        xlabel="prediction y",
        ylabel="nats",
        legend="upper center",
    )


def _band(squared: Trained, fixed: Trained, learnt: Trained) -> Illustration:
    """Draw the test data, the line of squared error, and the Gaussian head's mean and deviation."""
    data = _line().test
    x = torch.linspace(-1, 1, 101)
    mean, log_deviation = (
        x[:, None] * learnt.parameters["output.weight"][:, 0] + learnt.parameters["output.bias"]
    ).unbind(1)
    least = x * squared.parameters["output.weight"][0] + squared.parameters["output.bias"]

    def draw(axes: Any) -> None:
        axes.plot(data.features[:, 0], data.targets[:, 0], ".", color=GREY, label="test data")
        reach = 2 * log_deviation.exp()
        band = {"color": BLUE, "alpha": 0.25, "linewidth": 0, "label": "Gaussian head, ±2σ"}
        axes.fill_between(x, mean - reach, mean + reach, **band)
        axes.plot(x, mean, **line(BLUE, "its mean"))
        axes.plot(x, least, **line(VERMILLION, "linear + SE", "--"))
        axes.set(xlabel="x", ylabel="t", ylim=(-3.2, 6.8))
        axes.legend(loc="upper left")

    return sketch(
        "a line fitted by squared error, and a Gaussian", draw, squared, learnt, size=HALF
    )


def four_names(lab: Lab) -> Answer:
    """Are divergence, cross-entropy, log-likelihood and likelihood one objective?

    Slip: “maximize maximum likelihood” should be: maximise the likelihood.

    Source: lecture, KL ⇔ NLL ⇔ CE ⇔ ML.
    """
    p, head = torch.tensor(DATA, dtype=torch.float64), Softmax()
    samples = torch.tensor([0] * 7 + [1] * 2 + [2])
    m = len(samples)
    costs: dict[str, Cost] = {
        "KL": lambda theta: kl_divergence(p, head(theta)),
        "NLL": lambda theta: -log_likelihood(categorical(theta), samples) / m,
        "CE": lambda theta: cross_entropy(p, head(theta)),
        "ML": lambda theta: -likelihood(categorical(theta), samples).log() / m,
    }
    start = torch.tensor([0.0, 1.0, -1.0], dtype=torch.float64)
    ways = {name: gradient_descent(cost, start, 1.0, 40) for name, cost in costs.items()}
    fall = {name: torch.stack([costs[name](theta) for theta in ways[name]]) for name in costs}
    above = {name: values - fall["KL"] for name, values in fall.items()}
    constant = float(above["CE"].mean())
    claims = (
        *(
            close(
                f"the curve of {name} is that of KL plus a constant",
                float(above[name].max() - above[name].min()),
                0,
                1e-13,
            )
            for name in ("NLL", "CE", "ML")
        ),
        close("the constant is H(p̂) = 0.801819", constant, 0.801818552543337309, 1e-14),
    )
    return Answer(
        "Yes: the four curves are equal up to a constant, for CE, NLL and −1/m log of the "
        f"likelihood (ML) lie H(p̂) = {constant:.4f} above KL.",
        claims,
        (_four_curves(fall),),
    )


def _four_curves(fall: Mapping[str, Tensor]) -> Illustration:
    steps = torch.arange(41)
    drawn = (
        ("CE", BLUE, "-", 9),
        ("NLL", SKY, "--", 5),
        ("ML", INK, ":", 3),
        ("KL", VERMILLION, "-", 3.5),
    )
    names = {"ML": "−1/m log of the product"}
    return curves(
        "four objectives, each on its own descent from one start",
        [
            (steps, fall[name], line(colour, names.get(name, name), style, linewidth=width))
            for name, colour, style, width in drawn
        ],
        xlabel="steps",
        ylabel="nats",
    )


SLIDES = (
    Slide(13, "One loss for every distribution", generic, "Cross-entropy is generic."),
    Slide(
        14,
        "Squared error is Gaussian",
        squared_error_is_gaussian,
        "MSE is the cross-entropy of the empirical distribution and a Gaussian.",
    ),
    Slide(15, "Four names of one objective", four_names, "KL ⇔ NLL ⇔ CE ⇔ ML."),
)
