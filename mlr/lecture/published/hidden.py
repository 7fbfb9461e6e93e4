"""Nielsen's networks of 30 and 100 hidden units, quadratic cost against cross-entropy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import comb
from statistics import mean

import torch
from torch import Tensor

from mlr.lecture.lab import Lab, Trained
from mlr.lecture.page import drawing
from mlr.lecture.page.answer import Answer, Illustration, PublishedNumber, number
from mlr.lecture.published.files import CLASSES, WHITE, Images, mnist, mnist_overrides
from mlr.objectives import Objective

SEEDS = 16
LOSSES = ("se", "bce")
PUBLISHED = {(30, "se"): 95.42, (30, "bce"): 95.49, (100, "se"): 96.59, (100, "bce"): 96.82}
"""Test accuracy in percent, in the best epoch of the best of three runs."""
SOURCE = {"se": "Nielsen, chapter 1", "bce": "Nielsen, chapter 3"}
STUCK = 90.0
"""Test accuracy in percent below which a run is stuck."""
DEAD = 10.0
"""Percent that guessing finds; an output unit that finds fewer of its digit's images is dead."""


def nielsen_30(lab: Lab) -> Answer:
    """With 30 hidden units, how often does squared error leave an output unit dead?

    The published accuracies are those of the best epoch of the best of three runs; ours are taken
    after the last of 30 epochs, and the best of three is the mean over all threes of the seeds.

    Source: M. Nielsen, Neural Networks and Deep Learning, 2015, chapters 1 and 3.
    """
    return _compare(lab, 30)


def nielsen_100(lab: Lab) -> Answer:
    """With 100 hidden units, how often does squared error leave an output unit dead?

    Nielsen's footnote to 96.59 %: readers see "quite some variation", and "some training runs give
    results quite a bit worse". The reason is the gradient: initial logits of 100 hidden units are
    large, and squared error hardly moves an output that is confidently wrong.

    Source: M. Nielsen, Neural Networks and Deep Learning, 2015, chapters 1 and 3.
    """
    return _compare(lab, 100)


@dataclass(frozen=True)
class DigitResults:
    """Test results of a trained network; by digit k, over the images of k.

    found: percent that the network calls k (10,).
    gradients: mean |dL/dz_k| (10,).
    """

    run: Trained
    found: Tensor
    gradients: Tensor

    @property
    def accuracy(self) -> float:
        """Test accuracy in percent."""
        return 100 * self.run.metrics["accuracy/test"]

    @property
    def stuck(self) -> bool:
        """True if its accuracy ends below `STUCK`."""
        return self.accuracy < STUCK

    @cached_property
    def dead(self) -> list[int]:
        """Digits that are found less often than guessing would."""
        return (self.found < DEAD).nonzero().flatten().tolist()


def digit_results(run: Trained, loss: str, test: Images) -> DigitResults:
    """Evaluate a sigmoid network of one hidden layer digit by digit."""
    layers = {name: value.double() for name, value in run.parameters.items()}
    pixels = test.pixels.double() / WHITE
    hidden = torch.sigmoid(pixels @ layers["hidden1.weight"].T + layers["hidden1.bias"])
    logits = hidden @ layers["output.weight"].T + layers["output.bias"]
    gradients = Objective("sigmoid", loss, outputs=CLASSES).gradient(logits, test.one_hot).abs()
    own = [test.labels == digit for digit in range(CLASSES)]
    guesses = logits.argmax(1)
    found = [100 * (guesses[mine] == digit).double().mean() for digit, mine in enumerate(own)]
    sizes = [gradients[mine, digit].mean() for digit, mine in enumerate(own)]
    return DigitResults(run, torch.stack(found), torch.stack(sizes))


def best_of_three(values: Sequence[float]) -> float:
    """Mean, over all subsets of three `values`, of the largest."""
    ranked = enumerate(sorted(values))  # the i-th is the largest of C(i, 2) subsets
    return sum(value * comb(i, 2) for i, value in ranked) / comb(len(values), 3)


