"""Data of the fourth held-out programs: texts with topics, and with several labels."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from mlr.benchmarks.programs.blind.material import Pair


def topics(count: int = 960, length: int = 8, classes: int = 24) -> Pair:
    """Draw texts (count, length) with two of the four words of a topic, and the topics (count,)."""
    t = torch.arange(count) % classes
    x = torch.randint(4 * classes, (count, length))
    x[:, 2:4] = 4 * t[:, None] + torch.randint(4, (count, 2))
    x[:, 5] = 4 * t + torch.randint(4, (count,))
    return x, t


def bags(count: int = 800, length: int = 6, labels: int = 12) -> Pair:
    """Draw texts (count, length) of 60 words, and the labels (count, labels) that these bring."""
    x = torch.randint(5 * labels, (count, length))
    brought = F.one_hot(x % (labels + 3), labels + 3).amax(1)
    return x, brought[:, :labels].float()
