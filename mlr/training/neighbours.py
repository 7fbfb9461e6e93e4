"""Separability of classes by features, without a model: class of the nearest neighbour."""

from __future__ import annotations

import torch
from torch import Tensor

MOST_COMPARED = 1024
"""Largest number of examples that are compared with each other."""


def same_class_as_nearest(features: Tensor, labels: Tensor) -> float:
    """Compute the share of examples whose nearest neighbour has the same class.

    For labels independent of the features it is Σ_k p_k². Distances are Euclidean, between the
    features that a model gets.

    Args:
        features: (N, …); of many, `MOST_COMPARED` evenly spaced ones are used.
        labels: class indices (N,).

    Source: Cover & Hart 1967, Nearest neighbor pattern classification.
    """
    if len(features) < 2:
        return float("nan")
    step = -(-len(features) // MOST_COMPARED)
    points, classes = features[::step].flatten(1).float(), labels[::step]
    distances = torch.cdist(points, points)
    distances.fill_diagonal_(torch.inf)
    return float((classes[distances.argmin(1)] == classes).float().mean())
