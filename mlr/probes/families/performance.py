"""Loss and accuracy of the batch."""

import torch
from torch import Tensor

from mlr.probes.base import Probe, StepValues, Subject


class Performance(Probe):
    """Mean loss `loss/train` of the batch, and further means over it.

    `accuracy/train` for classification; for several labels `label_accuracy/train`, the share of
    labels predicted rightly, and `exact_match/train`, the share of examples with all labels right;
    `predicted_std/train`, the mean σ, for a head that predicts standard deviations.
    """

    def __init__(self, subject: Subject, threshold: float) -> None:
        self.tags = ("loss/train",)
        self.tags += ("accuracy/train",) * (subject.classes is not None)
        self.tags += ("label_accuracy/train", "exact_match/train") * subject.multilabel
        self.tags += ("predicted_std/train",) * subject.spread

    def measure(self, values: StepValues) -> Tensor:
        """Compute means over B (P, R, tags)."""
        columns = [values.losses.mean(-1)]
        if values.right_labels is not None:
            columns.append(values.right_labels.mean((-2, -1)))
        if values.right is not None:
            columns.append(values.right.mean(-1))
        if values.spreads is not None:
            columns.append(values.spreads.mean((-2, -1)))
        return torch.stack(columns, dim=-1)
