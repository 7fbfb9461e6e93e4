"""A last layer whose logits are scaled cosines."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import linear, normalize


class CosineLayer(nn.Module):
    """z_k = s cos θ_k = s ⟨x, w_k⟩/(‖x‖ ‖w_k‖); an input x of zeros has the logits 0.

    Args:
        features: D.
        outputs: K.
        scale: s.
    """

    def __init__(self, features: int, outputs: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.Linear(features, outputs, bias=False).weight.detach())
        self.scale = scale

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (…, K) of inputs (…, D)."""
        return self.scale * linear(normalize(inputs, dim=-1), normalize(self.weight, dim=-1))
