"""Interpretation of a user's logits and targets: examples, outputs, classes or numbers."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from mlr.core.checks import InputError
from mlr.core.domains import OPEN_UNIT, SIMPLEX, UNIT
from mlr.heads import Head

MOST_NUMBERS = 1 << 22
"""Largest number of logits that are measured; of larger batches, every n-th example."""


@dataclass(frozen=True)
class LogitsTask:
    """Task of the logits: K outputs, and the number of classes, None for regression."""

    outputs: int
    classes: int | None

    def labels(self, targets: Tensor) -> Tensor:
        """Class index (…, B) of targets (…, B) or (…, B, K)."""
        if not targets.is_floating_point():
            return targets
        return targets[..., 0] >= 0.5 if self.outputs == 1 else targets.argmax(-1)

    def decide(self, logits: Tensor, head: Head | None) -> Tensor:
        """Predicted class index (…, B); without a head, by z ≥ 0 or the largest logit."""
        if head is not None:
            return head.decide(logits)
        return logits[..., 0] >= 0 if self.outputs == 1 else logits.argmax(-1)


class Batch:
    """Batch with one row per example, for any number of axes.

    Targets are class indices if they are integers, or one-hot if the head predicts probabilities;
    else they are regression targets.

    Args:
        logits: (B, …, K), or (B,) of a single output.
        targets: class indices (B, …), one-hot, probabilities or numbers (B, …, K).
        head: None if unknown.

    Attributes:
        task: of the logits.
        examples: number of examples, including those that are not measured.

    Raises:
        InputError: the shapes do not fit.
    """

    def __init__(self, logits: Tensor, targets: Tensor, head: Head | None) -> None:
        whole = not targets.is_floating_point()
        self.task, self.examples, one_hot, self._every = _arranged(
            logits.shape, targets.shape, whole, head
        )
        self.logits = self.of_logits(logits)
        targets = targets.detach()
        if one_hot:
            targets = targets.argmax(-1)
        width = () if whole else (targets.numel() // self.examples,)
        self.targets = self._rows(targets.reshape(self.examples, *width)).clone()

    def of_logits(self, values: Tensor) -> Tensor:
        """Copy values with the shape of the logits, one row per measured example."""
        rows = self._rows(values.detach().reshape(self.examples, self.task.outputs))
        wide = torch.float64 if values.dtype == torch.float64 else torch.float32
        return rows.to(wide, copy=True)

    def _rows(self, values: Tensor) -> Tensor:
        return values if self._every == 1 else values[:: self._every]


@lru_cache(maxsize=64)
def _arranged(
    logits: torch.Size, targets: torch.Size, whole: bool, head: Head | None
) -> tuple[LogitsTask, int, bool, int]:
    """Find the task, number of examples, whether targets are one-hot, and the measured stride."""
    if len(logits) == 1:
        logits = torch.Size((*logits, 1))
    outputs, leading = logits[-1], logits[:-1]
    width = outputs // (head.range.per_target if head is not None else 1)
    fitting = {(*leading, width), leading if whole or outputs == 1 else (*leading, width)}
    if tuple(targets) not in fitting or not leading.numel():
        raise InputError(
            f"targets of shape {tuple(targets)} do not fit logits of shape {tuple(logits)}; the "
            "last axis of the logits is that of the classes or outputs, and targets have the shape "
            "of the logits, or lack that axis and are class numbers: targets.long()."
        )
    probable = head is not None and head.range in (UNIT, OPEN_UNIT, SIMPLEX)
    task = LogitsTask(outputs, max(2, outputs) if whole or probable else None)
    one_hot = whole and outputs > 1 and len(targets) == len(logits)
    every = max(1, -(-logits.numel() // MOST_NUMBERS))
    return task, leading.numel(), one_hot, every
