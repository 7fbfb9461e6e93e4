"""Gradient at the logit of each class, which shows dead classes."""

import torch
from torch import Tensor

from mlr.probes.base import Probe, StepValues, Subject, mean_over

MOST = 20
"""Classes with a tag of their own; a chart of more lines cannot be read."""


class Classes(Probe):
    """`logit_grad_class/<k>`: mean |dL/dz_k| over the examples of class k, the first 20 of them.

    A single output belongs to both classes; of ordered classes see `own_output`.
    """

    reads = frozenset({"labels"})

    def __init__(self, subject: Subject, threshold: float) -> None:
        count = min(subject.classes or 0, MOST)
        self.tags = tuple(f"logit_grad_class/{k}" for k in range(count))

    def measure(self, values: StepValues) -> Tensor:
        """Compute means over B (P, R, tags); NaN for a class without examples in the batch."""
        assert values.labels is not None
        own = own_output(values.logit_grads, values.labels).abs()
        members = [
            torch.eq(values.labels, k, out=torch.empty_like(values.labels))
            for k in range(len(self.tags))
        ]
        return torch.stack([mean_over(own, member) for member in members], dim=-1)


def own_output(values: Tensor, labels: Tensor) -> Tensor:
    """Select from values (…, K) the one of each example's class (…), or the only one.

    Of the levels of ordered classes, it is the first whose target is 0, of the highest class the
    last level.
    """
    outputs = values.shape[-1]
    if outputs == 1:
        return values[..., 0]
    return values.gather(-1, labels.long().clamp(max=outputs - 1)[..., None])[..., 0]


def are_levels(values: Tensor, classes: int | None) -> bool:
    """Tell if values (…, K − 1) are those of levels of K ordered classes."""
    return classes is not None and 1 < values.shape[-1] < classes
