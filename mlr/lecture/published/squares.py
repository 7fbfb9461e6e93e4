"""Squared error instead of cross-entropy: the claims of three papers, on small data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean

import torch

from mlr.data.base import Dataset, Split
from mlr.lecture.lab import Lab
from mlr.lecture.page import drawing
from mlr.lecture.page.answer import Answer, Claim, PublishedNumber
from mlr.models import Mlp
from mlr.objectives import Objective
from mlr.training import SGD, Experiment, train

SEEDS = 5
RATES = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Learning rates, of which the best on validation counts for each pair."""
PAIRS = (("linear", "se"), ("sigmoid", "se"), ("sigmoid", "bce"), ("softmax", "ce"))
CLASSES = (2, 10, 30, 100)
SLOW = (0.003, 0.01, 0.03, 0.1, 0.3)
"""Learning rates of the mixtures, whose features are larger."""
FEATURES, EACH, FEW = 20, 50, 3
"""Dimensions, examples per class and seeds of the mixtures."""
HUI = "Hui and Belkin 2021, abstract and introduction"
GREAT = "Making Sigmoid-MSE Great Again, arXiv 2411.11213, abstract"
DEMIRKAYA = "Demirkaya, Chen and Oymak 2020, abstract"


def squares_on_digits(lab: Lab) -> Answer:
    """Is squared error on raw outputs, or on sigmoids, as good as cross-entropy with softmax?

    On the 1797 digits of UCI, with one hidden layer: network, batches and epochs are the same
    for all. Each pair has the learning rate that is best for it on the validation images, of
    five; its accuracy is the mean of five seeds.

    Source: L. Hui, M. Belkin, Evaluation of neural architectures trained with square loss vs
    cross-entropy in classification tasks, ICLR 2021; Making Sigmoid-MSE Great Again, 2024.
    """
    runs = {
        (head, loss): lab.sweep(
            *(f"head={head}", f"loss={loss}", "model=mlp", "probes=off"),
            f"optimizer.lr={','.join(map(str, RATES))}",
            f"seed=range(0,{SEEDS})",
        )
        for head, loss in PAIRS
    }
    best = {pair: _best([run.metrics for run in own], SEEDS) for pair, own in runs.items()}
    ce = best["softmax", "ce"]
    said = {
        ("linear", "se"): ("CE slightly ahead in vision", HUI),
        ("sigmoid", "se"): ("comparable", GREAT),
    }
    rows = tuple(
        PublishedNumber(
            f"digits, {head} + {loss.upper()}: test accuracy compared with softmax + CE",
            words,
            f"{best[head, loss]:.2f} % against {ce:.2f} %",
            2,
            source,
        )
        for (head, loss), (words, source) in said.items()
    )
    accuracies = ", ".join(
        f"{h} + {loss.upper()} {value:.1f} %" for (h, loss), value in best.items()
    )
    away = ", ".join(
        f"{head} + {loss.upper()} {best[head, loss] - ce:+.1f} points".replace("-", "−")
        for head, loss in said
    )
    sentence = f"The test accuracies are {accuracies}. Compared with softmax + CE: {away}."
    return Answer(sentence, (), (), rows)


def many_classes(lab: Lab) -> Answer:
    """Does squared error fall behind cross-entropy as the number of classes grows?

    Mixtures of K round clouds in 20 dimensions, one hidden layer of 64 units, 20 epochs; linear +
    SE against softmax + CE, each at the learning rate that is best for it on validation, of five.
    The paper's data are CIFAR-100.

    Source: A. Demirkaya, J. Chen, S. Oymak, Exploring the role of loss functions in multiclass
    classification, CISS 2020.
    """
    pairs = (("linear", "se"), ("softmax", "ce"))
    found = {(k, pair): _of_mixtures(k, *pair) for k in CLASSES for pair in pairs}
    behind = [found[k, pairs[1]] - found[k, pairs[0]] for k in CLASSES]
    rows = tuple(
        PublishedNumber(
            f"mixture of {k} classes: test accuracy, linear + SE against softmax + CE",
            "SE falls behind with K",
            f"{found[k, pairs[0]]:.1f} % against {found[k, pairs[1]]:.1f} %",
            1,
            DEMIRKAYA,
        )
        for k in CLASSES
    )
    sentence = (
        f"Squared error is behind by {behind[0]:.1f} points with {CLASSES[0]} classes, and by "
        f"{behind[-1]:.1f} with {CLASSES[-1]}."
    )
    claim = Claim(
        f"squared error is further behind with {CLASSES[-1]} classes than with {CLASSES[0]}",
        f"by {behind[-1]:.1f} and {behind[0]:.1f} points",
        behind[-1] > behind[0],
    )
    with drawing.canvas() as (figure, axes):
        for pair in pairs:
            values = [found[k, pair] for k in CLASSES]
            axes.plot(CLASSES, values, marker="o", **drawing.of_pair(*pair))
        axes.set(xscale="log", xlabel="classes K", ylabel="test accuracy, %")
        axes.set_xticks(CLASSES, CLASSES)
        axes.minorticks_off()
        axes.legend()
        accuracies = drawing.picture("accuracy by classes", figure)
    return Answer(sentence, (claim,), (accuracies,), rows)


def mixture(classes: int, seed: int) -> Dataset:
    """Draw round clouds of deviation 1 around centres from the same distribution."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, FEATURES, generator=generator)

    def split(each: int) -> Split:
        labels = torch.arange(classes).repeat(each)
        noise = torch.randn(len(labels), FEATURES, generator=generator)
        return Split(centres[labels] + noise, labels)

    return Dataset("mixture", split(EACH), split(EACH), split(EACH), classes)


def _of_mixtures(classes: int, head: str, loss: str) -> float:
    """Compute the test accuracy of one pair in percent; its runs are trained as one program."""
    objective = Objective(head, loss)
    outputs = objective.head.outputs(classes)
    data = [mixture(classes, seed) for seed in range(FEW)]
    experiments = [
        Experiment(
            objective=objective,
            module=Mlp(widths=(64,)).build((FEATURES,), outputs, seed),
            data=data[seed],
            optimizer=SGD(lr=rate),
            batch_size=50,
            seed=seed,
        )
        for rate in SLOW
        for seed in range(FEW)
    ]
    return _best([result.metrics for result in train(experiments)], FEW)


def _best(metrics: Sequence[Mapping[str, float]], seeds: int) -> float:
    """Compute the mean test accuracy in percent of the rate that is best on validation.

    Args:
        metrics: of all runs, rate by rate.
        seeds: number of runs of each rate.
    """
    rates = [metrics[at : at + seeds] for at in range(0, len(metrics), seeds)]
    best = max(rates, key=lambda runs: mean(one["accuracy/val"] for one in runs))
    return 100 * mean(one["accuracy/test"] for one in best)
