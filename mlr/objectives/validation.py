"""Refuse misuse of an objective: name the values found, and what is needed."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from mlr.core.checks import InputError, users_stacklevel
from mlr.core.domains import Interval, Levels, Region
from mlr.heads.base import Head
from mlr.losses.base import Loss

FEWEST = 32
"""Fewer numbers in [0, 1] may well be logits."""


def target_region(head: Head, loss: Loss) -> Region:
    """Return the region in which targets must lie."""
    return head.range.closure() if loss.matches_head else loss.target_domain


def check_shapes(logits: Tensor, targets: Tensor, per_target: int = 1) -> None:
    """Refuse shapes and types that do not fit; reads values only to name a class index.

    Args:
        logits: z (…, per_target · K).
        targets: t (…, K).
        per_target: how many logits there are for each target.

    Raises:
        InputError: see the sentences.
    """
    if logits.dim() == 0:
        raise InputError("logits of shape () have no output axis; use shape (…, K).")
    if not targets.is_floating_point() and targets.shape == logits.shape[:-1]:
        raise InputError(_indices(logits, targets))
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
    one_hot = "Use one-hot targets (…, K), or (…, 1) for one output."
    if per_target > 1:
        return (
            f"the shapes must be (…, {per_target}K) and (…, K), {per_target} logits for each "
            "target; nothing is broadcast."
        )
    if targets.shape == logits.shape[:-1]:
        last = "1" if logits.shape[-1] == 1 else "K"
        return (
            f"the output axis is missing, (…) against (…, {last}); nothing is broadcast. {one_hot}"
        )
    if targets.dim() == logits.dim() and targets.shape[:-1] == logits.shape[:-1]:
        return f"K = {targets.shape[-1]} against K = {logits.shape[-1]} outputs. {one_hot}"
    return f"the shapes must be equal, nothing is broadcast. {one_hot}"


def _indices(logits: Tensor, targets: Tensor) -> str:
    """Return the advice about class indices (…)."""
    outputs = logits.shape[-1]
    found = f"targets of type {targets.dtype} and shape {tuple(targets.shape)} are class indices"
    if outputs == 1:
        return f"{found}, but one output needs shape (…, 1): targets[..., None].to(logits.dtype)."
    lost = targets[(targets < 0) | (targets >= outputs)] if targets.is_cpu else targets[:0]
    value = f", among them {lost[0].item()} for {outputs} outputs" if len(lost) else ""
    label = _kind_of_label(float(lost[0])) if len(lost) else ""
    return (
        f"{found}{value}, but one-hot targets (…, {outputs}) are needed: "
        f"torch.nn.functional.one_hot(targets, {outputs}).to(logits.dtype).{label}"
    )


def _kind_of_label(value: float) -> str:
    if value in (-100, 255, -1):
        return f" {value:g} marks examples without a label: leave them out."
    if value > 1 and value == int(value):
        return " For class indices use torch.nn.functional.one_hot(labels, K).to(logits.dtype)."
    return ""
