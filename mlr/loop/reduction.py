"""Reduction of a loss over a batch, as its value or its graph shows it."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, prod
from typing import Any, Literal

from torch import Tensor
from torch.nn import functional as F

from mlr.loop.batch import Batch
from mlr.loop.evidence import recomputed
from mlr.loop.evidence.graph import LOSSES, SHAPES, operation, saved
from mlr.loop.layout import cross_entropy_node, signed

Reduction = Literal["mean", "elements", "rows", "weights", "sum"]
"""Mean over examples; over all outputs of all examples; over the first axis of a sum; weighted mean
over examples; sum."""
Divisors = tuple[float | Tensor, float | Tensor]
"""Divisors of the loss of one row of outputs, and of one along the first axis."""
MEAN, SUM = 1, 2
"""Numbers of the reductions in torch's own nodes."""
SUMMED = (1.0, 0.5)
"""Factors of a sum that is no mean."""


def reduction_of(
    logits: Tensor,
    targets: Tensor,
    loss: Tensor | None,
    times: float | Tensor,
    told: Reduction,
    batch: Batch,
    forms: Mapping[str, str],
) -> Reduction:
    """Find out how a loss is reduced; what neither its value nor its graph shows is as told.

    Args:
        logits: z of the batch.
        targets: that it is compared with.
        loss: of the batch (); None if unknown.
        times: factor that undoes what the loss was scaled by.
        told: reduction that the user gave.
        batch: of them.
        forms: candidates that are known to have the value; empty if they are to be computed.
    """
    if loss is None:
        return told
    value = loss.detach() * times
    for name, how in (forms or recomputed.forms(logits, targets, value)).items():
        cost = name.removeprefix(recomputed.NEGATIVE).rpartition("+")[2]
        if name.startswith(recomputed.BROADCAST) or how == recomputed.ROOT:
            continue
        if how == "sum":
            return "sum"
        if cost in recomputed.OF_NUMBERS:
            return "elements" if how == "mean" else "rows"
        if cost in recomputed.OF_CLASSES:
            return "mean"
    return _of_cross_entropy(logits, loss, value, batch) or _by_graph(logits, loss, told, batch)


def _of_cross_entropy(
    logits: Tensor, loss: Tensor, value: Tensor, batch: Batch
) -> Reduction | None:
    """Compute a weighted, smoothed cross-entropy again, by what its node keeps."""
    node, readers = cross_entropy_node(logits, loss)
    read, labels = saved(node, "self"), saved(node, "target")
    if node is None or read is None or labels is None or read.dim() < 2:
        return None
    if read.numel() > recomputed.MOST:  # copies in float64 would not fit next to a large batch
        return None
    weight, ignored = saved(node, "weight"), signed(node._saved_ignore_index)
    z, w = read.detach().double(), weight if weight is None else weight.double()
    there = labels != ignored
    plain = F.nll_loss(z, labels, w, ignore_index=ignored, reduction="none")[there].sum()
    every = -(z if w is None else z * w.view(-1, *[1] * (z.dim() - 2))).mean(1)[there].sum()
    smooth = 0.0
    for reader in readers:
        given = getattr(reader, "_saved_other", None)
        if operation(type(reader).__name__) == "mul" and isinstance(given, float) and 0 < given < 1:
            smooth = 1 - given
    total = float((1 - smooth) * plain + smooth * every)
    count = int(there.sum())
    heavy = count if w is None else float(w[labels[there]].sum())
    divisors: list[tuple[Reduction, float]] = [("mean", count), ("weights", heavy)]
    divisors += [("sum", 1), ("rows", batch.length)]
    for how, divisor in divisors:
        if divisor and abs(total / divisor - float(value)) <= recomputed.CLOSE * abs(float(value)):
            return how
    return None


def _by_graph(logits: Tensor, loss: Tensor, told: Reduction, batch: Batch) -> Reduction:
    """Read the reduction off the last operations, if these are a mean or a sum of single losses."""
    node: Any = loss.grad_fn
    name = operation(type(node).__name__)
    if name in LOSSES and hasattr(node, "_saved_reduction"):
        if node._saved_reduction == SUM:
            return "sum"
        given = getattr(node, "_saved_self", None)
        whole = given is not None and given.numel() == logits.numel()
        return "elements" if name != "nll" and node._saved_reduction == MEAN and whole else told
    factor = 1.0
    while name in SHAPES or name in ("neg", "mul", "div"):
        if name in ("mul", "div"):
            other = getattr(node, "_saved_other", None)
            number = float(other) if other is not None and _is_constant(other) else 0.0
            if not number or not isfinite(number):
                return told
            factor *= number if name == "mul" else 1 / number
        node = next((one for one, _ in node.next_functions if one is not None), None)
        name = operation(type(node).__name__)
    if name not in ("mean", "sum") or not hasattr(node, "_saved_self_sym_sizes"):
        return told
    if hasattr(node, "_saved_dim"):  # of one axis: no sum over all
        return told
    size = prod(node._saved_self_sym_sizes)
    rows, each = batch.examples, batch.examples * batch.task.outputs
    sizes: dict[int, Reduction] = {batch.length: "rows", each: "elements", rows: "mean"}
    if size not in sizes:
        return told
    if name == "mean":
        return sizes[size]
    if abs(factor) in SUMMED and 1 / abs(factor) not in sizes:
        return "sum"
    return sizes.get(round(1 / abs(factor)), told)


def _is_constant(value: Any) -> bool:
    return not isinstance(value, Tensor) or (value.numel() == 1 and not value.requires_grad)


def divisors(reduction: Reduction, batch: Batch, weight: float | Tensor) -> Divisors:
    """Return the divisors of a loss of one row of outputs, and of one along the first axis.

    Args:
        reduction: of the loss.
        batch: with the rows.
        weight: sum of the weights of the examples, of a weighted mean.
    """
    length = batch.length
    if reduction == "sum":
        return 1, 1
    if reduction == "rows":
        return length, length
    if reduction == "weights":
        return weight, weight * length / batch.examples
    each = batch.task.outputs if reduction == "elements" else 1
    return batch.examples * each, length * each
