"""Data of the held-out programs: sequences, texts, sentences and pictures with a spot."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mlr.benchmarks.programs.material import digits

Pair = tuple[Tensor, Tensor]


def pictures() -> Pair:
    """Return the handwritten digits as pictures (1797, 1, 8, 8) in [0, 1], and classes (1797,)."""
    x, t = digits()
    return x.reshape(-1, 1, 8, 8), t


def sequences(count: int = 640, length: int = 8) -> Pair:
    """Draw sequences (count, length, 2), and 4 classes by the signs of the second and fifth."""
    x = torch.randn(count, length, 2)
    return x, (x[:, 1, 0] > 0).long() + 2 * (x[:, 4, 0] > 0).long()


def texts(count: int = 800, length: int = 10, words: int = 40) -> Pair:
    """Draw texts (count, length) of numbers of words, and whether good words outnumber bad ones."""
    x = torch.randint(words, (count, length))
    return x, ((x % 4 == 0).sum(1) > (x % 4 == 3).sum(1)).long()


def sentences(count: int = 256, length: int = 10, words: int = 12) -> Tensor:
    """Draw sentences (count, length), in which a word mostly follows from that before it."""
    follows = torch.randperm(words)
    x = torch.randint(words, (count, length))
    for place in range(1, length):
        obeys = torch.rand(count) < 0.95
        x[obeys, place] = follows[x[obeys, place - 1]]
    return x


def spots(count: int = 512, size: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Draw noisy pictures (count, 1, 8, 8) with a bright square, its mask, and its corner."""
    corner = torch.randint(0, 9 - size, (count, 2))
    place = torch.arange(8)
    inside = (place >= corner[..., None]) & (place < corner[..., None] + size)
    mask = (inside[:, 0, :, None] & inside[:, 1, None, :]).float()[:, None]
    return mask + 0.3 * torch.randn(count, 1, 8, 8), mask, corner.float()


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
