"""Slides 7–9: the Kullback–Leibler divergence, and the part of it that a model can change."""

from __future__ import annotations

from math import inf, log, sqrt

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Categorical

from mlr.heads import Softmax
from mlr.information import cross_entropy, entropy, kl_divergence
from mlr.lecture.lab import Lab
from mlr.lecture.page.answer import Answer, Claim, Illustration, Slide, close, number
from mlr.lecture.page.drawing import (
    BLUE,
    GREY,
    INK,
    VERMILLION,
    canvas,
    curves,
    line,
    picture,
)


def distribution(*probabilities: float) -> Tensor:
    """Return probabilities (K,) in float64."""
    return torch.tensor(probabilities, dtype=torch.float64)


def divergence(lab: Lab) -> Answer:
    """How far is a model's distribution q from the distribution p of the data?

    Source: lecture; Goodfellow et al., Deep Learning, eq. 3.50.

    Slip: the slide mixes p̂_data, of the samples, and p_data, that they come from, inside one
    sum; here p is one and the same. And 0·log 0 is silently taken as 0, its limit.
    """
    p, q = distribution(0.5, 0.25, 0.25), distribution(0.25, 0.25, 0.5)
    sure, even = distribution(0.0, 1.0), distribution(0.5, 0.5)
    far, flat = distribution(0.8, 0.2), distribution(0.5, 0.5)
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
        close("+∞ where q = 0 < p", float(kl_divergence(flat, distribution(1.0, 0.0))), inf, 0),
        close(
            "0·log 0 = 0: the outcome with p = 0 adds 0 to KL([0, 1] ‖ [½, ½])",
            float(cross_entropy(sure, even) - entropy(sure)) - log(2),
            0,
            0,
        ),
        close(
            "so KL([0, 1] ‖ [½, ½]) = ln 2 = 0.693147",
            float(kl_divergence(sure, even)),
            log(2),
            1e-16,
        ),
        _never_negative(),
    )
    return Answer(
        f"By the Kullback–Leibler divergence KL(p‖q) = ∑ p log(p/q), here {kl:.4f} nats. It is "
        "never negative, 0 only for q = p, and not symmetric.",
        claims,
        (_parts(p, q),),
    )


def _never_negative() -> Claim:
    logits = 2 * torch.randn(2, 10_000, 3, generator=torch.Generator().manual_seed(0)).double()
    p, q = Softmax()(logits)
    least = float(kl_divergence(p, q).min())
    return Claim("KL(p‖q) > 0 for 10,000 random pairs", f"least {number(least, 2)}", least > 0)


def _parts(p: Tensor, q: Tensor) -> Illustration:
    """Draw bars of p, q and each outcome's term of KL(p‖q)."""
    parts = p * (p.log() - q.log())
    places = np.arange(3)
    with canvas() as (figure, axes):
        for shift, bars, colour, label in (
            (-0.27, p, BLUE, "p, the data"),
            (0.0, q, VERMILLION, "q, the model"),
            (0.27, parts, GREY, "p log(p/q)"),
        ):
            axes.bar(places + shift, bars.numpy(), 0.25, color=colour, label=label)
        axes.axhline(0, color=INK, linewidth=1)
        axes.set_xticks(places, ["a", "b", "c"])
        axes.set(xlabel="outcome", ylim=(-0.25, 0.75))
        axes.legend(loc="upper center", ncols=3)
        return picture("p, q, and the term of each outcome in KL(p‖q)", figure)


def expectation(lab: Lab) -> Answer:
    """Can the divergence be estimated from samples of p, if log p and log q can be evaluated?

    Source: lecture, KL = E_p[log p_data(x) − log p_model(x)].
    """
    p, q, many = distribution(0.5, 0.25, 0.25), distribution(0.25, 0.25, 0.5), 100_000
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
            f"{number(estimate)}, σ = {number(sigma, 2)}",
            abs(estimate - exact) < 3 * sigma,
        ),
    )
    return Answer(
        f"Yes, as the mean of log p − log q over samples of p: 100,000 samples give "
        f"{estimate:.4f}, the sum over all outcomes {exact:.4f}.",
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
"""p̂ of ten examples: seven of the first class, two of the second, one of the third."""


ENTROPY = 0.801818552543337309
"""H(p̂) of `DATA`."""


def data_term(lab: Lab) -> Answer:
    """Which part of the divergence can the model change?

    KL(p̂‖q) = E[log p̂] − E[log q], where E[log p̂] = −H(p̂) is the data term.

    Source: lecture; Goodfellow et al., Deep Learning, eq. 5.60.
    """
    p, head = distribution(*DATA), Softmax()
    generator = torch.Generator().manual_seed(0)
    theta = torch.randn(1000, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    model = head(theta)
    kl, ce = kl_divergence(p, model), cross_entropy(p, model)
    slopes = [torch.autograd.grad(it.sum(), theta, retain_graph=True)[0] for it in (kl, ce)]
    away = float((slopes[0] - slopes[1]).abs().max())
    gap = (ce - kl).detach()
    share, models = _on_a_line()
    drawn = cross_entropy(p, models) - kl_divergence(p, models)
    claims = (
        close("∂KL/∂θ = ∂CE/∂θ at 1,000 models", away, 0, 1e-15),
        close("CE − KL is H(p̂) = 0.801819 for the first of them", float(gap[0]), ENTROPY, 1e-15),
        close("and the same for all of them", float(gap.max() - gap.min()), 0, 2e-15),
        close(
            "and H(p̂) for the models of the figure", float((drawn - ENTROPY).abs().max()), 0, 2e-15
        ),
    )
    return Answer(
        "Only the cross-entropy −E[log q]: the data term does not depend on the model, it is "
        f"−H(p̂) = −{float(gap[0]):.4f} for every q. So KL and cross-entropy have the same "
        f"gradients; measured, they differ by {number(away, 1)} at most.",
        claims,
        (_two_curves(p, share, models),),
    )


def _on_a_line() -> tuple[Tensor, Tensor]:
    """Return probabilities of the first class, and models (N, 3); the other classes share 2 : 1."""
    share = torch.linspace(0.01, 0.99, 491, dtype=torch.float64)
    rest = 1 - share
    return share, torch.stack([share, rest * 2 / 3, rest / 3], -1)


def _two_curves(p: Tensor, share: Tensor, models: Tensor) -> Illustration:
    ce, kl = cross_entropy(p, models), kl_divergence(p, models)
    return curves(
        "models of three classes, p̂ = (0.7, 0.2, 0.1): CE and KL differ by a constant",
        [
            (share, ce, line(BLUE, "cross-entropy H(p̂, q)")),
            (share, kl, line(VERMILLION, "KL(p̂‖q)", "--")),
            (share, ce - kl, line(GREY, f"their difference, H(p̂) = {ENTROPY:.4f}", ":")),
        ],
        xlabel="q of the first class (others: 2 to 1)",
        ylabel="nats",
        ylim=(0, 3),
    )


SLIDES = (
    Slide(7, "The divergence", divergence, "The formula of the KL divergence."),
    Slide(
        8,
        "As an expectation",
        expectation,
        "KL rewritten as the expectation E[log p − log p_model].",
    ),
    Slide(
        9,
        "The part that the model can change",
        data_term,
        "The data term does not depend on the model: remove it.",
    ),
)
