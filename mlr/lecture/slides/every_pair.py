"""Slide 45: every head with every loss, on real digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, one_hot

from mlr.data import Digits
from mlr.lecture.lab import Lab, Trained
from mlr.lecture.page import drawing
from mlr.lecture.page.answer import Answer, Claim, Illustration, Slide, percent
from mlr.lecture.page.drawing import sketch
from mlr.objectives import Objective

HEADS, LOSSES = ("clipped_linear", "sigmoid", "softmax"), ("se", "bce", "ce")
RATES, SEEDS = ("0.5", "2"), 4
WINDOW = 10
"""Logged batches of 32 over which the accuracy is averaged, about an epoch."""


@dataclass(frozen=True)
class PairMeasurements:
    """Measurements of one head and one loss, over all seeds.

    gradient: mean ‖dL/dz‖ of the wrong digits before the first update.
    without: share of these wrong digits whose gradient is exactly 0.
    direction: mean cosine between dL/dz and y − t, before the first update, over the wrong
        training digits whose gradient is not 0.
    left: the same share after the last update, with the best of the learning rates.
    updates: to 90 % and to 99 % of the training digits, with the best of the learning rates;
        inf where half of the seeds never get there.
    accuracy: of the test digits with that learning rate, of the worst seed.
    """

    gradient: float
    without: float
    direction: float
    left: float
    updates: tuple[float, float]
    accuracy: float

    @classmethod
    def of(cls, runs: Sequence[Sequence[Trained]], direction: float) -> PairMeasurements:
        """Measure the runs of each learning rate."""
        starts = [run for own in runs for run in own]
        best = min(runs, key=lambda own: [*_updates(own), -_worst(own)])
        return cls(
            gradient=float(np.mean([run.series["logit_grad/wrong"][1][0] for run in starts])),
            without=_without(starts, 0),
            direction=direction,
            left=_without(best, -1),
            updates=_updates(best),
            accuracy=_worst(best),
        )


Pair = tuple[str, str]


def every_pair(lab: Lab) -> Answer:
    """How does the choice of head and loss decide what gradient descent can learn?

    Softmax regression's data and model for all nine pairs: digits, one linear layer with
    weights drawn from N(0, 1). Two pairs, K sigmoid or clipped outputs with cross-entropy, are
    defined but no likelihood, and run only with objective.strict=false. Sizes and shares
    are of the first batch of each run. Direction is the mean cosine between dL/dz and the error
    y − t, of all wrong training digits that have a gradient.

    Source: lecture, “after this lecture”.
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
    starts = _starts(lab)
    nine = {
        pair: PairMeasurements.of(
            by_rate[len(RATES) * index : len(RATES) * (index + 1)], mean_direction(*pair, starts)
        )
        for index, pair in enumerate(pairs)
    }
    return Answer(
        _sentence(nine), tuple(_claims(nine)), (_gradients(nine, runs[0]), _speeds(nine, runs[0]))
    )


def _sentence(nine: Mapping[Pair, PairMeasurements]) -> str:
    good, slow = nine["softmax", "ce"], nine["softmax", "se"]
    clipped, of_ce = nine["clipped_linear", "bce"], nine["clipped_linear", "ce"]
    return (
        "By three properties of the gradient of the wrong digits: its size, the share that get "
        "none, and its direction. Softmax + CE starts with "
        f"‖dL/dz‖ = {good.gradient:.2f} along y − t (cosine {good.direction:.2f}) and has 90 % "
        f"right after {good.updates[0]:.0f} updates, softmax + SE with {slow.gradient:.2f} and "
        f"after {_count(slow.updates[0])}; clipped + BCE has the largest, {clipped.gradient:.2f}, "
        f"and never gets there, for {percent(clipped.without, 0)} of the wrong digits get none "
        f"(with CE {percent(of_ce.without, 0)}) and the rest has a cosine of only "
        f"{clipped.direction:.2f}."
    )


