"""Gradient sizes by confidence, which show if confident errors are corrected."""

import torch
from torch import Tensor

from mlr.core.domains import Levels
from mlr.probes.base import Probe, StepValues, Subject, below, mean_over
from mlr.probes.families.classes import are_levels

EDGES = (0.6, 0.9)
"""Limits between low, middle and high confidence."""
LEVELS = ("low", "middle", "high")


class Confidence(Probe):
    """Mean ‖dL/dz‖₂ of wrong and right predictions, at three levels of confidence each."""

    reads = frozenset({"predictions"})

    def __init__(self, subject: Subject, threshold: float) -> None:
        self.tags, self.classes = (), subject.classes
        if subject.classes is not None:
            self.tags = tuple(
                f"logit_grad_confidence/{side}_{level}"
                for side in ("wrong", "right")
                for level in LEVELS
            )

    def measure(self, values: StepValues) -> Tensor:
        """Compute means over B (P, R, tags); NaN where the batch has no such example."""
        assert values.predictions is not None
        sizes, sides = values.gradient_sizes, (values.wrong, 1 - values.wrong)
        levels = levels_of(confidence(values.predictions, self.classes))
        return torch.stack(
            [mean_over(sizes, side * level) for side in sides for level in levels],
            dim=-1,
        )


def confidence(predictions: Tensor, classes: int | None) -> Tensor:
    """Confidence (…) of predictions (…, K): max_k y_k, or max(y, 1 − y) for K = 1.

    Of levels of ordered classes, the largest probability of a class.
    """
    if are_levels(predictions, classes):
        return Levels.shares(predictions).amax(-1)
    if predictions.shape[-1] == 1:
        return torch.maximum(predictions, 1 - predictions)[..., 0]
    return predictions.amax(-1)


def levels_of(confidence: Tensor) -> list[Tensor]:
    """Indicators, 1.0 or 0.0, of each level for confidences (…); NaN has no level."""
    low, high = EDGES
    # ten times as fast as booleans
    sure = torch.ge(confidence, high, out=torch.empty_like(confidence))
    known = torch.ge(confidence, low, out=torch.empty_like(confidence))
    unsure = below(confidence, low)
    return [unsure, known - sure, sure]
