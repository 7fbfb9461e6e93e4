"""Loss and accuracy of the batch."""

from __future__ import annotations

import torch
from torch import Tensor

from mlr.probes.base import Probe, StepValues


class Performance(Probe):
    """`loss/train`, and `accuracy/train` for classification: means over the batch."""

    def __init__(self, classification: bool) -> None:
        self.tags = ("loss/train", "accuracy/train") if classification else ("loss/train",)

    def measure(self, values: StepValues) -> Tensor:
        """Means over B (P, R, tags)."""
        loss = values.losses.mean(-1)
        if values.right is None:
            return loss.unsqueeze(-1)
        return torch.stack((loss, values.right.mean(-1)), dim=-1)
