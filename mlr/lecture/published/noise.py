"""LeNet-5 on MNIST with wrong labels: cross-entropy against losses made for them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from statistics import mean

from mlr.lecture.lab import Lab, Trained
from mlr.lecture.page import drawing
from mlr.lecture.page.answer import Answer, Claim, Illustration, PublishedNumber
from mlr.lecture.published.files import mnist_overrides

SEEDS = 3
NOISES = (0.0, 0.2, 0.4, 0.6)
"""Shares ρ of the training labels that are replaced by another class."""
PUBLISHED = {
    "CE": (99.1, 98.8, 98.6, 98.0),
    "GCE": (98.8, 98.7, 98.5, 98.1),
    "linear": (95.0, 98.5, 98.2, 97.6),
    "PHuber-CE": (99.0, 98.8, 98.5, 97.6),
}
"""Test accuracy in percent by loss, for each of `NOISES`."""
SWEEPS = (
    (("CE", "PHuber-CE"), ("loss=ce,phuber_ce",)),
    (("GCE", "linear"), ("loss=gce", "loss.q=0.7,1")),
)
"""Losses of the table, and the overrides that train them; `linear` is 1 − y of the right class."""
COLOURS = {
    "CE": drawing.BLUE,
    "GCE": drawing.VERMILLION,
    "linear": drawing.GREEN,
    "PHuber-CE": drawing.PURPLE,
}
SOURCE = "github.com/dmizr/phuber, README"

Accuracies = Mapping[str, tuple[tuple[float, ...], ...]]
"""By loss: for each of `NOISES`, the test accuracies in percent, one a seed."""


def noisy_labels(lab: Lab) -> Answer:
    """Which loss learns digits best if 0, 20, 40 or 60 % of the training labels are wrong?

    The published table is of 20 epochs over 60,000 images. Ours is shortened to 3 epochs over
    12,000, 3 % of their updates, and the learning rate falls to a tenth in all, not to 1/5600:
    so each of our accuracies is lower, and only the order of the losses can be compared. The
    network, its initial weights, batches, optimizer, weight decay and the noise are theirs.

    Source: A. K. Menon, A. S. Rawat, S. J. Reddi, S. Kumar, Can gradient clipping mitigate label
    noise?, ICLR 2020, and the table of its repetition in github.com/dmizr/phuber.
    """
    runs: dict[tuple[str, float], list[Trained]] = {}
    for losses, overrides in SWEEPS:
        trained = lab.sweep(
            "experiment=noisy_labels",
            *overrides,
            f"data.label_noise={','.join(f'{noise:g}' for noise in NOISES)}",
            f"seed=range(0,{SEEDS})",
            *mnist_overrides(),
        )
        for at, cell in enumerate(product(losses, NOISES)):
            runs[cell] = trained[at * SEEDS : (at + 1) * SEEDS]
    found = {
        loss: tuple(
            tuple(100 * run.metrics["accuracy/test"] for run in runs[loss, noise])
            for noise in NOISES
        )
        for loss in PUBLISHED
    }
    return answer_of(found, runs["CE", 0.0][0])


def answer_of(found: Accuracies, run: Trained | None = None) -> Answer:
    """Answer from the accuracies of all runs; `run` is one of them, for the page's link."""
    means = {loss: [mean(seeds) for seeds in cells] for loss, cells in found.items()}
    seeds = len(found["CE"][0])
    rows = [
        PublishedNumber(
            f"{loss}, {100 * noise:.0f} % wrong labels: test accuracy, mean of {seeds} seeds",
            *(PUBLISHED[loss][at], means[loss][at], 1, SOURCE, " %"),
        )
        for loss in PUBLISHED
        for at, noise in enumerate(NOISES)
    ]
    rows += [
        PublishedNumber(
            f"GCE − CE, {100 * noise:.0f} % wrong labels: points of accuracy",
            PUBLISHED["GCE"][at] - PUBLISHED["CE"][at],
            means["GCE"][at] - means["CE"][at],
            *(1, SOURCE),
        )
        for at, noise in enumerate(NOISES)
    ]
    clean, noisy = (means["GCE"][at] - means["CE"][at] for at in (0, -1))
    claims = (
        Claim("CE is ahead of GCE with right labels", f"by {-clean:.1f} points", clean < 0),
        Claim("GCE is ahead of CE with 60 % wrong labels", f"by {noisy:.1f} points", noisy > 0),
    )
    best = [max(means, key=lambda loss: means[loss][at]) for at in (0, -1)]
    same = [max(PUBLISHED, key=lambda loss: PUBLISHED[loss][at]) for at in (0, -1)] == best
    sentence = (
        f"{best[0]} with right labels ({means[best[0]][0]:.1f} %), {best[1]} with 60 % wrong ones "
        f"({means[best[1]][-1]:.1f} %), {'as' if same else 'not as'} in the published table, "
        "whose accuracies are of 33 times as many updates."
    )
    theirs = {loss: tuple((value,) for value in row) for loss, row in PUBLISHED.items()}
    pictures = (
        _picture(f"here: 1,125 updates, {seeds} seeds", found, run),
        _picture("published: 37,500 updates", theirs),
    )
    return Answer(sentence, claims, pictures, tuple(rows))


def _picture(title: str, found: Accuracies, run: Trained | None = None) -> Illustration:
    """Draw means over seeds against the share of wrong labels, with bars from least to most."""
    with drawing.canvas(**drawing.HALF) as (figure, axes):
        for loss, cells in found.items():
            means = [mean(seeds) for seeds in cells]
            ends = [
                [middle - min(seeds) for middle, seeds in zip(means, cells, strict=True)],
                [max(seeds) - middle for middle, seeds in zip(means, cells, strict=True)],
            ]
            percent = [100 * noise for noise in NOISES]
            axes.errorbar(percent, means, ends, marker="o", color=COLOURS[loss], label=loss)
        axes.set(xlabel="wrong labels, %", ylabel="test accuracy, %")
        axes.legend()
        return drawing.picture(title, figure, *([] if run is None else [run]))
