"""LeNet-5 on MNIST with wrong labels: cross-entropy against losses made for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from statistics import mean

from mlr.lecture.lab import Lab, Trained
from mlr.lecture.page import drawing
from mlr.lecture.page.answer import Answer, Claim, Illustration, PublishedNumber
from mlr.lecture.published.files import mnist_overrides
from mlr.records.reading import read_runs

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
TICKS = (1, 2, 3, 5, 10, 20, 30, 50)
"""Errors in percent that an axis may name."""
SOURCE = "github.com/dmizr/phuber, README"
RECIPE = (
    "data.train_size=null",
    "data.val_size=0",
    "epochs=20",
    "schedule.gamma=0.999769768",
)
"""What the experiment shortens, as published: 0.1 = γ^10,000."""
FULL = {("CE", 0.6): 97.98}
"""Test accuracy in percent of the whole recipe, by loss and share of wrong labels: train.py
experiment=noisy_labels loss=ce data.label_noise=0.6 and `RECIPE`, with seed 0."""
STORED = "2026-12-01"
"""Date of those runs, which take minutes each."""

Accuracies = Mapping[str, tuple[tuple[float, ...], ...]]
"""By loss: for each of `NOISES`, the test accuracies in percent, one a seed."""


def noisy_labels(lab: Lab) -> Answer:
    """Are losses made for wrong labels better if 20, 40 or 60 % of the labels of digits are wrong?

    The published table is of 20 epochs over 60,000 images. Ours is shortened to 3 epochs over
    12,000, 3 % of their updates, and the learning rate falls to a tenth in all, not to 1/5600:
    so our accuracies are lower, and can only be compared with one another. The network, its
    initial weights, batches, optimizer, weight decay and the noise are theirs. The linear loss is
    1 − y of the right class: it gives almost no gradient where y is near 0, and in so few updates
    some runs never find a digit. Numbers of the full recipe are stored, not measured now.

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
    missing = {
        loss: sum(never_found(run) > 0 for noise in NOISES for run in runs[loss, noise])
        for loss in PUBLISHED
    }
    return answer_of(found, missing, [runs["CE", 0.0][0], runs["GCE", 0.0][0]])


def never_found(run: Trained) -> int:
    """Count the digits of which a trained network finds no training image."""
    (recorded,) = read_runs(run.folder)
    assert recorded.anatomy is not None, "each run has its diagnostics"
    return sum(recall == 0 for recall in recorded.anatomy["classes"]["recall"])


def answer_of(
    found: Accuracies, missing: Mapping[str, int], runs: Sequence[Trained] = ()
) -> Answer:
    """Answer from the accuracies of all runs.

    Args:
        found: the accuracies.
        missing: by loss, the number of runs that never find some digit.
        runs: one of each sweep, for the page's commands.
    """
    means = {loss: [mean(seeds) for seeds in cells] for loss, cells in found.items()}
    lost = {loss: row[0] - row[-1] for loss, row in means.items()}
    ahead = [gce - ce for gce, ce in zip(found["GCE"][-1], found["CE"][-1], strict=True)]
    best = max(means, key=lambda loss: means[loss][0])
    by_seed = f"by seed {_signed(min(ahead))} to {_signed(max(ahead))}"
    sentence = (
        f"With right labels {best} is best, with {means[best][0]:.1f} % of the test images. 60 % "
        f"wrong ones cost CE {lost['CE']:.1f} points and GCE {lost['GCE']:.1f} (published: "
        f"{_lost('CE'):.1f} and {_lost('GCE'):.1f}). GCE − CE is then {_signed(mean(ahead))} "
        f"points, {by_seed} (published: {_signed(_ahead(-1))})."
    )
    theirs = {loss: tuple((value,) for value in row) for loss, row in PUBLISHED.items()}
    seeds = len(found["CE"][0])
    pictures = (
        _picture(f"here: 1,125 updates, {seeds} seeds", found, runs),
        _picture("published: 37,500 updates", theirs),
    )
    rows = (*_accuracies(means, seeds), *_margins(means), *_missing(missing, seeds), *_full())
    return Answer(sentence, _claims(found), pictures, rows)


def _lost(loss: str) -> float:
    """Points of accuracy that 60 % wrong labels cost in the published table."""
    return PUBLISHED[loss][0] - PUBLISHED[loss][-1]


