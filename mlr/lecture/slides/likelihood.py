"""Slides 2–6: maximum likelihood, and the reasons to take its logarithm."""

from __future__ import annotations

from bisect import bisect_left
from math import log

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal

from mlr.information import (
    bernoulli,
    fit_bernoulli,
    fit_by_descent,
    fit_gaussian,
    kl_divergence,
    likelihood,
    log_likelihood,
)
from mlr.lecture.lab import Lab
from mlr.lecture.page.answer import Answer, Claim, Illustration, Slide, close, number
from mlr.lecture.page.drawing import (
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

HEADS_OF_TEN = torch.tensor([1, 1, 0, 1, 0, 1, 1, 1, 0, 1], dtype=torch.float64)
"""Ten throws of a coin, seven heads."""


def maximum_likelihood(lab: Lab) -> Answer:
    """A coin shows heads 7 times in 10: for which θ are these throws most probable?

    Source: lecture; Goodfellow et al., Deep Learning, 5.5.
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
        close("the closed form is the share of heads, 7/10", fitted, 0.7, 1e-15),
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
        f"θ_ML = arg max p(X; θ) = {fitted:g}, the share of heads: likelihood, log-likelihood and "
        f"mean log-likelihood are all largest at {best['likelihood']:g}.",
        claims,
        pictures,
    )


def _named(product: Tensor, total: Tensor, mean: Tensor) -> list[tuple[str, Tensor]]:
    return [("likelihood", product), ("log-likelihood", total), ("mean log-likelihood", mean)]


def independence(lab: Lab) -> Answer:
    """When is the probability of all examples a product of factors p(xᵢ; θ), with one p for all?

    For such examples maximum likelihood is θ_ML = arg max_θ ∏ᵢ p(xᵢ; θ).

    Source: lecture; Goodfellow et al., Deep Learning, 3.7 and 5.5.
    """
    one, other = (_coin(0.5), _coin(0.8))
    product = torch.outer(one, one).flatten()
    mixed = torch.outer(one, other).flatten()  # independent, not identically distributed
    glued = torch.tensor([0.4, 0.1, 0.1, 0.4], dtype=torch.float64)
    marginals = [glued.view(2, 2).sum(axis) for axis in (0, 1)]
    unlike = torch.outer(other, other).flatten()  # what one p = 0.8 for both would give
    throws, seen = 100_000, _thrown(100_000)
    sigma = (0.25 * 0.75 / throws) ** 0.5
    away = float((seen - product).abs().max())
    lost = float(kl_divergence(glued, product))
    claims = (
        Claim(
            "100,000 throws of two fair coins: their table is the product within 4σ",
            f"{number(away, 2)} away, σ = {number(sigma, 2)}",
            away < 4 * sigma,
        ),
        close("independent, fair coins: KL(joint‖product) = 0", _apart(product), 0, 1e-15),
        close("independent, p = 0.5 and 0.8: KL(joint‖product) = 0", _apart(mixed), 0, 1e-15),
        Claim(
            "but no single p: the table of two coins of 0.8 is another",
            f"p(1, 1) = {number(float(mixed[3]))}, not {number(float(unlike[3]))}",
            float(kl_divergence(mixed, unlike)) > 0.1,
        ),
        close(
            "glued coins have equal marginals, ½ and ½",
            max(float((marginal - 0.5).abs().max()) for marginal in marginals),
            0,
            1e-15,
        ),
        close("but p(1, 1) is 0.4 where the product is 0.25", float(glued[3]), 0.4, 0),
        close(
            "KL(joint‖product of the marginals) of the glued coins is 0.192745",
            _apart(glued),
            0.8 * log(1.6) + 0.2 * log(0.4),
            1e-15,
        ),
    )
    return Answer(
        "When they are independent and identically distributed: independence makes the joint "
        "probability the product of the marginals, identical distribution makes the marginals "
        "one and the same p. Glued coins have equal marginals but are not independent: their "
        f"joint table is KL = {lost:.4f} nats from the product.",
        claims,
        (
            _table("two coins, thrown independently", seen, product),
            _table("two coins, glued so that 8 of 10 throws agree", glued, product),
        ),
    )


def _coin(heads: float) -> Tensor:
    """Return the probabilities (2,) of tails and heads."""
    return torch.tensor([1 - heads, heads], dtype=torch.float64)


def _thrown(throws: int) -> Tensor:
    """Throw two fair coins; returns the shares (4,) of 0,0 0,1 1,0 1,1."""
    generator = torch.Generator().manual_seed(0)
    coins = torch.rand(throws, 2, generator=generator).lt(0.5).double()
    pairs = (coins @ torch.tensor([2.0, 1.0]).double()).long()
    return pairs.bincount(minlength=4).double() / throws


def _apart(joint: Tensor) -> float:
    """Compute the KL divergence (nats) of a joint table (4,) from the product of its marginals."""
    table = joint.view(2, 2)
    return float(kl_divergence(joint, torch.outer(table.sum(1), table.sum(0)).flatten()))


def _table(title: str, joint: Tensor, product: Tensor) -> Illustration:
    """Draw bars of a joint table next to the product of its marginals."""
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

    Source: lecture; Goodfellow et al., Deep Learning, 5.5.
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
        close("which is the mean of the 20 examples, 1.41725", best, fitted, 0.00125),
        close("their slopes have the same sign at 100 % of the grid", 100 * same, 100, 0, " %"),
    )
    scaled = product / product.max()
    return Answer(
        f"Yes: the logarithm is strictly increasing, so both are largest at the same "
        f"μ = {fitted:.4f}, the mean of the examples, and the product becomes a sum.",
        claims,
        (
            curves(
                "the likelihood of 20 examples",
                [(grid, scaled, line(BLUE))],
                points=[(fitted, 1.0, f"μ = {fitted:.4f}")],
                size=HALF,
                xlabel="mean μ of the Gaussian",
                ylabel="L(μ) / largest L",
            ),
            curves(
                "its logarithm",
                [(grid, total, line(GREEN))],
                points=[(fitted, float(total.max()), f"μ = {fitted:.4f}")],
                size=HALF,
                xlabel="mean μ of the Gaussian",
                ylabel="log L(μ)",
            ),
        ),
    )


def divided_by_m(lab: Lab) -> Answer:
    """Does dividing by the number of examples m move the maximum?

    1/m times the sum is the expectation over the empirical distribution p̂_data.

    Source: lecture; Goodfellow et al., Deep Learning, eq. 5.59.
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
            "the sum with rate/m takes the same steps, to the bit",
            float((by_scaled - by_mean).abs().max()),
            0,
            0,
        ),
        Claim(
            "with the same rate, the sum has not converged after 30 steps",
            f"up to {number(float((by_sum - by_mean)[-10:].abs().max()), 3)} apart in the last ten",
            bool((by_sum - by_mean)[-10:].abs().max() > 1),
        ),
    )
    steps_taken = torch.arange(steps + 1)
    return Answer(
        f"No: for m = {m} it only makes the gradient {ratio:g} times smaller, so the learning rate "
        "need not be changed with the number of examples.",
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
    """Compute the gradient of the log-likelihood, divided by `divisor`, at logit 0."""
    return float(_climb(samples, 1.0, 1, divisor)[1])


def _climb(samples: Tensor, rate: float, steps: int, divisor: int) -> Tensor:
    """Compute the logits (steps + 1,) of gradient ascent on the log-likelihood / `divisor`."""
    way = [torch.zeros((), dtype=torch.float64)]
    for _ in range(steps):
        logit = way[-1].clone().requires_grad_()
        height = log_likelihood(bernoulli(logit), samples) / divisor
        (slope,) = torch.autograd.grad(height, logit)
        way.append(way[-1] + rate * slope)
    return torch.stack(way)


PRECISION = {"float32": torch.float32, "float64": torch.float64}


def underflow(lab: Lab) -> Answer:
    """What happens when many small probabilities are multiplied?

    1,000 factors of ½ do not underflow float64, so the factors are 0.1.

    Source: lecture.
    """
    vanished = {
        (0.1, "float64"): 324,
        (0.1, "float32"): 46,
        (0.5, "float64"): 1075,
        (0.5, "float32"): 150,
        (0.01, "float64"): 162,
        (0.01, "float32"): 23,
    }
    first = {key: _first_zero(*key) for key in vanished}
    thousand = torch.ones(1000, dtype=torch.float64)
    total = float(log_likelihood(_bernoulli(0.1, "float64"), thousand))
    claims = (
        *(
            close(
                f"the product is 0 from {many:,} factors of {p:g} on in {name}",
                first[p, name],
                many,
                0,
            )
            for (p, name), many in vanished.items()
        ),
        close("the sum of 1,000 log 0.1 is −2302.585", total, 1000 * log(0.1), 1e-9),
        close(
            "1,000 factors of ½ are still 9.33×10⁻³⁰² in float64",
            float(likelihood(_bernoulli(0.5, "float64"), thousand)),
            2.0**-1000,
            1e-314,
        ),
    )
    return Answer(
        f"Their product goes to 0 and underflows: {first[0.1, 'float64']} factors of 0.1 give "
        f"exactly 0 in float64, {first[0.1, 'float32']} in float32. The sum of 1,000 logarithms "
        f"of 0.1 is only {number(total)}.",
        claims,
        _underflow_pictures(),
    )


def _bernoulli(p: float, name: str) -> Bernoulli:
    return Bernoulli(torch.tensor(p, dtype=PRECISION[name]))


def _first_zero(p: float, name: str) -> int:
    """Find the least n for which the product of n factors p is 0."""
    coin = _bernoulli(p, name)

    def vanished(n: int) -> bool:
        return float(likelihood(coin, torch.ones(n, dtype=PRECISION[name]))) == 0

    return 1 + bisect_left(range(1, 2000), True, key=vanished)


def _underflow_pictures() -> tuple[Illustration, Illustration]:
    counts = torch.arange(1, 401)
    products, sums = [], []
    for name, colour, style in (("float64", BLUE, "-"), ("float32", VERMILLION, "--")):
        coin, ones = _bernoulli(0.1, name), torch.ones(400, dtype=PRECISION[name])
        running = torch.stack([likelihood(coin, ones[:n]) for n in counts.tolist()]).double()
        shown = running.where(running > 0, torch.nan)
        products.append((counts, shown, line(colour, f"{name}", style)))
        logs = torch.stack([log_likelihood(coin, ones[:n]) for n in counts.tolist()])
        sums.append((counts, logs, line(colour, name, style)))
    return (
        curves(
            "the product of n factors of 0.1",
            products,
            points=[(45, 1e-45, "float32 ends"), (323, 1e-323, "float64 ends")],
            xlabel="n",
            ylabel="∏ p",
            size=HALF,
            yscale="log",
            yticks=[1, 1e-100, 1e-200, 1e-300],
            ylim=(1e-323, 1e40),
            xlim=(0, 500),
        ),
        curves(
            "the sum of their logarithms",
            sums,
            xlabel="n",
            ylabel="∑ log p",
            size=HALF,
            xlim=(0, 500),
        ),
    )


SLIDES = (
    Slide(2, "Maximum likelihood", maximum_likelihood, "θ_ML = arg max p(X; θ)."),
    Slide(
        3,
        "Independent, identically distributed",
        independence,
        "i.i.d. gives a product over the examples, and the arg max of the product.",
    ),
    Slide(5, "The logarithm", logarithm, "log: the same maximum; the product becomes a sum."),
    Slide(
        6,
        "Dividing by m",
        divided_by_m,
        "Expectation with respect to p̂: dividing by m keeps the maximum.",
    ),
    Slide(
        4,
        "Multiplying small values",
        underflow,
        "Question: “multiplying small values?” Answer: “goes to 0”.",
    ),
)
