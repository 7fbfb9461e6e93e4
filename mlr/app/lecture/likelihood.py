"""Slides 2, 3, 5 and 6: maximum likelihood, and why its logarithm is taken."""

from __future__ import annotations

from math import log

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal

from mlr.app.lecture.answer import Answer, Claim, Picture, Slide, close, number
from mlr.app.lecture.drawing import (
    BLUE,
    GREEN,
    GREY,
    HALF,
    INK,
    VERMILLION,
    canvas,
    curves,
    line,
    picture,
)
from mlr.app.lecture.lab import Lab
from mlr.information import (
    bernoulli,
    fit_bernoulli,
    fit_by_descent,
    fit_gaussian,
    kl_divergence,
    likelihood,
    log_likelihood,
)

HEADS_OF_TEN = torch.tensor([1, 1, 0, 1, 0, 1, 1, 1, 0, 1], dtype=torch.float64)
"""Ten throws of a coin, seven heads."""


def maximum_likelihood(lab: Lab) -> Answer:
    """A coin shows heads 7 times in 10: which θ makes what was seen most probable?

    Source: lecture slide 2, θ_ML = argmax_θ p(X; θ); Goodfellow et al., Deep Learning, 5.5.
    """
    theta = torch.arange(1, 1000, dtype=torch.float64) / 1000
    coins, samples = Bernoulli(theta), HEADS_OF_TEN.unsqueeze(1)
    product, total = likelihood(coins, samples), log_likelihood(coins, samples)
    mean = total / len(samples)
    best = {name: float(theta[it.argmax()]) for name, it in _named(product, total, mean)}
    fitted = float(fit_bernoulli(HEADS_OF_TEN).probs)
    start = torch.zeros((), dtype=torch.float64)
    found = fit_by_descent(bernoulli, start, HEADS_OF_TEN, rate=4, steps=40)
    claims = (
        *(close(f"the {name} is largest at θ = 7/10", at, 0.7, 0) for name, at in best.items()),
        close("its closed form is the share of heads, 7/10", fitted, 0.7, 1e-15),
        close(
            "gradient descent finds it", float(bernoulli(found.parameters[-1]).probs), 0.7, 1e-12
        ),
        close("1/m log L there is −0.610864", float(mean.max()), -0.61086430205489346, 1e-14),
    )
    top = (best["likelihood"], float(product.max()), "θ = 0.7")
    pictures = (
        curves(
            "the likelihood of seven heads in ten",
            [(theta, product, line(BLUE))],
            points=[top],
            size=HALF,
            xlabel="θ",
            ylabel="L(θ) = p(X; θ)",
        ),
        curves(
            "its logarithm, divided by m",
            [(theta, mean, line(GREEN))],
            points=[(0.7, float(mean.max()), "θ = 0.7")],
            size=HALF,
            xlabel="θ",
            ylabel="1/m log L(θ)",
            ylim=(-3, 0),
        ),
    )
    return Answer(
        f"θ = {fitted:g}, the share of heads: likelihood, log-likelihood and mean "
        f"log-likelihood are all largest at {best['likelihood']:g}.",
        claims,
        pictures,
    )


def _named(product: Tensor, total: Tensor, mean: Tensor) -> list[tuple[str, Tensor]]:
    return [("likelihood", product), ("log-likelihood", total), ("mean log-likelihood", mean)]


