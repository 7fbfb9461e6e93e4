"""Refuse misuse of an objective: name the values found, and what is needed."""

from __future__ import annotations

import warnings
from math import inf

import torch
from torch import Tensor

from mlr.core.checks import InputError, users_stacklevel
from mlr.core.domains import IGNORED, Distributions, Interval, Levels, Region
from mlr.heads import Beta, Gamma, Gaussian, Head, Poisson
from mlr.losses.base import Loss
from mlr.objectives.compatibility import target_region

NO_LABEL = (IGNORED, 255, -1)
"""Numbers that usually mark examples without a label."""
FEWEST = 32
"""Fewer numbers in [0, 1] may well be logits."""


def check_shapes(logits: Tensor, targets: Tensor, per_target: int = 1) -> None:
    """Refuse shapes and types of rows that do not fit.

    Args:
        logits: z (…, per_target · K).
        targets: t (…, K).
        per_target: how many logits there are for each target.

    Raises:
        InputError: see the sentences.
    """
    if logits.dim() == 0:
        raise InputError("logits of shape () have no output axis; use shape (…, K).")
    last = targets.shape[-1] * per_target if targets.dim() else 0
    if (*targets.shape[:-1], last) != tuple(logits.shape):
        raise InputError(
            f"targets of shape {tuple(targets.shape)} do not fit logits of shape "
            f"{tuple(logits.shape)}: {_what_differs(logits, targets, per_target)}"
        )
    if not (targets.is_floating_point() and logits.is_floating_point()):
        raise InputError(
            f"targets of type {targets.dtype} and logits of type {logits.dtype} must be "
            "floating point: one-hot or soft probabilities, as in targets.to(logits.dtype)."
        )


def check_targets(head: Head, loss: Loss, targets: Tensor) -> None:
    """Refuse targets (…, K) outside the loss's domain; NaN is none, and gives NaN.

    Raises:
        InputError: names the first value found outside, or the first sum that is not 1.
    """
    region, t = target_region(head, loss), targets.detach()
    home = region.entries
    if not isinstance(home, Interval):
        return
    if loss.of_head:
        _check_support(head, home, t)
        return
    low, high = (end.item() for end in torch.aminmax(t))
    if not (home.low <= low and high <= home.high):
        _refuse_outside(region, loss, t, (t < home.low) | (t > home.high))
    if region.least_outputs > 1 and t.shape[-1] > 1:
        off, sums = max(1e-3, 16 * torch.finfo(t.dtype).eps), t.sum(-1)
        low, high = (end.item() for end in torch.aminmax(sums))
        if not (1 - off <= low and high <= 1 + off):
            _refuse_sums(region, loss, t.shape[-1], sums[(sums - 1).abs() > off])
    if isinstance(region, Levels):
        _check_order(loss, t)


def _check_support(head: Head, home: Interval, targets: Tensor) -> None:
    """Refuse targets that the head's density holds for impossible, and name heads that do not."""
    outside = _outside(home, targets)
    if not outside.any():
        return
    able = [
        f"head={one.name}"
        for one in (Poisson, Beta, Gamma, Gaussian)
        if isinstance(one.range, Distributions) and not _outside(one.range.support, targets).any()
    ]
    raise InputError(
        f"targets hold {targets[outside][0].item():g}, but head={head.name} needs "
        f"{home.describe('targets')}. Use {able[0]}."
        if able
        else f"targets hold {targets[outside][0].item():g}, which no density holds for possible."
    )


def _outside(home: Interval, targets: Tensor) -> Tensor:
    """Tell which targets (…) do not lie in `home`; NaN does not count."""
    low, high = home.low, home.high
    outside = (targets < low) if home.includes_low else (targets <= low)
    outside |= (targets > high) if home.includes_high else (targets >= high)
    if high == inf:
        outside |= targets.isinf()
    return outside | (targets != targets.floor()) & ~targets.isnan() if home.whole else outside