def _starts(lab: Lab) -> list[tuple[Tensor, Tensor]]:
    """Compute the initial logits (N, 10) of the training digits, and their classes, by seed.

    They are equal for all nine pairs; at this learning rate no weight changes.
    """
    found = []
    own = ("experiment=nine_cells", "optimizer.lr=1e-30", "epochs=1", f"seed=range(0,{SEEDS})")
    for seed, run in enumerate(lab.sweep(*own)):
        train = Digits().load(seed).train
        weight, bias = (run.parameters[f"output.{name}"] for name in ("weight", "bias"))
        found.append((train.features.flatten(1) @ weight.T + bias, train.targets))
    return found


def mean_direction(head: str, loss: str, starts: Sequence[tuple[Tensor, Tensor]]) -> float:
    """Compute the mean cosine between dL/dz and y − t over wrong examples with a gradient.

    Args:
        head: head of the pair.
        loss: loss of the pair.
        starts: logits (N, K) and classes (N,).
    """
    objective = Objective(head, loss, strict=False)
    cosines = []
    for logits, classes in starts:
        z = logits.double()
        t = one_hot(classes, z.shape[1]).double()
        wrong = objective.head.classify(z) != classes
        gradient, error = objective.gradient(z, t)[wrong], (objective.head(z) - t)[wrong]
        some = (gradient != 0).any(1)
        cosines.append(cosine_similarity(gradient[some], error[some]))
    return float(torch.cat(cosines).mean())


def _claims(nine: Mapping[Pair, PairMeasurements]) -> list[Claim]:
    return [*_of_gradients(nine), *_of_learning(nine)]


def _of_gradients(nine: Mapping[Pair, PairMeasurements]) -> list[Claim]:
    sigmoid = nine["sigmoid", "bce"].gradient / nine["sigmoid", "se"].gradient
    softmax = nine["softmax", "ce"].gradient / nine["softmax", "se"].gradient
    clipped = [nine["clipped_linear", loss].without for loss in LOSSES]
    left = [nine["clipped_linear", loss].left for loss in LOSSES]
    others = [
        max(one.without, one.left) for (head, _), one in nine.items() if head != "clipped_linear"
    ]
    largest = max(nine, key=lambda pair: nine[pair].gradient)
    along = {pair: one.direction for pair, one in nine.items()}
    fast = {pair for pair, one in nine.items() if one.updates[1] < inf}
    never = [along[pair] for pair in nine if pair[0] == "clipped_linear"] + [along["sigmoid", "ce"]]
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
            "size alone does not decide: clipped + BCE has the largest and never has 90 % right",
            f"{'+'.join(largest)} {nine[largest].gradient:.2f}, {_count(nine[largest].updates[0])}",
            largest == ("clipped_linear", "bce") and nine[largest].updates[0] == inf,
        ),
        Claim(
            "direction: the cosine with y − t is ≥ 0.9 for the pairs that get 99 % right",
            ", ".join(f"{along[pair]:.2f}" for pair in sorted(fast)),
            min(along[pair] for pair in fast) >= 0.9,
        ),
        Claim(
            "and ≤ 0.4 for clipped outputs and for sigmoid + CE",
            ", ".join(f"{cosine:.2f}" for cosine in never),
            max(never) <= 0.4,
        ),
    ]


def _of_learning(nine: Mapping[Pair, PairMeasurements]) -> list[Claim]:
    fast = {pair for pair, one in nine.items() if one.updates[1] < inf}
    logs = {("sigmoid", "bce"), ("softmax", "bce"), ("softmax", "ce")}
    squared = [nine[head, "se"].updates[0] for head in ("sigmoid", "softmax")]
    cross = [nine["sigmoid", "bce"].updates[0], nine["softmax", "ce"].updates[0]]
    senseless = [nine[head, "ce"].accuracy for head in ("clipped_linear", "sigmoid")]
    return [
        Claim(
            "99 % of training digits: only with BCE of sigmoid or softmax, and CE of softmax",
            ", ".join("+".join(pair) for pair in sorted(fast)),
            fast == logs,
        ),
        Claim(
            "90 %: sigmoid and softmax need ≥ 5 times as many updates with SE",
            f"{_count(squared[0])} to {cross[0]:.0f}, {_count(squared[1])} to {cross[1]:.0f}",
            all(slow >= 5 * quick for slow, quick in zip(squared, cross, strict=True)),
        ),
        Claim(
            "CE of K outputs that are no distribution (clipped, sigmoid): test accuracy ≤ 30 %",
            ", ".join(percent(share, 0) for share in senseless),
            max(senseless) <= 0.3,
        ),
    ]


