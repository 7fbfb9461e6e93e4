"""Data that need no library: the hundreds of scikit-learn's parts would make each fork slower."""

from __future__ import annotations

import numpy as np
import torch

from mlr.data import Dataset, Source, Split


class Points(Source):
    """Points (n, 2) in two classes that overlap; three of five are for training."""

    name = "points"
    classes = 2

    def __init__(self, n: int = 1000) -> None:
        self.n = n

    def load(self, seed: int) -> Dataset:
        draw = np.random.default_rng(seed)
        labels = draw.integers(0, 2, self.n)
        points = draw.standard_normal((self.n, 2)) + labels[:, None]
        features, targets = torch.from_numpy(points).float(), torch.from_numpy(labels)
        first, second = 3 * self.n // 5, 4 * self.n // 5
        splits = [
            Split(features[part], targets[part])
            for part in (slice(first), slice(first, second), slice(second, None))
        ]
        return Dataset(self.name, *splits, classes=2)


class Talking(torch.nn.Sequential):
    """A linear model that tells its number; odd ones fail."""

    def __init__(self, feature_shape: tuple[int, ...], outputs: int, number: int) -> None:
        print("built", number)
        super().__init__(torch.nn.Linear(*feature_shape, outputs))
        self.number = number

    def forward(self, inputs):
        if self.number % 2 and self.training:
            raise ArithmeticError(f"number {self.number}")
        return super().forward(inputs)
