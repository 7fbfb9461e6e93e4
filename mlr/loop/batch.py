"""Interpretation of a user's logits and targets: examples, outputs, classes or numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mlr.core.checks import InputError
from mlr.core.domains import IGNORED, LEVELS, OPEN_UNIT, SIMPLEX, UNIT
from mlr.heads import Head
from mlr.loop.evidence.graph import SHAPES, operation, saved

MOST_NUMBERS = 1 << 22
"""Largest number of logits that are measured; of larger batches, every n-th example."""
TOLERANCE = 1e-3
"""Distance from 1 of the sum of a row of probabilities."""
SURE = 0.3
"""Least distance from ½ of a target that is a label, perhaps a smoothed one."""
MOST_NODES = 40
"""Nodes of a loss that are read for the axis of the classes."""
OF_LOGITS = ("sigmoid", "softmax", "log_softmax", "bce_logits", "log_sigmoid")
"""Operations of losses that take logits."""


@dataclass(frozen=True)
class LogitsTask:
    """Task of the logits: K outputs, and the number of classes, None for regression.

    threshold: output from which a single one means class 1; ½ of outputs that are probabilities
        already, to which no head is applied.
    fits: False if the targets fit no axis of the outputs.
    ordered: True if the outputs are levels of ordered classes, one fewer than there are classes.
    """

    outputs: int
    classes: int | None
    threshold: float = 0.0
    fits: bool = True
    ordered: bool = False

    def judged(self, targets: Tensor) -> LogitsTask:
        """Return the task as the targets of a first batch show it.

        Numbers name classes if each row is one label or a distribution over the classes; those of
        several labels, or of pixels, do not.
        """
        are_labels = _are_levels if self.ordered else _are_labels
        named = not targets.is_floating_point() or are_labels(targets)
        return self if named else replace(self, classes=None)

    def labels(self, targets: Tensor) -> Tensor:
        """Class index (…, B) of targets (…, B) or (…, B, K)."""
        if not targets.is_floating_point():
            return targets
        if self.ordered:
            return (targets >= 0.5).sum(-1)
        return targets[..., 0] >= 0.5 if self.outputs == 1 else targets.argmax(-1)

    def decide(self, logits: Tensor, head: Head | None) -> Tensor:
        """Predicted class index (…, B); without a head, by z ≥ 0 or the largest logit."""
        if head is not None:
            return head.decide(logits)
        return logits[..., 0] >= self.threshold if self.outputs == 1 else logits.argmax(-1)


def _are_labels(targets: Tensor) -> bool:
    """Tell if float targets (B, K) are one label a row."""
    if targets.shape[-1] == 1:
        far = (targets - 0.5).abs()
        return bool(((far >= SURE) & (far <= 0.5)).all())
    sums = targets.sum(-1)
    return bool(((targets >= 0).all(-1) & ((sums - 1).abs() <= TOLERANCE)).all())


def _are_levels(targets: Tensor) -> bool:
    """Tell if float targets (B, K − 1) are levels of ordered classes."""
    inside = (targets >= 0) & (targets <= 1)
    return bool(inside.all() and (targets.diff() <= TOLERANCE).all())


class LossLayout(NamedTuple):
    """Reading of the outputs by a loss.

    axis: of the classes; None if the loss does not tell it.
    ignored: class number that it leaves out.
    of_probabilities: True if the outputs are those of a sigmoid or softmax, and the loss applies
        none.
    """

    axis: int | None = None
    ignored: int = IGNORED
    of_probabilities: bool = False


def loss_layout(logits: Tensor, loss: Tensor | None) -> LossLayout:
    """Find out from the graph of a loss how it reads the outputs."""
    axis, ignored, applied = None, IGNORED, False
    top: Any = logits.grad_fn
    while top is not None and operation(type(top).__name__) in SHAPES:
        top = top.next_functions[0][0]
    nodes: list[Any] = [loss.grad_fn] if loss is not None and loss.grad_fn is not None else []
    for node in nodes:
        if node is top:
            continue
        name = operation(type(node).__name__)
        applied |= name in OF_LOGITS
        if hasattr(node, "_saved_ignore_index"):
            ignored = _signed(node._saved_ignore_index)
        if name in ("softmax", "log_softmax"):
            result = saved(node, "result")  # None after a backward pass
            if result is not None and result.shape == logits.shape:
                axis = _signed(node._saved_dim) % logits.dim()
        below = (one for one, _ in node.next_functions if one is not None and one not in nodes)
        nodes += list(below)[: MOST_NODES - len(nodes)]
    ends = top in nodes and operation(type(top).__name__) in ("sigmoid", "softmax")
    return LossLayout(axis, ignored, ends and not applied)


def _signed(number: int) -> int:
    """Return a number that autograd may give as its remainder modulo 2⁶⁴."""
    return number - (1 << 64) if number >= 1 << 63 else number


class Batch:
    """Batch with one row per example, for any number of axes.

    Targets are class indices if they are integers, or one-hot if the head predicts probabilities;
    else they are regression targets. Outputs of four axes or more are images (B, K, H, W), of
    three (B, T, K) or as the targets and the loss show.

    Args:
        logits: (B, …, K) or (B, K, …), or (B,) of a single output.
        targets: class indices (B, …), or one-hot, probabilities or numbers as the logits.
        head: None if unknown.
        layout: of the loss.

    Attributes:
        task: of the logits.
        examples: number of examples, including those that are not measured, without those whose
            class number is ignored.

    Raises:
        InputError: the shapes do not fit, of logits of at most two axes, and are not broadcast.
    """

    def __init__(
        self, logits: Tensor, targets: Tensor, head: Head | None, layout: LossLayout
    ) -> None:
        whole = not targets.is_floating_point()
        self.task, self._axis, self._rows, one_hot, self._every = _arranged(
            logits.shape, targets.shape, whole, head, layout.axis
        )
        if layout.of_probabilities:
            self.task = replace(self.task, threshold=0.5)
        self._there: Tensor | None = None
        self.examples = self._rows
        targets = targets.detach()
        if not self.task.fits:
            targets = targets.new_zeros(self._rows)
        else:
            if targets.dim() == logits.dim():
                targets = self._outputs_last(targets)
            if one_hot:  # or several labels
                targets, whole = targets.float(), False
            width = () if whole else (targets.numel() // self._rows,)
            targets = targets.reshape(self._rows, *width)
            if whole and self.task.outputs > 1:
                self._leave_out(targets, layout.ignored)
        self.targets = self._measured(targets).clone()
        self.logits = self.of_logits(logits)

    def _leave_out(self, targets: Tensor, ignored: int) -> None:
        """Note the examples that count, if the class number of any is ignored or impossible."""
        assert self.task.classes is not None
        last = self.task.classes - 1
        if not 0 <= ignored <= last:
            low, high = map(int, targets.aminmax())
            if low >= 0 and high <= last:
                return
        there = (targets != ignored) & (targets >= 0) & (targets <= last)
        count = int(there.sum())
        if 0 < count < self._rows:
            self._there, self.examples = there, count

    def _outputs_last(self, values: Tensor) -> Tensor:
        return values if self._axis >= values.dim() - 1 else values.movedim(self._axis, -1)

    def _measured(self, rows: Tensor) -> Tensor:
        there = rows if self._there is None else rows[self._there]
        return there if self._every == 1 else there[:: self._every]

    def of_logits(self, values: Tensor) -> Tensor:
        """Copy values with the shape of the logits, one row per measured example."""
        values = values.detach()
        rows = self._outputs_last(values).reshape(self._rows, self.task.outputs)
        rows = self._measured(rows)
        wide = torch.float64 if values.dtype == torch.float64 else torch.float32
        return rows.to(wide, copy=True)


class _Arranged(NamedTuple):
    """Task, axis of the outputs, number of rows, whether targets are one-hot, measured stride."""

    task: LogitsTask
    axis: int
    rows: int
    one_hot: bool
    every: int


@lru_cache(maxsize=64)
def _arranged(
    logits: torch.Size, targets: torch.Size, whole: bool, head: Head | None, shown: int | None
) -> _Arranged:
    if len(logits) == 1:
        logits = torch.Size((*logits, 1))
    every = max(1, -(-logits.numel() // MOST_NUMBERS))
    last = len(logits) - 1
    axes = [1, last] if last > 2 else [last, 1] if last == 2 else [last]
    if shown is not None:
        axes.insert(0, shown)
    each = head.range.per_target if head is not None else 1
    probable = head is not None and head.range in (UNIT, OPEN_UNIT, SIMPLEX, LEVELS)
    ordered = head is not None and head.ordered
    named = (whole and each == 1) or probable
    for axis in axes if logits.numel() else ():
        outputs, leading = logits[axis], (*logits[:axis], *logits[axis + 1 :])
        alone = len(leading) if axis == last else axis
        one = (*leading[:alone], 1, *leading[alone:])
        wide = (*leading[:alone], outputs // each, *leading[alone:])
        if tuple(targets) in (wide, *([leading] if whole or outputs == 1 else [])) or (
            whole and last > 1 and tuple(targets) == one
        ):
            classes = outputs + 1 if ordered else max(2, outputs)
            task = LogitsTask(outputs, classes if named else None, ordered=ordered)
            one_hot = whole and outputs > 1 and tuple(targets) == wide
            return _Arranged(task, axis, logits.numel() // outputs, one_hot, every)
    # (B, 1) against (B, K) is broadcast, as of quantiles
    broadcast = len(targets) == len(logits) == 2 and 1 in (targets[1], logits[1])
    if not logits.numel() or (last < 2 and not (broadcast and targets[0] == logits[0])):
        raise InputError(
            f"targets of shape {tuple(targets)} do not fit logits of shape {tuple(logits)}; the "
            "last axis of the logits is that of the classes or outputs, and targets have the shape "
            "of the logits, or lack that axis and are class numbers: targets.long()."
        )
    axis = axes[0]
    rows = logits.numel() // logits[axis]
    return _Arranged(LogitsTask(logits[axis], None, fits=False), axis, rows, False, every)