def _compare(lab: Lab, hidden: int) -> Answer:
    runs = lab.sweep(
        "experiment=nielsen_se,nielsen_bce",
        f"seed=range(0,{SEEDS})",
        "model=mlp",
        f"model.widths=[{hidden}]",
        *mnist_overrides(),
    )
    return answer_of(hidden, {"se": runs[:SEEDS], "bce": runs[SEEDS:]})


def answer_of(hidden: int, runs: dict[str, list[Trained]]) -> Answer:
    """Answer from the runs of both losses, by seed."""
    test = mnist()["test"]
    judged = {loss: [digit_results(run, loss, test) for run in own] for loss, own in runs.items()}
    stuck = {loss: sum(one.stuck for one in judged[loss]) for loss in LOSSES}
    dead = {loss: sum(len(one.dead) for one in judged[loss]) for loss in LOSSES}
    rows = [row for loss in LOSSES for row in _rows(hidden, loss, judged[loss])]
    seeds = len(runs["se"])
    sentence = (
        f"{stuck['se']} of {seeds} seeds end below {STUCK:g} % with squared error, and "
        f"{stuck['bce']} with cross-entropy; {dead['se']} and {dead['bce']} of the "
        f"{seeds * CLASSES} output units are dead."
    )
    picture = _picture(hidden, judged)
    return Answer(sentence, (), (picture,), tuple(rows))


def _rows(hidden: int, loss: str, judged: Sequence[DigitResults]) -> list[PublishedNumber]:
    accuracies = [one.accuracy for one in judged]
    published, source = PUBLISHED[hidden, loss], SOURCE[loss]
    name, count = f"{hidden} hidden, {loss.upper()}", len(judged)
    rows = [
        PublishedNumber(f"{name}: test accuracy, {kind}", published, value, 2, source, " %")
        for kind, value in (
            ("best of three seeds", best_of_three(accuracies)),
            (f"mean of {count} seeds", mean(accuracies)),
            ("worst seed", min(accuracies)),
        )
    ]
    words = "some runs quite a bit worse" if (hidden, loss) == (100, "se") else "not given"
    below = f"{sum(one.stuck for one in judged)} of {count}"
    rows.append(PublishedNumber(f"{name}: seeds below {STUCK:g} %", words, below, 0, source))
    return rows + [
        PublishedNumber(f"{name}: {what}", "not given", measured, 0, source)
        for what, measured in _units(judged).items()
    ]


def _units(judged: Sequence[DigitResults]) -> dict[str, str]:
    """Dead and living output units of all runs, and of the run with the most dead ones."""
    living = [
        size
        for one in judged
        for digit, size in enumerate(one.gradients.tolist())
        if digit not in one.dead
    ]
    found = {
        "dead output units": f"{sum(len(one.dead) for one in judged)} of {len(judged) * CLASSES}",
        "mean |dL/dz| of living units": f"{number(mean(living), 2)}",
    }
    seed, worst = max(enumerate(judged), key=lambda pair: len(pair[1].dead))
    if worst.dead:
        sizes = (f"{digit}: {number(float(worst.gradients[digit]), 1)}" for digit in worst.dead)
        found[f"mean |dL/dz| of seed {seed}'s dead digits"] = ", ".join(sizes)
    return found


def _picture(hidden: int, judged: dict[str, list[DigitResults]]) -> Illustration:
    """Plot each output unit: its gradient against the share of its images that it finds."""
    marks = {"se": "x", "bce": "o"}
    with drawing.canvas() as (figure, axes):
        for loss, runs in judged.items():
            colour = drawing.LOSSES[loss][0]
            for number, one in enumerate(runs):
                axes.plot(
                    *(one.found, one.gradients, marks[loss]),
                    **{"color": colour, "alpha": 0.6, "markeredgewidth": 2},
                    label=loss.upper() if number == 0 else None,
                )
        axes.set(yscale="log", xlabel="images of its digit found, %", ylabel="mean |dL/dz| on them")
        axes.legend()
        title = f"the output units of all runs with {hidden} hidden units"
        return drawing.picture(title, figure, judged["se"][0].run)
