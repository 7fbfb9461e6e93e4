"""How well features tell classes apart, without a model: by the nearest other example."""

from __future__ import annotations

import torch
from torch import Tensor

MOST_COMPARED = 1024
"""Examples of which each is compared with all others."""


def same_class_as_nearest(features: Tensor, labels: Tensor) -> float:
    """Share of examples whose nearest other one has the same class.

    For labels that have nothing to do with the features it is Σ_k p_k². Distances are Euclidean,
    of features as a model gets them.

    Args:
        features: (N, …); of many, so many evenly spread ones are looked at.
        labels: numbers of the classes (N,).

    Source: Cover & Hart 1967, Nearest neighbor pattern classification.
    """
    if len(features) < 2:
        return float("nan")
    step = -(-len(features) // MOST_COMPARED)
    points, classes = features[::step].flatten(1).float(), labels[::step]
    distances = torch.cdist(points, points)
    distances.fill_diagonal_(torch.inf)
    return float((classes[distances.argmin(1)] == classes).float().mean())
