"""The script that a person would write to train some MLPs 784-128-10 on MNIST, one epoch each.

python -m mlr.benchmarks.mnist_by_hand FOLDER SEEDS
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

TRAINED, BATCH, LR = 55_000, 128, 0.1


def load(folder: Path, part: str) -> tuple[Tensor, Tensor]:
    """Load images (N, 784) from 0 to 1, and labels (N,)."""
    images = gzip.decompress((folder / f"{part}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / f"{part}-labels-idx1-ubyte.gz").read_bytes())
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 784)
    return torch.from_numpy(pixels / np.float32(255)), torch.tensor(list(labels[8:]))


def train(seed: int, images: Tensor, labels: Tensor) -> nn.Module:
    """Train one network."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    for chosen in torch.randperm(len(images)).split(BATCH):
        optimizer.zero_grad()
        F.cross_entropy(model(images[chosen]), labels[chosen]).backward()
        optimizer.step()
    return model


def main(folder: Path, seeds: int) -> None:
    """Train the networks and print their test accuracies."""
    images, labels = load(folder, "train")
    test, answers = load(folder, "t10k")
    for seed in range(seeds):
        model = train(seed, images[:TRAINED], labels[:TRAINED])
        with torch.no_grad():
            right = (model(test).argmax(1) == answers).float().mean().item()
        print(f"seed {seed}: test accuracy {right:.4f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
