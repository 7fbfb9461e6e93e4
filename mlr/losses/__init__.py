"""Losses: the cost of predictions y (…, K) against targets t (…, K), per example, (…).

A loss knows where predictions and targets must lie and which distribution it is the
−log-likelihood of, and nothing of heads. `mlr.objectives` joins a head and a loss.
Adding one: a file here, its class in `LOSSES`, a YAML of the same name in `configs/loss/`.
Nothing here imports torch before a loss is called.
"""

from __future__ import annotations

from mlr.losses.base import Loss
from mlr.losses.bce import BinaryCrossEntropy
from mlr.losses.ce import CrossEntropy
from mlr.losses.matching import Matching
from mlr.losses.nll import GaussianNll
from mlr.losses.se import SquaredError

LOSSES: tuple[type[Loss], ...] = (
    SquaredError,
    GaussianNll,
    BinaryCrossEntropy,
    CrossEntropy,
    Matching,
)

__all__ = [
    "LOSSES",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "GaussianNll",
    "Loss",
    "Matching",
    "SquaredError",
]
