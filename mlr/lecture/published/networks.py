"""Networks of published results, which no model of `configs/model` builds.

An experiment names one as its model: `configs/experiment/noisy_labels.yaml`, `cement.yaml`.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from mlr.models.shared_slope import SharedSlope

SPREAD = 0.1
"""Standard deviation σ of LeNet's initial weights, before they are cut at ±2σ."""


class LeNet5(nn.Module):
    """LeNet-5 with ReLU and average pooling: images (B, 1, 28, 28) → logits (B, K).

    Initial weights are N(0, 0.1²) cut at ±0.2, biases U(−1/√fan_in, 1/√fan_in).

    Args:
        outputs: K.

    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, 1998, figure 2, as changed by
    github.com/dmizr/phuber: the second convolution sees all maps, the output layer is linear.
    """

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.AvgPool2d(2)),
            *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten()),
            *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU()),
        )
        self.output = nn.Linear(84, outputs)
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(layer.weight, std=SPREAD, a=-2 * SPREAD, b=2 * SPREAD)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K) of images (B, 1, 28, 28)."""
        logits: Tensor = self.output(self.features(images))
        return logits


class CementNetwork(nn.Module):
    """Two layers of 300 leaky ReLUs with dropout and batch normalization: (B, D) → logits (B, K).

    Args:
        feature_shape: (D,).
        outputs: K.
        shared: True for one weight vector for all outputs, as CORAL has it; their biases start
            at 1, …, 2/K, 1/K.

    Source: github.com/rasbt/deeplearning-models, pytorch_ipynb/ordinal/*_cement.ipynb.
    """

    def __init__(self, feature_shape: tuple[int, ...], outputs: int, shared: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, width in pairwise((*feature_shape, 300, 300)):
            layers += [nn.Linear(before, width, bias=False), nn.LeakyReLU()]
            layers += [nn.Dropout(0.2), nn.BatchNorm1d(width)]
        self.features = nn.Sequential(*layers)
        self.output: nn.Module
        if shared:
            self.output = SharedSlope(300, outputs)
            with torch.no_grad():
                self.output.bias.copy_(torch.arange(outputs, 0, -1) / outputs)
        else:
            self.output = nn.Linear(300, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, K) of features (B, D)."""
        logits: Tensor = self.output(self.features(features))
        return logits
