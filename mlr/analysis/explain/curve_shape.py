"""Numbers read off the curves of a run: does the loss leap, fall still, or rise in the end."""

from __future__ import annotations

from math import inf, nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlr.analysis.explain.facts import Facts

FEWEST = 6
"""Values of a curve below which its shape says nothing."""


def peak(facts: Facts) -> float:
    """The largest training loss on the way, as a multiple of what it is at a sane start.

    A median of three neighbours, so that one odd batch does not count.
    """
    losses = facts.values("loss/train")
    if len(losses) < FEWEST:
        return nan
    calm = np.median(np.stack([losses[:-2], losses[1:-1], losses[2:]]), axis=0)
    first = np.fmax(facts.anatomy("start", "loss"), facts.constant)
    base = float(first) if first > 0 else float(losses[0])
    return float(calm.max()) / base if base > 0 else nan


def leaps(facts: Facts) -> float:
    """The typical factor, as log, between validation losses of one epoch and the next.

    The root mean square of log L(e + 1) − log L(e) about its mean, over the second half: a
    steady fall or rise is none.
    """
    losses = facts.values("loss/val")
    late = losses[len(losses) // 2 :]
    if len(late) < FEWEST or not (np.isfinite(late).all() and (late > 0).all()):
        return nan
    return float(np.diff(np.log(late)).std())


def time_above(facts: Facts, level: float) -> float:
    """Share of the updates after which a loss was last above a level; NaN without a curve.

    Of the training loss, or of the validation loss where that was not recorded.
    """
    for tag in ("loss/train", "loss/val"):
        steps, losses = facts.points(tag)
        if len(steps) >= FEWEST and steps[-1] > 0:
            above = steps[losses > level]
            return float(above[-1] / steps[-1]) if len(above) else 0.0
    return nan


def settled(facts: Facts) -> float:
    """How far the validation loss of the last quarter is from that of the one before.

    As a share of it; NaN for few validations. Means over a quarter, so that batches cancel.
    """
    losses = facts.values("loss/val")
    if len(losses) < 2 * FEWEST or not np.isfinite(losses).all():
        return nan
    *_, third, last = (part.mean() for part in np.array_split(losses, 4))
    return float(abs(third - last) / third) if third > 0 else nan


class Fall(NamedTuple):
    """How a curve falls."""

    tag: str
    """of the curve"""
    steady: float = nan
    """share of its moves that go down"""
    late: float = nan
    """what the second half brings, as a multiple of what the first brought"""
    whole: float = nan
    """what all of it brings, as a share of its first value"""


def fall(facts: Facts) -> Fall:
    """How the validation loss falls, from epoch to epoch, or the training loss by sixths."""
    tag, losses = "loss/val", facts.values("loss/val")
    if len(losses) < FEWEST:
        tag, losses = "loss/train", facts.values("loss/train")
        if len(losses) < 4 * FEWEST:
            return Fall(tag)
        losses = np.array([part.mean() for part in np.array_split(losses, FEWEST)])
    if not np.isfinite(losses).all() or losses[0] <= 0:
        return Fall(tag)
    first, middle, last = losses[0], losses[len(losses) // 2], losses[-1]
    early = first - middle
    late = (middle - last) / early if early > 0 else inf if middle > last else nan
    steady = float((np.diff(losses) < 0).mean())
    return Fall(tag, steady, float(late), float((first - last) / first))


def layer_share(facts: Facts) -> NDArray[np.float64]:
    """Gradient norm of the first layer as a share of the output layer's, step by step (P,).

    Empty for a model of one layer; NaN where the output layer has no gradient.
    """
    layers = facts.layers
    if len(layers) < 2:
        return np.zeros(0)
    first, last = (facts.values(f"grad_norm/{name}") for name in (layers[0], layers[-1]))
    if len(first) != len(last):
        return np.zeros(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((last > 0) & np.isfinite(last) & np.isfinite(first), first / last, nan)


def held_out_lead(facts: Facts) -> float:
    """By how much validation examples were found more often than trained ones, at its largest.

    Accuracy of the validation before an epoch less that of the batches in it: a model that only
    gets better trails. The mean over a third of the epochs, the first tenth left out; NaN for
    few epochs.
    """
    steps, validated = facts.points("accuracy/val")
    at, trained = facts.points("accuracy/train")
    finite = np.isfinite(validated).all() and np.isfinite(trained).all()
    if len(steps) < FEWEST or not finite:
        return nan
    epoch = np.searchsorted(steps, at, "right")  # how many validations came before
    batches = np.bincount(epoch, minlength=len(steps))
    found = np.bincount(epoch, trained, minlength=len(steps))
    later = np.arange(max(1, len(steps) // 10), len(steps))
    later = later[batches[later] > 0]
    if len(later) < 3:
        return nan
    leads = validated[later - 1] - found[later] / batches[later]
    return float(max(part.mean() for part in np.array_split(leads, 3)))
