"""Norm of the parameters' gradient by layer, which shows layers without gradient."""

import torch
from torch import Tensor

from mlr.probes.base import Probe, StepValues, Subject


class GradientNorm(Probe):
    """`grad_norm/total` and `grad_norm/<layer>`: ‖∂ mean L/∂θ‖₂, before any clipping."""

    reads = frozenset({"gradient_norms"})

    def __init__(self, subject: Subject, threshold: float) -> None:
        self.tags = ("grad_norm/total", *(f"grad_norm/{layer}" for layer in subject.layers))

    def measure(self, values: StepValues) -> Tensor:
        """Return norms (P, R, 1 + N); the total is the norm of the layers' norms."""
        norms = values.network["gradient_norms"]
        total = torch.linalg.vector_norm(norms, dim=-1, keepdim=True)
        return torch.cat((total, norms), dim=-1)
