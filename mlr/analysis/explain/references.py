"""Losses of constant predictors: what a good start and a useless end look like.

p_k is the share of class k in the training data; with one output, p is that of class 1. Outputs y
of every example cost
    ce  Σ_k −p_k log y_k     bce  Σ_k [−p_k log y_k − (1 − p_k) log(1 − y_k)]
    se  ½ Σ_k [p_k (1 − y_k)² + (1 − p_k) y_k²]
The best constant prediction is y = p; logits 0 are y = 1/K for a softmax, ½ for a sigmoid, 0 for a
linear unit.

Source: lecture sections 38 to 44; the entropies are losses of y = p, by Gibbs' inequality.
"""

from __future__ import annotations

from math import nan

import numpy as np
from numpy.typing import NDArray

AT_ZERO = {"linear": 0.0, "clipped_linear": 0.0, "sigmoid": 0.5, "hard_sigmoid": 0.5}
AT_ZERO |= {"probit": 0.5, "cloglog": 0.632}
"""y at logit 0 of heads that treat each output alone; cloglog's is 1 − 1/e."""
SHARED = ("softmax", "sparsemax", "entmax15")
"""Heads whose outputs are a distribution over at least two classes."""
MATCHED = {"linear": "se", "clipped_linear": "se", "sigmoid": "bce", "softmax": "ce"}
MATCHED |= {"hard_sigmoid": "bce", "probit": "bce", "cloglog": "bce", "sparsemax": "se"}
"""The cost whose size that of a head's matching loss has."""
LIKE_CE = ("ce", "smoothed_ce", "focal")
"""Costs of about that size; focal's is smaller."""


def constant(head: str, loss: str, counts: NDArray[np.float64]) -> float:
    """Compute the loss of the best constant prediction from the examples of each class (K,).

    NaN for a pair that has no formula here, with fewer than two classes, or a NaN count.
    """
    return _loss(head, loss, counts, best=True)


def start(head: str, loss: str, counts: NDArray[np.float64]) -> float:
    """Compute that of logits 0; of the best constant prediction where that takes the log of 0."""
    return _loss(head, loss, counts, best=False)


def _loss(head: str, loss: str, counts: NDArray[np.float64], best: bool) -> float:
    cost = _cost(head, loss, counts)
    if not cost:
        return nan
    p = counts / counts.sum()  # mean target of each output
    if head not in SHARED and len(p) == 2:
        p = p[1:]
    even = 1 / len(counts)
    zero = even if cost == "ce" else AT_ZERO.get(head, even)
    y = p if best or (cost == "bce" and zero == 0) else np.full_like(p, zero)
    if cost == "se":
        return float(0.5 * (p * (1 - y) ** 2 + (1 - p) * y**2).sum())
    others = _surprise(1 - p, 1 - y).sum() if cost == "bce" else 0
    return float(_surprise(p, y).sum() + others)


def _cost(head: str, loss: str, counts: NDArray[np.float64]) -> str:
    """Return se, bce or ce; empty where the size of the loss is not known."""
    # of one class alone the best constant is right, and tells nothing of a model
    if (counts > 0).sum() < 2 or np.isnan(counts).any():
        return ""
    if head not in AT_ZERO and head not in SHARED:
        return ""
    cost = MATCHED.get(head, "") if loss == "matching" else loss
    if cost in LIKE_CE:
        return "bce" if head not in SHARED and len(counts) == 2 else "ce"
    return cost if cost in ("se", "bce") else ""


def _surprise(p: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(p > 0, -p * np.log(y), 0.0)
