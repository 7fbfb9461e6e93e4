"""Slopes of the head and of the loss, which show the cause of a small dL/dz."""

import torch
from torch import Tensor

from mlr.probes.base import Probe, StepValues, Subject, mean_over
from mlr.probes.families.classes import own_output


class Slopes(Probe):
    """Mean |dy/dz| and |dL/dy|, whose product is |dL/dz| if each output has its own loss term.

    `slope/head_wrong`, `slope/loss_wrong` and the same for correct predictions: means over the
    examples, at the output of an example's class. For regression and several labels `slope/head`
    and `slope/loss`, over all examples and outputs.

    A loss that is no function of predictions (matching) has no slope in y.

    Source: lecture section 29; dL/dz = dL/dy · dy/dz.
    """

    reads = frozenset({"predictions", "prediction_grads", "labels"})

    def __init__(self, subject: Subject, threshold: float) -> None:
        self.tags = ("slope/head", "slope/loss")
        if subject.classes is not None:
            self.tags = tuple(
                f"slope/{part}_{side}" for side in ("wrong", "right") for part in ("head", "loss")
            )

    def measure(self, values: StepValues) -> Tensor:
        """Compute means over B (P, R, tags)."""
        assert values.prediction_grads is not None
        parts = [values.slopes.abs(), values.prediction_grads.abs()]
        if values.labels is None or values.right is None:
            return torch.stack([part.mean((-2, -1)) for part in parts], dim=-1)
        own = [own_output(part, values.labels) for part in parts]
        return torch.stack(
            [mean_over(part, side) for side in (values.wrong, values.right) for part in own],
            dim=-1,
        )
