"""Reductions: how the losses of a batch become one number.

| reduction | the number |
|---|---|
| none | L (…), one number an example |
| sum | Σ L |
| mean | Σ L / Σ weights, as torch's loss of the same pair has it |
| plain_mean | Σ L / the number of examples that have a label |
"""

from __future__ import annotations

from torch import Tensor

from mlr.core.checks import InputError

REDUCTIONS = ("none", "mean", "plain_mean", "sum")


def labelled(like: Tensor, ignored: Tensor | None) -> Tensor | int:
    """Count the examples with a label among those of a tensor (…), at least 1."""
    return max(like.numel(), 1) if ignored is None else (~ignored).sum().clamp(min=1)


def total_weight(
    like: Tensor, ignored: Tensor | None, weights: list[Tensor], each: Tensor | float
) -> Tensor | float:
    """`each` times the sum, over the examples with a label, of the products of their weights.

    Args:
        like: a tensor (…) of one number an example.
        ignored: True where there is no label (…), or None.
        weights: of the examples, each (…); without any each example counts 1.
        each: of the outputs of an example.
    """
    if not weights:
        return each * (like.numel() if ignored is None else (~ignored).sum())
    product = weights[0]
    for weight in weights[1:]:
        product = product * weight
    return each * (product if ignored is None else product.masked_fill(ignored, 0.0)).sum()


def checked_sample_weight(weight: Tensor | None, like: Tensor) -> Tensor | None:
    """Return the weights of the examples (…) in the type of a tensor (…).

    Raises:
        InputError: the shapes differ.
    """
    if weight is None:
        return None
    if weight.shape != like.shape:
        raise InputError(
            f"sample_weight of shape {tuple(weight.shape)} must have one number for each example, "
            f"shape {tuple(like.shape)}; nothing is broadcast, expand it by weight.expand(…)."
        )
    return weight.to(like.dtype)
