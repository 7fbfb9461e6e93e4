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
    inside, best = _inside(formula, z), formula.accurate or formula
    wide, targets = z.to(inside), t.to(inside)
    found = part(best)(wide, targets)
    hard = _hard_rows(t)
    if formula.doubtful is not None and formula.precise is not None:
        slopes = found if part is gradient_of else best.gradient(wide, targets)
        doubtful = formula.doubtful(wide, targets, slopes).any(-1)
        found = _again(formula, part, wide, targets, doubtful & ~hard, found)
    found = found.to(z.dtype)
    if formula.quick is not None and z.dtype == torch.float32:
        losses, slopes = formula.quick(z, t)
        rows = hard & (z.abs() < QUICK_LOGITS).all(-1)
        if part is gradient_of:
            return torch.where(rows.unsqueeze(-1), slopes, found)
        return torch.where(rows, losses.to(z.dtype), found)
    return found


def both(
    formula: Formula, z: Tensor, t: Tensor, precise: bool, hard: bool
) -> tuple[Tensor, Tensor]:
    """Losses and dL/dz in one pass where the formula has one; `hard`: all targets are 0 or 1."""
    if hard and formula.quick is not None and z.dtype == torch.float32 and _within(z):
        losses, gradient = formula.quick(z, t)
    elif formula.both is not None and z.dtype != torch.float64 and (hard or not formula.doubtful):
        inside = _inside(formula, z)
        losses, gradient = formula.both(z.to(inside), t.to(inside))
    else:
        return (
            exactly(formula, losses_of, z, t, precise),
            exactly(formula, gradient_of, z, t, precise),
        )
    return losses.to(z.dtype), gradient.to(z.dtype)


def _within(z: Tensor) -> bool:
    """Whether all logits are such as `quick` takes."""
    low, high = torch.aminmax(z)
    return -QUICK_LOGITS < low.item() and high.item() < QUICK_LOGITS


def _inside(formula: Formula, z: Tensor) -> torch.dtype:
    """The type that `formula` computes logits in."""
    if z.dtype == torch.float64:
        return torch.float64
    wide = formula.wide and z.device.type != "mps"  # which has no float64
    return torch.float64 if wide else torch.float32


def _hard_rows(t: Tensor) -> Tensor:
    """Which examples have no target but 0 and 1 (…)."""
    return (t * t == t).all(-1)


def _in_pairs(formula: Formula, part: Part, z: Tensor, t: Tensor) -> Tensor:
    """Float64; infinite numbers and NaN, which have no rest, without pairs."""
    assert formula.precise is not None
    finite = (z - z == 0).all(-1) & (t - t == 0).all(-1)
    if finite.all():
        return part(formula.precise)(z, t)
    rough = part(formula.accurate or formula)(z, t)
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
