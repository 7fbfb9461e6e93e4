"""Objectives as notebooks display them: the curves of the loss and its gradient."""

from __future__ import annotations

from html import escape
from io import StringIO
from typing import NamedTuple

import torch
from torch import Tensor

from mlr.core.domains import OPEN_UNIT, POSITIVE, REALS, Distributions
from mlr.heads.base import Head
from mlr.losses.base import Loss
from mlr.objectives.kernels.kernel import Kernel

REACH = 6.0
"""Largest |z| that is drawn."""


class PairCurve(NamedTuple):
    """Loss and dL/dz (N,) of the first output against its logit (N,); the others have logit 0."""

    target: float
    logits: Tensor
    losses: Tensor
    gradient: Tensor


def curves(head: Head, kernel: Kernel, outputs: int | None = None) -> list[PairCurve]:
    """Compute the curves of an example whose first target is 1, and of one where it is 0.

    Of densities that hold these for impossible, other targets: 2 and 1, or 0.75 and 0.25.
    """
    count = head.range.per_target
    outputs = outputs or max(head.range.least_outputs, count)
    z = torch.zeros(601, outputs, dtype=torch.float64)
    z[:, 0] = torch.arange(-300, 301, dtype=z.dtype) * (REACH / 300)
    found = []
    for target in targets_of(head):
        t = torch.zeros(601, outputs // count, dtype=torch.float64)
        if isinstance(head.range, Distributions):
            t[:] = target
        else:  # of several outputs another is the class
            t[:, 0 if target else -1] = float(target or (t.shape[-1] > 1 and not head.ordered))
        losses, gradient = kernel.losses(z, t), kernel.gradient(z, t)
        found.append(PairCurve(target, z[:, 0], losses, gradient[:, 0]))
    return found


def targets_of(head: Head) -> tuple[float, float]:
    """Return the targets of the two curves."""
    support = head.range.support if isinstance(head.range, Distributions) else REALS
    if support == OPEN_UNIT:
        return 0.75, 0.25
    return (2, 1) if support == POSITIVE else (1, 0)


def html(head: Head, loss: Loss, kernel: Kernel, outputs: int | None = None) -> str:
    """Return a heading and a drawing (SVG) of the loss and dL/dz."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 2.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for style, curve in zip(("-", "--"), curves(head, kernel, outputs), strict=True):
        left.plot(curve.logits, curve.losses, style, label=f"target {curve.target:g}")
        right.plot(curve.logits, curve.gradient, style)
    left.set(xlabel="logit z", ylabel="loss")
    right.set(xlabel="logit z", ylabel="dL/dz")
    left.legend()
    text = StringIO()
    figure.savefig(text, format="svg")
    drawing = text.getvalue()
    title = escape(f"head={head.name} loss={loss.name}")
    return f"<div><b>{title}</b><br>{drawing[drawing.index('<svg') :]}</div>"
