"""A formula's losses and dL/dz to 2 ulp of whatever type the logits have.

float32 and half precision are computed in float64 and rounded once, float64 in pairs of
float64. `plain` branches on no value, for torch.compile and for being differentiated; `exactly`
looks at values: rows whose terms cancel are computed again in pairs, infinite ones without.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mlr.objectives.formula import QUICK_LOGITS, Formula

Part = Callable[[Formula], Callable[[Tensor, Tensor], Tensor]]

BEYOND = 1e250
"""Larger is what an infinite logit costs."""


def losses_of(formula: Formula) -> Callable[[Tensor, Tensor], Tensor]:
    """(z, t) → L."""
    return formula.losses


def gradient_of(formula: Formula) -> Callable[[Tensor, Tensor], Tensor]:
    """(z, t) → dL/dz."""
    return formula.gradient


def plain(formula: Formula, part: Part, z: Tensor, t: Tensor, precise: bool) -> Tensor:
    """Losses or dL/dz in the type of the logits, without a look at any value."""
    inside = _inside(formula, z)
    best = formula.accurate or formula
    if z.dtype == torch.float64 and precise:
        best = formula.precise or best
    return part(best)(z.to(inside), t.to(inside)).to(z.dtype)


def exactly(formula: Formula, part: Part, z: Tensor, t: Tensor, precise: bool) -> Tensor:
    """Losses or dL/dz in the type of the logits."""
    if not z.is_cpu:  # to look at a value would wait for the device
        return plain(formula, part, z, t, precise)
    if z.dtype == torch.float64:
        if formula.precise is None or not precise:
            return plain(formula, part, z, t, precise=False)
        return _in_pairs(formula, part, z, t)
    quick = _quick_rows(formula, z, t)
    if quick is None:
        return _accurately(formula, part, z, t)
    if quick.all():
        return _quickly(formula, z, t, None)[part is gradient_of]
    # each example as if it came alone
    found = _accurately(formula, part, z, t)
    rows = _quickly(formula, z[quick], t[quick], None)[part is gradient_of]
    return found.index_put((quick,), rows)


def both(
    formula: Formula, z: Tensor, t: Tensor, precise: bool, hard: bool, classes: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Losses and dL/dz, in one pass where the formula has a quick one.

    Args:
        formula: what is computed.
        z: logits (…, K).
        t: targets (…, K).
        precise: whether float64 is computed in pairs.
        hard: whether all targets are known to be 0 or 1, and one-hot where they must be.
        classes: where the 1 of one-hot targets is, if known.
    """
    can = formula.quick is not None and z.dtype == torch.float32 and z.is_cpu
    if can and (formula.always_quick or (hard and _within(z))):
        return _quickly(formula, z, t, classes)
    return (
        exactly(formula, losses_of, z, t, precise),
        exactly(formula, gradient_of, z, t, precise),
    )


def _quick_rows(formula: Formula, z: Tensor, t: Tensor) -> Tensor | None:
    """Which examples the quick form is for (…); None: for none."""
    if formula.quick is None or z.dtype != torch.float32:
        return None
    if formula.always_quick:
        return torch.ones(z.shape[:-1], dtype=torch.bool)
    rows = ((t * t == t) & (z.abs() < QUICK_LOGITS)).all(-1)
    if formula.one_hot:
        rows &= t.sum(-1) == 1
    return rows if rows.any() else None


def _quickly(
    formula: Formula, z: Tensor, t: Tensor, classes: Tensor | None
) -> tuple[Tensor, Tensor]:
    assert formula.quick is not None
    if formula.one_hot and classes is None:
        classes = t.argmax(-1, keepdim=True)
    losses, gradient = formula.quick(z, t, classes)
    return losses.to(z.dtype), gradient.to(z.dtype)


def _accurately(formula: Formula, part: Part, z: Tensor, t: Tensor) -> Tensor:
    """In float64, and what is doubtful in pairs; rounded once."""
    inside, best = _inside(formula, z), formula.accurate or formula
    wide, targets = z.to(inside), t.to(inside)
    found = part(best)(wide, targets)
    if formula.doubtful is not None and formula.precise is not None:
        slopes = found if part is gradient_of else best.gradient(wide, targets)
        rows = formula.doubtful(wide, targets, slopes).any(-1)
        found = _again(formula, part, wide, targets, rows, found)
    return found.to(z.dtype)


def _within(z: Tensor) -> bool:
    """Tell if all logits are such as `quick` takes."""
    low, high = torch.aminmax(z)
    return low.item() > -QUICK_LOGITS and high.item() < QUICK_LOGITS


def _inside(formula: Formula, z: Tensor) -> torch.dtype:
    """The type that `formula` computes logits in."""
    if z.dtype == torch.float64:
        return torch.float64
    wide = formula.wide and z.device.type != "mps"  # which has no float64
    return torch.float64 if wide else torch.float32


def _in_pairs(formula: Formula, part: Part, z: Tensor, t: Tensor) -> Tensor:
    """Float64; infinite numbers and NaN, which have no rest, without pairs."""
    assert formula.precise is not None
    finite = (z - z == 0).all(-1) & (t - t == 0).all(-1)
    if finite.all():
        return part(formula.precise)(z, t)
    rough = part(formula.accurate or formula)(z, t)
    # a masked class that is asked for
    rough = rough.masked_fill(rough > BEYOND, torch.inf)
    return _again(formula, part, z, t, finite, rough)


def _again(
    formula: Formula, part: Part, z: Tensor, t: Tensor, rows: Tensor, found: Tensor
) -> Tensor:
    """What was found, with these rows in pairs."""
    rows = rows & (z - z == 0).all(-1)
    if not rows.any():
        return found
    assert formula.precise is not None
    return found.index_put((rows,), part(formula.precise)(z[rows], t[rows]))
