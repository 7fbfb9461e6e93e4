"""Reduction of a loss over a batch, as its value or its graph shows it."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor

from mlr.loop.batch import Batch
from mlr.loop.evidence import recomputed
from mlr.loop.evidence.graph import LOSSES, operation

Reduction = Literal["mean", "elements", "rows", "sum"]
"""Mean over examples; over all outputs of all examples; over the first axis of a sum; sum."""
MEAN, SUM = 1, 2
"""Numbers of the reductions in torch's own nodes."""


def reduction_of(
    logits: Tensor, targets: Tensor, loss: Tensor | None, times: float | Tensor, told: Reduction
) -> Reduction:
    """Find out how a loss is reduced; what neither its value nor its graph shows is as told.

    Args:
        logits: z of the batch.
        targets: as the user gave them.
        loss: of the batch (); None if unknown.
        times: factor that undoes what the loss was scaled by.
        told: reduction that the user gave.
    """
    if loss is None:
        return told
    for name, how in recomputed.forms(logits, targets, loss.detach() * times).items():
        cost = name.removeprefix(recomputed.NEGATIVE).rpartition("+")[2]
        if name.startswith(recomputed.BROADCAST) or how == recomputed.ROOT:
            continue
        if how == "sum":
            return "sum"
        if cost in recomputed.OF_NUMBERS:
            return "elements" if how == "mean" else "rows"
        if cost in recomputed.OF_CLASSES:
            return "mean"
    return _by_graph(logits, loss.grad_fn, told)


def _by_graph(logits: Tensor, node: Any, told: Reduction) -> Reduction:
    """Read the reduction off the last operation, if that is one of torch's losses."""
    name = operation(type(node).__name__)
    if name not in LOSSES or not hasattr(node, "_saved_reduction"):
        return told
    if node._saved_reduction == SUM:
        return "sum"
    given = getattr(node, "_saved_self", None)
    whole = given is not None and given.numel() == logits.numel()
    return "elements" if name != "nll" and node._saved_reduction == MEAN and whole else told


def divisors(reduction: Reduction, batch: Batch, length: int) -> tuple[int, int]:
    """Return the divisors of a loss of one row of outputs, and of one along the first axis.

    Args:
        reduction: of the loss.
        batch: with the rows.
        length: of the first axis.
    """
    if reduction == "sum":
        return 1, 1
    if reduction == "rows":
        return length, length
    each = batch.task.outputs if reduction == "elements" else 1
    return batch.examples * each, length * each