def warn_of_probabilities(head: Head, logits: Tensor) -> bool:
    """Warn if all logits of a batch are probabilities: the head would be applied twice."""
    z = logits.detach()
    if z.numel() < FEWEST or not ((z >= 0) & (z <= 1)).all():
        return False
    if head.range.least_outputs > 1:
        off = (z.sum(-1) - 1).abs().max() > max(1e-4, 16 * torch.finfo(z.dtype).eps)
        kind = "are probabilities that sum to 1"
    else:  # small logits of one sign are usual at the start; probabilities lie on both sides of ½
        off = (z < 0.5).all() | (z > 0.5).all()
        kind = "lie in [0, 1]"
    if off:
        return False
    warnings.warn(
        f"all {z[..., 0].numel()} logits of this batch {kind}: are they predictions of "
        f"head={head.name} already? The objective applies the head itself; pass what goes into "
        "it. (Warned once.)",
        stacklevel=users_stacklevel(),
    )
    return True


def warn_of_one_example(logits: Tensor) -> bool:
    """Warn if logits (N,) may be a batch, but are taken as one example of N outputs."""
    if logits.dim() != 1 or len(logits) < FEWEST:
        return False
    count = len(logits)
    warnings.warn(
        f"logits of shape ({count},) are taken as one example with {count} outputs, whose losses "
        f"are added up. For {count} examples of one output use axis=None; outputs={count} says "
        "that it is meant. (Warned once.)",
        stacklevel=users_stacklevel(),
    )
    return True


def no_classes(loss: Loss, targets: Tensor) -> str:
    """Return the refusal of class numbers (…) where targets are real numbers."""
    return (
        f"targets of type {targets.dtype} are class numbers, but loss={loss.name} takes real "
        "numbers here, in the shape (…, K) of the outputs: targets[..., None].to(logits.dtype)."
    )


def no_numbers(ignore_index: int, targets: Tensor) -> str:
    """Return the refusal of an ignored class where targets are rows."""
    return (
        f"ignore_index={ignore_index} needs class numbers as targets, but these are of type "
        f"{targets.dtype}; give examples that are to be ignored a sample_weight of 0."
    )


def _refuse_outside(region: Region, loss: Loss, targets: Tensor, outside: Tensor) -> None:
    if outside.any():
        value = targets[outside][0].item()
        raise InputError(
            f"targets hold {value:g}, but loss={loss.name} needs {region.describe('targets')}."
            f"{_kind_of_label(value)}"
        )


def _refuse_sums(region: Region, loss: Loss, outputs: int, wrong: Tensor) -> None:
    if len(wrong):
        raise InputError(
            f"targets sum to {wrong[0].item():g} over the {outputs} outputs, but "
            f"loss={loss.name} needs {region.describe('targets')}. For several classes at "
            "once use head=sigmoid loss=bce."
        )


def _check_order(loss: Loss, levels: Tensor) -> None:
    rises = levels.diff() > max(1e-3, 16 * torch.finfo(levels.dtype).eps)
    if rises.any():
        low, high = (part[rises][0].item() for part in (levels[..., :-1], levels[..., 1:]))
        raise InputError(
            f"targets increase from {low:g} to {high:g} between two levels, but loss={loss.name} "
            "needs t_k = 1 where the class is k or above, else 0: head.encode(classes, K − 1)."
        )


def _what_differs(logits: Tensor, targets: Tensor, per_target: int) -> str:
    rows = "Use class numbers of shape (…), one-hot targets (…, K), or (…, 1) for one output."
    if per_target > 1:
        return (
            f"the shapes must be (…, {per_target}K) and (…, K), {per_target} logits for each "
            "target; nothing is broadcast."
        )
    if targets.shape == logits.shape[:-1]:
        one = logits.shape[-1] == 1
        remedy = "targets[..., None]" if one else "targets.long() if these are class numbers"
        return (
            f"the output axis is missing, (…) against (…, {1 if one else 'K'}); nothing is "
            f"broadcast. Use {remedy}."
        )
    if logits.dim() > 2 and targets.shape == (*logits.shape[:1], *logits.shape[2:]):
        return "these are class numbers of outputs along axis 1. Use axis=1."
    if targets.dim() == logits.dim() and targets.shape[:-1] == logits.shape[:-1]:
        return f"K = {targets.shape[-1]} against K = {logits.shape[-1]} outputs. {rows}"
    return f"the shapes must be equal, nothing is broadcast. {rows}"


def _kind_of_label(value: float) -> str:
    if value in NO_LABEL:
        return f" {value:g} marks examples without a label: leave them out."
    if value > 1 and value == int(value):
        return " Class numbers are of an integer type and of shape (…): labels.long()."
    return ""