def _ahead(at: int) -> float:
    """Points by which GCE is ahead of CE in the published table."""
    return PUBLISHED["GCE"][at] - PUBLISHED["CE"][at]


def _signed(points: float) -> str:
    return f"{points:+.1f}".replace("-", "−")


def _accuracies(means: Mapping[str, Sequence[float]], seeds: int) -> list[PublishedNumber]:
    return [
        PublishedNumber(
            f"{loss}, {100 * noise:.0f} % wrong labels: test accuracy, mean of {seeds} seeds",
            *(PUBLISHED[loss][at], means[loss][at], 1, SOURCE, " %"),
        )
        for loss in PUBLISHED
        for at, noise in enumerate(NOISES)
    ]


def _margins(means: Mapping[str, Sequence[float]]) -> list[PublishedNumber]:
    """Differences of the table, which survive the shortening better than its numbers."""
    rows = [
        (f"{loss}: points lost by 60 % wrong labels", _lost(loss), row[0] - row[-1])
        for loss, row in means.items()
    ]
    rows += [
        (
            f"GCE − CE, {100 * NOISES[at]:.0f} % wrong labels: points",
            _ahead(at),
            means["GCE"][at] - means["CE"][at],
        )
        for at in (0, -1)
    ]
    return [PublishedNumber(*row, 1, SOURCE) for row in rows]


def _missing(missing: Mapping[str, int], seeds: int) -> list[PublishedNumber]:
    runs = seeds * len(NOISES)
    return [
        PublishedNumber(
            f"{loss}: runs that never find some digit",
            *("not given", f"{count} of {runs}", 0, SOURCE),
        )
        for loss, count in missing.items()
    ]


def _full() -> list[PublishedNumber]:
    return [
        PublishedNumber(
            f"{loss}, {100 * noise:.0f} % wrong labels: full recipe, seed 0, stored {STORED}",
            *(PUBLISHED[loss][NOISES.index(noise)], ours, 2, SOURCE, " %"),
        )
        for (loss, noise), ours in FULL.items()
    ]


def _claims(found: Accuracies) -> tuple[Claim, ...]:
    """Claims about each seed where they hold of each."""
    ahead = [ce - gce for ce, gce in zip(found["CE"][0], found["GCE"][0], strict=True)]
    lost = {
        loss: [clean - noisy for clean, noisy in zip(cells[0], cells[-1], strict=True)]
        for loss, cells in found.items()
    }
    behind = [
        min(mean(found[loss][at]) for loss in found if loss != "linear") - mean(linear)
        for at, linear in enumerate(found["linear"])
    ]
    return (
        Claim(
            "CE is ahead of GCE with right labels, in each seed",
            f"by {min(ahead):.1f} to {max(ahead):.1f} points",
            min(ahead) > 0,
        ),
        Claim(
            "60 % wrong labels cost GCE less than CE, in each seed",
            " against ".join(
                f"{min(lost[loss]):.1f} to {max(lost[loss]):.1f}" for loss in ("GCE", "CE")
            )
            + " points",
            all(gce < ce for gce, ce in zip(lost["GCE"], lost["CE"], strict=True)),
        ),
        Claim(
            "the linear loss is last at each share of wrong labels, in the mean",
            f"by {min(behind):.1f} points or more",
            min(behind) > 0,
        ),
    )


def _picture(title: str, found: Accuracies, runs: Sequence[Trained] = ()) -> Illustration:
    """Draw mean errors against the share of wrong labels, with bars from least to most."""
    shares = [100 * noise for noise in NOISES]
    with drawing.canvas(**drawing.HALF) as (figure, axes):
        for loss, cells in found.items():
            wrong = [[100 - accuracy for accuracy in seeds] for seeds in cells]
            means = [mean(seeds) for seeds in wrong]
            ends = [
                [middle - min(seeds) for middle, seeds in zip(means, wrong, strict=True)],
                [max(seeds) - middle for middle, seeds in zip(means, wrong, strict=True)],
            ]
            axes.errorbar(shares, means, ends, marker="o", color=COLOURS[loss], label=loss)
        axes.set(xlabel="wrong labels, %", ylabel="test images wrong, %", yscale="log")
        low, high = axes.get_ylim()
        ticks = [tick for tick in TICKS if low <= tick <= high]
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_xticks(shares)
        axes.minorticks_off()
        axes.set_ylim(low, 2 * high)  # room for the legend
        axes.legend(loc="upper right", ncols=2)
        return drawing.picture(title, figure, *runs)
