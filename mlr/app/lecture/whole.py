"""Slide 45: every head with every loss, on real digits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from statistics import median
from typing import Any

import numpy as np

from mlr.app.lecture import drawing
from mlr.app.lecture.answer import Answer, Claim, Picture, Slide, percent
from mlr.app.lecture.drawing import sketch
from mlr.app.lecture.lab import Lab, Trained

HEADS, LOSSES = ("clipped_linear", "sigmoid", "softmax"), ("se", "bce", "ce")
RATES, SEEDS = ("0.5", "2"), 4
WINDOW = 10
"""Logged batches of 32 whose mean accuracy counts, about an epoch."""


@dataclass(frozen=True)
class Nine:
    """What is measured of one head and one loss, over all seeds.

    gradient: mean ‖dL/dz‖ of the wrong digits before the first update.
    without: share of these wrong digits whose gradient is exactly 0.
    left: the same share after the last update, with the best of the learning rates.
    updates: to 90 % and to 99 % of the training digits, with the best of the learning rates;
        inf where half of the seeds never get there.
    accuracy: of the test digits with that learning rate, of the worst seed.
    """

    gradient: float
    without: float
    left: float
    updates: tuple[float, float]
    accuracy: float

    @classmethod
    def of(cls, runs: Sequence[Sequence[Trained]]) -> Nine:
        """Of the runs of each learning rate."""
        starts = [run for own in runs for run in own]
        best = min(runs, key=lambda own: [*_updates(own), -_worst(own)])
        return cls(
            gradient=float(np.mean([run.series["logit_grad/wrong"][1][0] for run in starts])),
            without=_without(starts, 0),
            left=_without(best, -1),
            updates=_updates(best),
            accuracy=_worst(best),
        )


def every_pair(lab: Lab) -> Answer:
    """How does the choice of head and loss decide what gradient descent can learn?

    Softmax regression's data and model for all nine pairs: digits, one linear layer with
    weights drawn from N(0, 1). Two pairs, K sigmoid or clipped outputs with cross-entropy, are
    defined but senseless, and run only with objective.strict=false.

    Source: lecture slide 45.
    """
    runs = lab.sweep(
        "experiment=nine_cells",
        f"head={','.join(HEADS)}",
        f"loss={','.join(LOSSES)}",
        f"optimizer.lr={','.join(RATES)}",
        f"seed=range(0,{SEEDS})",
    )
    by_rate = [runs[start : start + SEEDS] for start in range(0, len(runs), SEEDS)]
    pairs = [(head, loss) for head in HEADS for loss in LOSSES]
    nine = {
        pair: Nine.of(by_rate[len(RATES) * index : len(RATES) * (index + 1)])
        for index, pair in enumerate(pairs)
    }
    good, slow = nine["softmax", "ce"], nine["softmax", "se"]
    return Answer(
        f"By the gradient that it gives the wrong digits: with softmax + CE {good.gradient:.2f} at "
        f"the start and 90 % right after {good.updates[0]:.0f} updates, with softmax + SE "
        f"{slow.gradient:.2f} and {_count(slow.updates[0])}; clipped outputs leave "
        f"{percent(nine['clipped_linear', 'se'].without, 0)} of them none at all.",
        tuple(_claims(nine)),
        (_gradients(nine, runs[0]), _speeds(nine, runs[0])),
    )


def _claims(nine: dict[tuple[str, str], Nine]) -> list[Claim]:
    sigmoid = nine["sigmoid", "bce"].gradient / nine["sigmoid", "se"].gradient
    softmax = nine["softmax", "ce"].gradient / nine["softmax", "se"].gradient
    clipped = [nine["clipped_linear", loss].without for loss in LOSSES]
    left = [nine["clipped_linear", loss].left for loss in LOSSES]
    others = [
        max(one.without, one.left) for (head, _), one in nine.items() if head != "clipped_linear"
    ]
    fast = {pair for pair, one in nine.items() if one.updates[1] < inf}
    logs = {("sigmoid", "bce"), ("softmax", "bce"), ("softmax", "ce")}
    squared = [nine[head, "se"].updates[0] for head in ("sigmoid", "softmax")]
    cross = [nine["sigmoid", "bce"].updates[0], nine["softmax", "ce"].updates[0]]
    senseless = [nine[head, "ce"].accuracy for head in ("clipped_linear", "sigmoid")]
    return [
        Claim(
            "sigmoid: BCE gives wrong digits ≥ 5 times SE's gradient",
            f"{sigmoid:.1f}",
            sigmoid >= 5,
        ),
        Claim("softmax: CE ≥ 3 times SE's", f"{softmax:.1f}", softmax >= 3),
        Claim(
            "clipped: ≥ 5 % of the wrong digits have gradient exactly 0, with each loss",
            ", ".join(percent(share, 0) for share in clipped),
            min(clipped) >= 0.05,
        ),
        Claim(
            "and in the end ≥ 50 % of those still wrong",
            ", ".join(percent(share, 0) for share in left),
            min(left) >= 0.5,
        ),
        Claim("with sigmoid and softmax none, ever", percent(max(others), 0), max(others) == 0),
        Claim(
            "99 % of training digits: only by the sensible logarithmic losses",
            ", ".join("+".join(pair) for pair in sorted(fast)),
            fast == logs,
        ),
        Claim(
            "90 %: sigmoid and softmax need ≥ 5 times as many updates with SE",
            f"{_count(squared[0])} to {cross[0]:.0f}, {_count(squared[1])} to {cross[1]:.0f}",
            all(slow >= 5 * quick for slow, quick in zip(squared, cross, strict=True)),
        ),
        Claim(
            "K outputs that are no distribution learn nothing from CE: ≤ 30 %",
            ", ".join(percent(share, 0) for share in senseless),
            max(senseless) <= 0.3,
        ),
    ]


def _updates(runs: Sequence[Trained]) -> tuple[float, float]:
    """Median over the seeds of the updates to 90 % and 99 % of the training digits."""
    reached = [[_reached(run, share) for run in runs] for share in (0.9, 0.99)]
    return median(reached[0]), median(reached[1])


def _reached(run: Trained, share: float) -> float:
    steps, right = run.series["accuracy/train"]
    means = np.convolve(right, np.ones(WINDOW) / WINDOW, mode="valid")
    there = np.flatnonzero(means >= share)
    return float(steps[there[0] + WINDOW - 1]) if len(there) else inf


def _without(runs: Sequence[Trained], point: int) -> float:
    """Share of the wrong digits in the batches of one logged step whose gradient is exactly 0."""
    stuck = wrong = 0.0
    for run in runs:
        steps, shares = run.series["stuck/fraction"]
        # the accuracy goes on to a last point, of the whole split
        at, right = run.series["accuracy/train"]
        stuck += float(shares[point])
        wrong += 1 - float(right[np.searchsorted(at, steps[point])])
    return stuck / wrong if wrong else 0.0


def _worst(runs: Sequence[Trained]) -> float:
    return min(run.metrics["accuracy/test"] for run in runs)


def _count(updates: float) -> str:
    return "never" if updates == inf else f"{updates:,.0f}"


def _gradients(nine: dict[tuple[str, str], Nine], run: Trained) -> Picture:
    def cell(one: Nine) -> tuple[float, str, str]:
        zero = f"{percent(one.without, 0)} are 0" if one.without else "none is 0"
        return np.log10(10 * one.gradient) / 1.5, f"{one.gradient:.2f}", zero

    def draw(axes: Any) -> None:
        _grid(axes, {pair: cell(one) for pair, one in nine.items()}, drawing.BLUE)

    return sketch(
        "mean ‖dL/dz‖ of wrong digits before the first update", draw, run, size=drawing.HALF
    )


def _speeds(nine: dict[tuple[str, str], Nine], run: Trained) -> Picture:
    def cell(one: Nine) -> tuple[float, str, str]:
        strength = 0.0 if one.updates[0] == inf else 1 - np.log10(one.updates[0] / 40) / 1.7
        return strength, _count(one.updates[0]), f"99 %: {_count(one.updates[1])}"

    def draw(axes: Any) -> None:
        _grid(axes, {pair: cell(one) for pair, one in nine.items()}, drawing.GREEN)

    return sketch(
        "updates until 90 % of the training digits are right", draw, run, size=drawing.HALF
    )


def _grid(axes: Any, cells: dict[tuple[str, str], tuple[float, str, str]], colour: str) -> None:
    """Nine cells: how strong the colour is, what stands large in it, and what small."""
    from matplotlib.patches import Rectangle

    axes.grid(False)
    for (head, loss), (strength, large, small) in cells.items():
        x, y = LOSSES.index(loss), HEADS.index(head)
        alpha = 0.05 + 0.55 * float(np.clip(strength, 0, 1))
        box = Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, color=colour, alpha=alpha, linewidth=0)
        axes.add_patch(box)
        axes.text(x, y - 0.1, large, ha="center", va="center", fontsize=24)
        axes.text(x, y + 0.26, small, ha="center", va="center", fontsize=14)
    axes.set(xlim=(-0.5, 2.5), ylim=(2.5, -0.5), xticks=range(3), yticks=range(3))
    axes.set_xticklabels([loss.upper() for loss in LOSSES])
    axes.set_yticklabels([head.replace("_", "-\n") for head in HEADS])
    axes.tick_params(length=0, labelsize=18)
    axes.spines[:].set_visible(False)


SLIDES = (Slide(45, "Every head with every loss", every_pair),)
