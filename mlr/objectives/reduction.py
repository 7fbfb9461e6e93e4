"""Reductions: how the losses of a batch become one number.

| reduction | the number |
|---|---|
| none | L (…), one number an example |
| sum | Σ L |
| mean | Σ L / Σ weights, as torch's loss of the same pair has it |
| plain_mean | Σ L / the number of examples that have a label |
"""

from __future__ import annotations

from math import prod

from torch import Tensor

from mlr.core.checks import InputError
from mlr.objectives.targets import ReadTargets

REDUCTIONS = ("none", "mean", "plain_mean", "sum")


def labelled(batch: ReadTargets) -> Tensor | int:
    """Count the examples that have a label, at least 1."""
    count = batch.labelled
    return max(count, 1) if isinstance(count, int) else count.clamp(min=1)


def total_weight(batch: ReadTargets, weights: list[Tensor], each: Tensor | float) -> Tensor | float:
    """`each` times the sum, over the examples with a label, of the products of their weights.

    Args:
        batch: the examples.
        weights: of the examples, each (…); without any each example counts 1.
        each: of the outputs of an example.
    """
    if not weights:
        return each * batch.labelled
    product = prod(weights[1:], start=weights[0])
    if batch.has_label is not None:
        product = product.masked_fill(~batch.has_label, 0.0)
    return each * product.sum()


def divided(values: Tensor, total: Tensor | float, of_nothing: float) -> Tensor:
    """Values by a total weight; `of_nothing` where it is 0, which no gradient passes."""
    if not isinstance(total, Tensor):
        return values / total
    nothing = total == 0
    return (values / total.masked_fill(nothing, 1.0)).masked_fill(nothing, of_nothing)


def checked_sample_weight(weight: Tensor, like: Tensor) -> Tensor:
    """Return the weights of the examples (…) in the type of a tensor (…).

    Raises:
        InputError: the shapes differ.
    """
    if weight.shape != like.shape:
        raise InputError(
            f"sample_weight of shape {tuple(weight.shape)} must have one number for each example, "
            f"shape {tuple(like.shape)}; nothing is broadcast, expand it by weight.expand(…)."
        )
    return weight.to(like.dtype)
