"""Glorot and Bengio's surfaces: the training criterion over two weights of a two-layer net."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mlr.lecture.lab import Lab
from mlr.lecture.page import drawing
from mlr.lecture.page.answer import Answer, Claim, Illustration, PublishedNumber, percent
from mlr.objectives import Objective

SOURCE = "Glorot and Bengio 2010, section 4.1 and Fig. 5"
WORDS = "more severe with SE"
EXAMPLES, DRAWS, POINTS = 10, 20, 121
"""Random examples per surface, surfaces that are averaged, grid points per weight."""
LOSSES = ("se", "bce")
FLAT = (0.01, 0.1)
"""A point is on a plateau where the gradient is shorter than this share of the longest."""


class Surface(NamedTuple):
    """Mean loss (W₁, W₂) over a grid of two weights, and the norm of its gradient."""

    weights: Tensor
    losses: Tensor
    slopes: Tensor

    def plateau(self, share: float) -> Tensor:
        """Mask of the points whose gradient is shorter than `share` of the longest."""
        return self.slopes < share * self.slopes.max()


def glorot_plateaus(lab: Lab) -> Answer:
    """Does squared error make more severe plateaus than cross-entropy, as Glorot and Bengio drew?

    The net is the smallest of two layers, y = σ(w₂ tanh(w₁ x)), on random inputs and random
    targets; the paper gives no range of the weights, so two are shown. Each surface is measured
    against its own longest gradient, so that a factor on the loss makes no difference.

    Source: X. Glorot, Y. Bengio, Understanding the difficulty of training deep feedforward neural
    networks, AISTATS 2010, section 4.1, Fig. 5.
    """
    rows = []
    shares: dict[tuple[int, float, str], float] = {}
    for reach in (4, 10):
        for loss in LOSSES:
            drawn = [surface(loss, reach, seed) for seed in range(DRAWS)]
            for flat in FLAT:
                found = [one.plateau(flat).double().mean() for one in drawn]
                shares[reach, flat, loss] = 100 * float(torch.stack(found).mean())
        for flat in FLAT:
            here = ", ".join(f"{loss.upper()} {shares[reach, flat, loss]:.1f} %" for loss in LOSSES)
            what = f"surface with gradient under {percent(flat, 0)} of its longest, |w| ≤ {reach}"
            rows.append(PublishedNumber(what, WORDS, here, 1, SOURCE))
    (se, bce), (near_se, near_bce) = (
        [shares[reach, FLAT[0], loss] for loss in LOSSES] for reach in (10, 4)
    )
    sentence = (
        "Yes, where the weights are large: with |w| ≤ 10 the gradient is under "
        f"{percent(FLAT[0])} of its longest on {se:.0f} % of the surface of squared error and on "
        f"{bce:.1f} % of that of cross-entropy; with |w| ≤ 4 it is {near_se:.1f} % and "
        f"{near_bce:.1f} %."
    )
    claim = Claim(
        "squared error has the larger plateaus, |w| ≤ 10", f"{se:.1f} % and {bce:.1f} %", se > bce
    )
    pictures = tuple(_picture(loss, 10) for loss in LOSSES)
    return Answer(sentence, (claim,), pictures, tuple(rows))


def surface(loss: str, reach: float, seed: int) -> Surface:
    """Compute the mean of `loss` over random examples, for weights in [−reach, reach]²."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(EXAMPLES, dtype=torch.float64, generator=generator)
    targets = (torch.rand(EXAMPLES, generator=generator) < 0.5).double()
    weights = torch.linspace(-reach, reach, POINTS, dtype=torch.float64)
    first, second = weights[:, None, None], weights[None, :, None]
    hidden = torch.tanh(first * x)
    logits = (second * hidden).unsqueeze(-1)
    t = targets.unsqueeze(-1).expand_as(logits)
    objective = Objective("sigmoid", loss, outputs=1)
    errors = objective.gradient(logits, t).squeeze(-1)
    to_first = (errors * second * (1 - hidden.square()) * x).mean(-1)
    to_second = (errors * hidden).mean(-1)
    return Surface(weights, objective.losses(logits, t).mean(-1), to_first.hypot(to_second))


def _picture(loss: str, reach: float) -> Illustration:
    """Draw the contours of one surface, with its plateaus shaded."""
    drawn = surface(loss, reach, 0)
    colour, _ = drawing.LOSSES[loss]
    with drawing.canvas(width=6.4, height=5.6) as (figure, axes):
        grid = (drawn.weights, drawn.weights)
        share = (drawn.slopes / drawn.slopes.max()).T
        axes.contourf(*grid, share, levels=[0, FLAT[0]], colors=[drawing.GREY], alpha=0.45)
        axes.contour(*grid, drawn.losses.T, levels=14, colors=colour, linewidths=1.8)
        axes.set(xlabel="w₁, first layer", ylabel="w₂, second layer", aspect="equal")
        title = f"{loss.upper()}: contours of the training criterion; grey: plateaus"
        return drawing.picture(title, figure)
