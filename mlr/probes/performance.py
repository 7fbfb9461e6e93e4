"""Loss and accuracy of the batch."""

from __future__ import annotations

import torch
from torch import Tensor

from mlr.probes.base import Probe, StepValues, Subject


class Performance(Probe):
    """`loss/train`, and what else tells how good predictions are: means over the batch.

    `accuracy/train` for classification; `predicted_std/train`, the mean σ, of a head that
    predicts standard deviations.
    """

    family = "performance"

    def __init__(self, subject: Subject) -> None:
        self.tags = ("loss/train",)
        self.tags += ("accuracy/train",) * (subject.classes is not None)
        self.tags += ("predicted_std/train",) * subject.spread

    def measure(self, values: StepValues) -> Tensor:
        """Means over B (P, R, tags)."""
        columns = [values.losses.mean(-1)]
        if values.right is not None:
            columns.append(values.right.mean(-1))
        if values.spreads is not None:
            columns.append(values.spreads.mean((-2, -1)))
        return torch.stack(columns, dim=-1)
