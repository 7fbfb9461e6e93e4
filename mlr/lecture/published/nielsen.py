"""Comparison of the curves that Nielsen stored with the same runs trained here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlr.core.console import progress_bar
from mlr.lecture.lab import Lab
from mlr.lecture.page import drawing
from mlr.lecture.page.answer import Answer, Claim, Illustration, PublishedNumber, number
from mlr.lecture.published.files import Images, curves_folder, mnist
from mlr.lecture.published.stored_runs import (
    BATCH,
    GREYS,
    STORED_RUNS,
    StoredRun,
    initial_parameters,
    replay,
)

VALIDATION = 10_000
CLOSE = 1e-9
"""Largest difference of a cost that counts as equal."""
TIMED = 300
"""Updates of each run by which plain numpy is timed."""


class ComparedSeries(NamedTuple):
    """One series, a number per epoch, and the same as he stored it."""

    curve: StoredRun
    name: str
    ours: list[float]
    theirs: list[float]


def nielsen_curves(lab: Lab) -> Answer:
    """Do Nielsen's MNIST programs, made again here, give the very curves that he stored?

    The eight stored runs in which rounding errors stay small. Losses and dL/dz are the program's
    own formulas of sigmoid + BCE; the initial weights and the order of the images follow his
    generators.

    Source: M. Nielsen, Neural Networks and Deep Learning, 2015, chapter 3, and the .json files in
    github.com/mnielsen/neural-networks-and-deep-learning @ 72db53d7.
    """
    return compare_curves(STORED_RUNS)


def compare_curves(curves: Sequence[StoredRun], epochs: int | None = None) -> Answer:
    """Replay `curves`, or their first `epochs`, and compare them with the stored ones.

    Raises:
        InputError: MNIST or the stored curves are missing.
    """
    folder, splits = curves_folder(), mnist(VALIDATION)
    stored = {curve: curve.published(folder) for curve in curves}
    updates = [curve.images // BATCH * curve.passes(epochs) for curve in curves]
    started = perf_counter()
    with progress_bar("training") as show:
        found = replay(curves, splits, epochs, _counted(show, sum(updates)))
    seconds = perf_counter() - started
    pairs = [
        ComparedSeries(curve, name, ours, stored[curve][name][: len(ours)])
        for curve in curves
        for name, ours in found[curve].items()
    ]
    each = [numpy_seconds(curve, splits["train"]) for curve in curves]
    plain = sum(count * one for count, one in zip(updates, each, strict=True))
    costs, counts = _costs(pairs), _counts(pairs)
    sentence = (
        f"{'Yes' if costs.holds and counts.holds else 'No'}: of {costs.measured}, and "
        f"{counts.measured}, in {seconds:.0f} s where the updates alone take {plain:.0f} s in "
        "plain numpy on one thread."
    )
    return Answer(sentence, (costs, counts), (_picture(pairs),), tuple(map(_row, pairs)))


def numpy_seconds(curve: StoredRun, train: Images) -> float:
    """Measure the seconds of one update in plain numpy."""
    pixels = train.pixels[: TIMED * BATCH].double().numpy() / GREYS
    targets = train.one_hot[: TIMED * BATCH].numpy()
    b1, b2, w1, w2 = initial_parameters(curve)
    keep, rate = 1 - curve.rate * curve.decay / curve.images, curve.rate / BATCH
    started = perf_counter()
    for at in range(0, len(pixels), BATCH):
        x, t = pixels[at : at + BATCH], targets[at : at + BATCH]
        hidden = _sigmoid(x @ w1.T + b1)
        error = _sigmoid(hidden @ w2.T + b2) - t
        back = error @ w2 * hidden * (1 - hidden)
        w2, b2 = keep * w2 - rate * error.T @ hidden, b2 - rate * error.sum(0)
        w1, b1 = keep * w1 - rate * back.T @ x, b1 - rate * back.sum(0)
    return (perf_counter() - started) / TIMED


def _sigmoid(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-z))


def _row(pair: ComparedSeries) -> PublishedNumber:
    what = f"{pair.curve.name}: {pair.name} after {len(pair.ours)} epochs"
    digits = 0 if pair.name.endswith("count") else 10
    return PublishedNumber(what, pair.theirs[-1], pair.ours[-1], digits, f"{pair.curve.file}.json")


def _costs(pairs: Sequence[ComparedSeries]) -> Claim:
    off = [
        abs(ours - theirs)
        for pair in pairs
        if pair.name.endswith("cost")
        for ours, theirs in zip(pair.ours, pair.theirs, strict=True)
    ]
    measured = f"{len(off)} costs the furthest is off by {number(max(off, default=0), 2)}"
    return Claim(f"every cost is his within {CLOSE:g}", measured, max(off, default=0) <= CLOSE)


def _counts(pairs: Sequence[ComparedSeries]) -> Claim:
    equal = [
        ours == theirs
        for pair in pairs
        if pair.name.endswith("count")
        for ours, theirs in zip(pair.ours, pair.theirs, strict=True)
    ]
    measured = f"{sum(equal)} of {len(equal)} counts of right images are equal"
    return Claim("every count of right images is his", measured, all(equal))


def _counted(show: Callable[[int, int], None], total: int) -> Callable[[int], None]:
    """Sum the progress of several threads."""
    lock, done = Lock(), 0

    def progress(updates: int) -> None:
        nonlocal done
        with lock:
            done += updates
            show(done, total)

    return progress


def _picture(pairs: Sequence[ComparedSeries]) -> Illustration:
    """Draw the test cost of the runs on 1000 images, ours as lines and his as dots."""
    costs = [pair for pair in pairs if pair.name.endswith("cost")]
    drawn = [pair for pair in costs if pair.name == "evaluation cost"] or costs[:1]
    with drawing.canvas() as (figure, axes):
        for pair, colour in zip(drawn, (drawing.VERMILLION, drawing.BLUE), strict=False):
            epochs = range(1, len(pair.ours) + 1)
            some = slice(None, None, max(1, len(pair.ours) // 25))
            axes.plot(epochs, pair.ours, color=colour, label=f"{pair.curve.name}, here")
            axes.plot(epochs[some], pair.theirs[some], "o", color=drawing.INK, markersize=5)
        axes.plot([], [], "o", color=drawing.INK, markersize=5, label="Nielsen")
        axes.set(xlabel="epochs", ylabel="cost on the test images")
        axes.legend()
        return drawing.picture("overfitting, and weight decay against it", figure)