def independence(lab: Lab) -> Answer:
    """When is the probability of all samples the product of theirs?

    Source: lecture slide 3; Goodfellow et al., Deep Learning, 3.7 and 5.5.
    """
    pairs = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=torch.float64)
    product = likelihood(Bernoulli(torch.tensor(0.5).double()), pairs.T)
    fair = torch.full((4,), 0.25, dtype=torch.float64)
    glued = torch.tensor([0.4, 0.1, 0.1, 0.4], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    throws = 100_000
    apart = torch.rand(throws, 2, generator=generator).lt(0.5).double()
    seen = (apart @ torch.tensor([2.0, 1.0]).double()).long().bincount(minlength=4) / throws
    sigma = (0.25 * 0.75 / throws) ** 0.5
    away = float((seen - product).abs().max())
    lost = float(kl_divergence(glued, product))
    claims = (
        close(
            "two fair coins: every entry of the joint table is ½ · ½",
            float((fair - product).abs().max()),
            0,
            0,
        ),
        Claim(
            "100,000 throws of two coins: their table is the product within 4σ",
            f"{number(away)} away, σ = {number(sigma)}",
            away < 4 * sigma,
        ),
        close(
            "two coins glued by 0.8: p(1, 1) = 0.4 is no 0.25",
            float(glued[3] - product[3]),
            0.15,
            1e-15,
        ),
        close(
            "KL(joint‖product) of the glued ones is 0.192745",
            lost,
            0.8 * log(1.6) + 0.2 * log(0.4),
            1e-15,
        ),
        close("and of the independent ones 0", float(kl_divergence(fair, product)), 0, 0),
    )
    return Answer(
        f"Exactly when they are independent: glued coins are KL = {lost:.4f} nats away from "
        "the product of their margins.",
        claims,
        (
            _table("two coins, thrown apart", seen, product),
            _table("two coins, glued so that 8 of 10 agree", glued, product),
        ),
    )


def _table(title: str, joint: Tensor, product: Tensor) -> Picture:
    """Bars of a joint table beside the product of its margins."""
    places = np.arange(4)
    with canvas(**HALF) as (figure, axes):
        axes.bar(places - 0.2, joint.numpy(), 0.4, color=BLUE, label="joint p(a, b)")
        axes.bar(places + 0.2, product.numpy(), 0.4, color=GREY, label="product p(a) p(b)")
        axes.set_xticks(places, ["0, 0", "0, 1", "1, 0", "1, 1"])
        axes.set(xlabel="coins a, b", ylim=(0, 0.6))
        axes.legend(loc="upper center", ncols=2)
        return picture(title, figure)


def logarithm(lab: Lab) -> Answer:
    """May the logarithm be maximised instead of the likelihood?

    Source: lecture slide 5; Goodfellow et al., Deep Learning, 5.5.
    """
    generator = torch.Generator().manual_seed(0)
    samples = torch.randn(20, generator=generator, dtype=torch.float64) + 1.5
    means = torch.linspace(-1, 4, 2001, dtype=torch.float64, requires_grad=True)
    bells = Normal(means, 1.0)
    product, total = likelihood(bells, samples[:, None]), log_likelihood(bells, samples[:, None])
    slopes = [torch.autograd.grad(it.sum(), means, retain_graph=True)[0] for it in (product, total)]
    product, total, grid = product.detach(), total.detach(), means.detach()
    same = float((slopes[0].sign() == slopes[1].sign()).double().mean())
    best, fitted = float(grid[product.argmax()]), float(fit_gaussian(samples).mean)
    claims = (
        close("both are largest at the same μ of the grid", float(grid[total.argmax()]), best, 0),
        close(
            "which is the mean of the samples, to half a step of the grid", best, fitted, 0.00125
        ),
        close("their slopes agree in sign at 100 % of the grid", 100 * same, 100, 0),
    )
    scaled = product / product.max()
    return Answer(
        f"Yes: the logarithm grows with its argument, so both are largest at μ = {best:.4g}, and "
        "the product becomes a sum.",
        claims,
        (
            curves(
                "the likelihood of 20 samples",
                [(grid, scaled, line(BLUE))],
                points=[(best, 1.0, f"μ = {best:.4g}")],
                size=HALF,
                xlabel="mean μ of the Gaussian",
                ylabel="L(μ) / largest L",
            ),
            curves(
                "its logarithm",
                [(grid, total, line(GREEN))],
                points=[(best, float(total.max()), f"μ = {best:.4g}")],
                size=HALF,
                xlabel="mean μ of the Gaussian",
                ylabel="log L(μ)",
            ),
        ),
    )


def divided_by_m(lab: Lab) -> Answer:
    """Does dividing by the number of samples m move the maximum?

    Source: lecture slide 6, the expectation over the empirical distribution p̂_data.
    """
    samples = torch.tensor([1, 1, 1, 0, 1, 1, 0, 1], dtype=torch.float64)
    m, rate, steps = len(samples), 4.0, 30
    by_mean = _climb(samples, rate, steps, divisor=m)
    by_sum = _climb(samples, rate, steps, divisor=1)
    by_scaled = _climb(samples, rate / m, steps, divisor=1)
    ratio = _slope(samples, 1) / _slope(samples, m)
    best, end = log(3), float(by_mean[-1])
    claims = (
        close("the gradient of the sum is m = 8 times that of the mean", ratio, 8, 0),
        close("the mean ends at the logit of 6/8, ln 3", end, best, 1e-12),
        close(
            "the sum with rate/m takes the same way, to the bit",
            float((by_scaled - by_mean).abs().max()),
            0,
            0,
        ),
        Claim(
            "with the same rate, the sum overshoots for ever",
            f"{number(float((by_sum - by_mean)[-10:].abs().max()))} apart in the last ten steps",
            bool((by_sum - by_mean)[-10:].abs().max() > 1),
        ),
    )
    steps_taken = torch.arange(steps + 1)
    return Answer(
        f"No: it only makes the gradient {ratio:g} times smaller, so that one "
        "learning rate suits any number of samples.",
        claims,
        (
            curves(
                "gradient ascent on sum and mean, from logit 0",
                [
                    (steps_taken, by_sum, line(VERMILLION, "sum, rate 4", "--")),
                    (steps_taken, by_mean, line(BLUE, "mean, rate 4")),
                    (steps_taken, by_scaled, line(INK, "sum, rate 4/8", ":")),
                ],
                xlabel="steps",
                ylabel="logit",
                ylim=(-5, 36),
                legend="upper left",
            ),
        ),
    )


def _slope(samples: Tensor, divisor: int) -> float:
    """Gradient of the log-likelihood, divided, at logit 0."""
    return float(_climb(samples, 1.0, 1, divisor)[1])


def _climb(samples: Tensor, rate: float, steps: int, divisor: int) -> Tensor:
    """The logits (steps + 1,) of gradient ascent on the log-likelihood, divided."""
    way = [torch.zeros((), dtype=torch.float64)]
    for _ in range(steps):
        logit = way[-1].clone().requires_grad_()
        height = log_likelihood(bernoulli(logit), samples) / divisor
        (slope,) = torch.autograd.grad(height, logit)
        way.append(way[-1] + rate * slope)
    return torch.stack(way)


SLIDES = (
    Slide(2, "Maximum likelihood", maximum_likelihood),
    Slide(3, "Independent samples", independence),
    Slide(5, "The logarithm", logarithm),
    Slide(6, "Dividing by m", divided_by_m),
)
