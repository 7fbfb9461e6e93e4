"""Is being sure and wrong punished: ‖dL/dz‖₂ by how sure a prediction is."""

from __future__ import annotations

import torch
from torch import Tensor

from mlr.probes.base import Probe, StepValues, Subject, mean_over

EDGES = (0.6, 0.9)
"""Between low, middle and high confidence."""
LEVELS = ("low", "middle", "high")


class Confidence(Probe):
    """Mean ‖dL/dz‖₂ of wrong and of right predictions, each at three levels of confidence."""

    family = "confidence"

    def __init__(self, subject: Subject) -> None:
        self.tags = ()
        if subject.classes is not None:
            self.tags = tuple(
                f"logit_grad_confidence/{side}_{level}"
                for side in ("wrong", "right")
                for level in LEVELS
            )

    def measure(self, values: StepValues) -> Tensor:
        """Means over B (P, R, tags); NaN where the batch has no such example."""
        assert values.predictions is not None
        sizes, sides = values.gradient_sizes, (values.wrong, 1 - values.wrong)
        levels = levels_of(confidence(values.predictions))
        return torch.stack(
            [mean_over(sizes, side * level) for side in sides for level in levels],
            dim=-1,
        )


def confidence(predictions: Tensor) -> Tensor:
    """How sure predictions (…, K) are of their class (…): max_k y_k, or max(y, 1 − y) of one.

    It may leave [0, 1] where predictions do.
    """
    if predictions.shape[-1] == 1:
        return torch.maximum(predictions, 1 - predictions)[..., 0]
    return predictions.amax(-1)


def levels_of(confidence: Tensor) -> list[Tensor]:
    """1.0 where a confidence (…) is of each of the levels, else 0.0; NaN is of none."""
    low, high = EDGES
    sure = (confidence >= high).to(confidence.dtype)
    known = (confidence >= low).to(confidence.dtype)
    unsure = (confidence < low).to(confidence.dtype)
    return [unsure, known - sure, sure]
