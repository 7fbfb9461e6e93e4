"""Logged trainings by the numbers of their curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlr.diagnosis.curves import curve_findings
from mlr.records.tensorboard.logs import LoggedCurve, LoggedRun

TAGS = {
    "train": ("loss/train", "train/loss"),
    "val": ("loss/val", "val_loss"),
    "acc": ("accuracy/train", "train_acc"),
    "val_acc": ("accuracy/val", "val_acc"),
    "lr": ("learning_rate", "lr"),
}


def logged(**curves: Sequence[float]) -> LoggedRun:
    """A run with these curves; the steps of each end at 1000."""
    found = {}
    for name, values in curves.items():
        role, tag = TAGS[name]
        steps = np.linspace(1000 / len(values), 1000, len(values)).round().astype(np.int64)
        found[role] = LoggedCurve(tag, steps, np.array(values, dtype=float))
    return LoggedRun("run", found)


def findings(**curves: Sequence[float]) -> dict[str, Any]:
    return curve_findings(logged(**curves))


def noisy(course: Sequence[float], spread: float, seed: int = 0) -> np.ndarray:
    return np.asarray(course) + spread * np.random.default_rng(seed).normal(size=len(course))


def decay(start: float, end: float, count: int, speed: float = 8.0) -> np.ndarray:
    """An exponential fall, which is over at the end if `speed` is 8."""
    return end + (start - end) * np.exp(-speed * np.linspace(0, 1, count))
