"""Data of the second held-out programs: papers that cite each other."""

from __future__ import annotations

import torch
from torch import Tensor


def citations(count: int = 180) -> tuple[Tensor, Tensor, Tensor]:
    """Draw papers (count, 10), their normalised citations (count, count), and their classes."""
    labels = torch.bucketize(torch.rand(count), torch.tensor([0.6, 0.85]))
    features = torch.randn(3, 10)[labels] + 1.2 * torch.randn(count, 10)
    same = labels[:, None] == labels
    links = (torch.rand(count, count) < torch.where(same, 0.06, 0.005)).float().triu(1)
    links = links + links.T + torch.eye(count)
    return features, links / links.sum(1, keepdim=True), labels
