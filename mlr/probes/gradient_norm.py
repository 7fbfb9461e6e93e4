"""Which layer starves: the norm of the gradient in the parameters."""

from __future__ import annotations

import torch
from torch import Tensor

from mlr.probes.base import Probe, StepValues


class GradientNorm(Probe):
    """`grad_norm/total` and `grad_norm/<layer>`: ‖∂ mean L/∂θ‖₂, before any clipping."""

    def __init__(self, layers: tuple[str, ...]) -> None:
        self.tags = ("grad_norm/total", *(f"grad_norm/{layer}" for layer in layers))

    def measure(self, values: StepValues) -> Tensor:
        """Norms (P, R, 1 + L); the total is the norm of the layers' norms."""
        norms = values.layer_grad_norms
        total = torch.linalg.vector_norm(norms, dim=-1, keepdim=True)
        return torch.cat((total, norms), dim=-1)