def _updates(runs: Sequence[Trained]) -> tuple[float, float]:
    """Compute the median over seeds of the updates to 90 % and 99 % of the training digits."""
    reached = [[_reached(run, share) for run in runs] for share in (0.9, 0.99)]
    return median(reached[0]), median(reached[1])


def _reached(run: Trained, share: float) -> float:
    steps, right = run.series["accuracy/train"]
    means = np.convolve(right, np.ones(WINDOW) / WINDOW, mode="valid")
    there = np.flatnonzero(means >= share)
    return float(steps[there[0] + WINDOW - 1]) if len(there) else inf


def _without(runs: Sequence[Trained], point: int) -> float:
    """Compute the share of wrong digits without gradient in the batches of one logged step."""
    stuck = wrong = 0.0
    for run in runs:
        steps, shares = run.series["stuck/fraction"]
        # the accuracy has one more point, of the whole split
        at, right = run.series["accuracy/train"]
        stuck += float(shares[point])
        wrong += 1 - float(right[np.searchsorted(at, steps[point])])
    return stuck / wrong if wrong else 0.0


def _worst(runs: Sequence[Trained]) -> float:
    return min(run.metrics["accuracy/test"] for run in runs)


def _count(updates: float) -> str:
    return "never" if updates == inf else f"{updates:,.0f}"


def _gradients(nine: Mapping[Pair, PairMeasurements], run: Trained) -> Illustration:
    def cell(one: PairMeasurements) -> tuple[float, str, str]:
        zero = f"{percent(one.without, 0)} get none" if one.without else "all get some"
        small = f"direction {one.direction:.2f}\n{zero}"
        return np.log10(10 * one.gradient) / 1.5, f"{one.gradient:.2f}", small

    def draw(axes: Any) -> None:
        _grid(axes, {pair: cell(one) for pair, one in nine.items()}, drawing.BLUE)

    return sketch(
        "wrong digits before the first update: mean ‖dL/dz‖; direction: its cosine with y − t",
        draw,
        run,
        size=drawing.HALF,
    )


def _speeds(nine: Mapping[Pair, PairMeasurements], run: Trained) -> Illustration:
    def cell(one: PairMeasurements) -> tuple[float, str, str]:
        strength = 0.0 if one.updates[0] == inf else 1 - np.log10(one.updates[0] / 40) / 1.7
        return strength, _count(one.updates[0]), f"99 %: {_count(one.updates[1])}"

    def draw(axes: Any) -> None:
        _grid(axes, {pair: cell(one) for pair, one in nine.items()}, drawing.GREEN)

    return sketch(
        "updates until 90 % of the training digits are right", draw, run, size=drawing.HALF
    )


def _grid(axes: Any, cells: Mapping[Pair, tuple[float, str, str]], colour: str) -> None:
    """Draw nine cells, each with the strength of its colour, a large and a small text."""
    from matplotlib.patches import Rectangle

    axes.grid(False)
    for (head, loss), (strength, large, small) in cells.items():
        x, y = LOSSES.index(loss), HEADS.index(head)
        alpha = 0.05 + 0.55 * float(np.clip(strength, 0, 1))
        box = Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, color=colour, alpha=alpha, linewidth=0)
        axes.add_patch(box)
        axes.text(x, y - 0.14, large, ha="center", va="center", fontsize=24)
        axes.text(x, y + 0.24, small, ha="center", va="center", fontsize=13)
    axes.set(xlim=(-0.5, 2.5), ylim=(2.5, -0.5), xticks=range(3), yticks=range(3))
    axes.set_xticklabels([loss.upper() for loss in LOSSES])
    axes.set_yticklabels([head.replace("_", "-\n") for head in HEADS])
    axes.tick_params(length=0, labelsize=18)
    axes.spines[:].set_visible(False)


SLIDES = (
    Slide(
        45,
        "Every head with every loss",
        every_pair,
        "“After this lecture”: the relation of loss and gradient descent.",
    ),
)
