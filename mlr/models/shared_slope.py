"""A last layer with one weight vector for all outputs, and biases of their own."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import linear


class SharedSlope(nn.Module):
    """z_k = w·x + b_k: parallel outputs, as ordinal regression has them.

    Args:
        features: D.
        outputs: K.
    """

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        layer = nn.Linear(features, 1)
        self.weight = layer.weight
        self.bias = nn.Parameter(layer.bias.detach().repeat(outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (…, K) of inputs (…, D)."""
        return linear(inputs, self.weight) + self.bias
