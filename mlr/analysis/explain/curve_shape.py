"""Shape of a run's curves as numbers: peaks, leaps, steadiness and progress."""

from __future__ import annotations

from math import inf, nan
from typing import NamedTuple

import numpy as np

from mlr.analysis.explain.facts import Facts

FEWEST = 6
"""Values that a curve needs for its shape to count."""


def peak(facts: Facts) -> float:
    """Compute the largest median of three training losses as a multiple of a sane start's."""
    losses = facts.values("loss/train")
    if len(losses) < FEWEST:
        return nan
    calm = np.median(np.stack([losses[:-2], losses[1:-1], losses[2:]]), axis=0)
    first = np.fmax(facts.start_loss, facts.constant)
    base = float(first) if first > 0 else float(losses[0])
    return float(calm.max()) / base if base > 0 else nan


def leaps(facts: Facts) -> float:
    """Compute the standard deviation of log L(e + 1) − log L(e) over the second half of epochs.

    0 for a validation loss that falls or rises steadily.
    """
    losses = facts.values("loss/val")
    late = losses[len(losses) // 2 :]
    if len(late) < FEWEST or not (np.isfinite(late).all() and (late > 0).all()):
        return nan
    return float(np.diff(np.log(late)).std())


def time_above(facts: Facts, level: float) -> float:
    """Compute the share of updates after which the training, else validation loss was above."""
    for tag in ("loss/train", "loss/val"):
        steps, losses = facts.points(tag)
        if len(steps) >= FEWEST and steps[-1] > 0:
            above = steps[losses > level]
            return float(above[-1] / steps[-1]) if len(above) else 0.0
    return nan


def settled(facts: Facts) -> float:
    """Compute |a − b| / a for the mean validation losses a and b of the last two quarters."""
    losses = facts.values("loss/val")
    if len(losses) < 2 * FEWEST or not np.isfinite(losses).all():
        return nan
    *_, third, last = (part.mean() for part in np.array_split(losses, 4))
    return float(abs(third - last) / third) if third > 0 else nan


class Fall(NamedTuple):
    """Progress of the loss under a tag."""

    tag: str
    steady: float = nan
    """share of downward moves"""
    late: float = nan
    """fall in the second half, as a multiple of the fall in the first"""
    whole: float = nan
    """whole fall, as a share of the first value"""


def fall(facts: Facts) -> Fall:
    """Describe how the validation loss falls per epoch, or the training loss in sixths."""
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


def held_out_lead(facts: Facts) -> float:
    """Compute the largest lead of validation over training accuracy; NaN for few epochs.

    A lead is the mean over a third of the epochs, without the first tenth, of the accuracy of the
    validation before an epoch less that of the batches in it.
    """
    steps, validated = facts.points("accuracy/val")
    at, trained = facts.points("accuracy/train")
    finite = np.isfinite(validated).all() and np.isfinite(trained).all()
    if len(steps) < FEWEST or not finite:
        return nan
    epoch = np.searchsorted(steps, at, "right")  # number of earlier validations
    batches = np.bincount(epoch, minlength=len(steps))
    found = np.bincount(epoch, trained, minlength=len(steps))
    later = np.arange(max(1, len(steps) // 10), len(steps))
    later = later[batches[later] > 0]
    if len(later) < 3:
        return nan
    leads = validated[later - 1] - found[later] / batches[later]
    return float(max(part.mean() for part in np.array_split(leads, 3)))
