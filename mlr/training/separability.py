"""Separability of classes: by their features without a model, and by a single logit."""

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


def best_threshold(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Find the threshold on a single logit that leaves the fewest examples wrong.

    Class 1 is predicted from the threshold on. The examples that it leaves wrong are due to the
    direction of the weights; those that the head's own threshold adds, to a misplaced boundary.

    Args:
        logits: (L, B).
        labels: 0 or 1 (L, B).

    Returns:
        Thresholds (L,), each a logit that occurs, or infinite where class 1 is best predicted
        for none; and shares wrong (L,).
    """
    ordered, order = logits.sort(dim=1)
    ones = labels.gather(1, order).to(logits.dtype)
    nothing = torch.zeros_like(ones[:, :1])
    ones_below = torch.cat((nothing, ones.cumsum(1)), dim=1)
    zeros_below = torch.cat((nothing, (1 - ones).cumsum(1)), dim=1)
    wrong = ones_below + zeros_below[:, -1:] - zeros_below
    # no threshold lies between equal logits
    equal = ordered[:, 1:] == ordered[:, :-1]
    wrong[:, 1:-1] = wrong[:, 1:-1].masked_fill(equal, torch.inf)
    fewest, place = wrong.min(dim=1)
    beyond = torch.full_like(ordered[:, :1], torch.inf)
    at = torch.cat((ordered, beyond), dim=1).gather(1, place.unsqueeze(1))
    return at.squeeze(1), fewest / logits.shape[1]
