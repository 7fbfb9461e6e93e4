"""Targets as they come: class numbers, one-hot or soft rows, along any axis of the logits."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mlr.core.checks import InputError
from mlr.objectives.validation import NO_LABEL

IGNORED = -100
"""torch's number for examples without a label."""


class ReadTargets(NamedTuple):
    """Logits with their targets, of which one kind is given, or both of ordered classes.

    Attributes:
        logits: z (…, K), the outputs moved to the last axis.
        rows: t (…, K), or None.
        numbers: classes c (…) in 0 … K − 1 (0 and 1 for one output, 0 … K for levels), or None;
            those that are ignored are 0.
        ignored: True where there is no label (…); None if no number may be ignored, or none
            is seen to be.
        hard: True if all targets are known to be 0 or 1, one-hot if they must sum to 1.
        looked: whether values may be looked at.
    """

    logits: Tensor
    rows: Tensor | None
    numbers: Tensor | None
    ignored: Tensor | None
    hard: bool
    looked: bool

    @property
    def examples(self) -> int:
        """Number of examples."""
        return self.logits.numel() // max(self.logits.shape[-1], 1)

    @property
    def all_rows(self) -> Tensor:
        """t (…, K), one-hot if they are class numbers; of one output these themselves."""
        if self.rows is not None:
            return self.rows
        assert self.numbers is not None
        z, at = self.logits, self.numbers.unsqueeze(-1)
        if z.shape[-1] == 1:
            return at.to(z.dtype)
        # not in place, which vmap would refuse where only one of both is mapped
        return torch.zeros_like(z.detach()).scatter(-1, at, torch.ones_like(at, dtype=z.dtype))


def outputs_last(logits: Tensor, targets: Tensor, axis: int | None) -> tuple[Tensor, Tensor]:
    """Move the outputs of logits, and of targets that have them, to the last axis: views.

    Raises:
        InputError: the logits have no such axis, or the other axes differ.
    """
    given = targets.shape
    if axis is None:
        # a class number needs no output axis
        return logits.unsqueeze(-1), targets if is_integer(targets) else targets.unsqueeze(-1)
    if axis in (-1, logits.dim() - 1):
        return logits, targets
    if not -logits.dim() <= axis < logits.dim():
        raise InputError(
            f"axis={axis} must be an axis of the logits, which have shape {tuple(logits.shape)}."
        )
    last = logits.movedim(axis, -1)
    if targets.dim() == logits.dim():
        targets = targets.movedim(axis, -1)
        fits = targets.shape[:-1] == last.shape[:-1]
    else:
        fits = targets.shape == last.shape[:-1] and is_integer(targets)
    if not fits:
        raise InputError(
            f"targets of type {targets.dtype} and shape {tuple(given)} do not fit logits of shape "
            f"{tuple(logits.shape)} with axis={axis}: class numbers must have shape "
            f"{tuple(last.shape[:-1])}, and other targets that of the logits."
        )
    return last, targets


def is_integer(targets: Tensor) -> bool:
    """Tell if targets are whole numbers by their type."""
    kind = targets.dtype
    return not (kind.is_floating_point or kind.is_complex or kind is torch.bool)


def read_numbers(
    numbers: Tensor, outputs: int, classes: int, ignore_index: int, looked_at: bool
) -> tuple[Tensor, Tensor | None]:
    """Find the ignored examples among class numbers (…).

    Args:
        numbers: c (…), of any integer type.
        outputs: K.
        classes: how many classes these outputs have.
        ignore_index: the number of examples without a label.
        looked_at: whether values may be looked at.

    Returns:
        Class numbers of int64, 0 where they are ignored, and where that is, as in `ReadTargets`.

    Raises:
        InputError: a number is no class of these.
    """
    numbers = numbers.long()
    if looked_at and not 0 <= ignore_index < classes:
        if not numbers.numel():
            return numbers, None
        low, high = torch.aminmax(numbers)
        if low.item() >= 0 and high.item() < classes:
            return numbers, None
    ignored = numbers == ignore_index
    numbers = numbers.masked_fill(ignored, 0)
    if looked_at and numbers.numel():
        low, high = torch.aminmax(numbers)
        if low.item() < 0 or high.item() >= classes:
            _refuse(numbers, outputs, classes)
    return numbers, ignored


def _refuse(numbers: Tensor, outputs: int, classes: int) -> None:
    number = int(numbers[(numbers < 0) | (numbers >= classes)][0])
    owner = "one output has" if outputs == 1 else f"{outputs} outputs have"
    remedy = (
        f"{number} marks examples without a label: use ignore_index={number}"
        if number in NO_LABEL
        else "other targets than classes must be floating point, in the shape of the logits"
    )
    raise InputError(
        f"targets hold the class {number}, but {owner} the classes 0 to {classes - 1}; {remedy}."
    )
