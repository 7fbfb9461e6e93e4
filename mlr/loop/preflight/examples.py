"""Comparison of examples: columns that tell nothing, and examples that are there twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

MOST_COLUMNS = 4096
"""Columns above which they are not compared."""
FEW = 8
MOST_EXAMPLES = 1 << 17
"""Examples of a validation above which only the first are compared."""


@torch.no_grad()
def of_columns(inputs: Sequence[Tensor]) -> dict[str, Any]:
    """Count the columns of real inputs (B, D) that are constant, and copies of others.

    A constant of the least value of all is left out: the background of an image, words that do not
    occur. Both are counted if most columns are.
    """
    found: dict[str, Any] = {}
    for one in inputs[:1]:
        if not one.is_floating_point() or one.is_meta or len(one) < 2 or not one.numel():
            return found
        rows = one.flatten(1) if one.dim() > 1 else one[:, None]
        found["same_inputs"] = torch.equal(rows[0], rows[-1]) and bool((rows == rows[:1]).all())
        if one.dim() != 2 or not 1 < one.shape[1] <= MOST_COLUMNS:
            return found
        low, high = rows[:FEW].aminmax(dim=0)
        if not bool(low.isfinite().all()):
            return found
        if 2 * int((low == high).sum()) >= one.shape[1]:
            low, high = rows.aminmax(dim=0)
        constant = low == high
        count = int((constant & (low != low.min()) & (low != 0)).sum())
        found["columns"] = one.shape[1]
        found["constant_columns"] = count if 2 * count >= one.shape[1] else 0
        for some in (rows[:FEW], rows):  # most are told apart by a few examples
            live = some[:, ~constant].T
            repeated = len(live) - len(set(_keys(live)))
            found["repeated_columns"] = repeated if 2 * repeated >= len(live) else 0
            if not found["repeated_columns"]:
                break
    return found


@torch.no_grad()
def of_validation(inputs: Sequence[Tensor], others: Sequence[Tensor]) -> dict[str, Any]:
    """Count the validation examples that are in the batch too, by all their inputs.

    Args:
        inputs: of the batch.
        others: the same of the validation.
    """
    own, theirs = (_examples(one) for one in (inputs, others))
    batch = set(own)
    return {
        "validation_examples": len(theirs),
        "shared_examples": sum(one in batch for one in theirs),
        "batch_examples": len(own),
        "distinct_examples": len(batch),
    }


def _examples(inputs: Sequence[Tensor]) -> list[bytes]:
    count = min((len(one) for one in inputs if one.dim()), default=0)
    several = [_keys(one[: min(count, MOST_EXAMPLES)]) for one in inputs if one.dim()]
    return [b"".join(parts) for parts in zip(*several, strict=True)]


def _keys(rows: Tensor) -> list[bytes]:
    """Return the bytes of each row, of equal numbers of any type the same."""
    kind = torch.float64 if rows.is_floating_point() else torch.int64
    wide = rows.detach().to("cpu", kind)
    return [row.tobytes() for row in wide.flatten(min(1, wide.dim() - 1)).numpy()]
