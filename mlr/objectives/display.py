"""Objectives as notebooks display them: the curves of the loss and its gradient."""

from __future__ import annotations

from html import escape
from io import StringIO
from typing import NamedTuple

import torch
from torch import Tensor

from mlr.heads.base import Head
from mlr.losses.base import Loss
from mlr.objectives.kernels.kernel import Kernel

REACH = 6.0
"""Largest |z| that is drawn."""


class PairCurve(NamedTuple):
    """Loss and dL/dz (N,) of the first output against its logit (N,); the others have logit 0."""

    target: int
    logits: Tensor
    losses: Tensor
    gradient: Tensor


def curves(head: Head, kernel: Kernel, outputs: int | None = None) -> list[PairCurve]:
    """Compute the curves of an example whose first target is 1, and of one where it is 0."""
    count = head.range.per_target
    outputs = outputs or max(head.range.least_outputs, count)
    z = torch.zeros(601, outputs, dtype=torch.float64)
    z[:, 0] = torch.arange(-300, 301, dtype=z.dtype) * (REACH / 300)
    found = []
    for target in (1, 0):
        t = torch.zeros(601, outputs // count, dtype=torch.float64)
        # of several outputs another is the class
        t[:, 0 if target else -1] = float(target or (t.shape[-1] > 1 and not head.ordered))
        losses, gradient = kernel.losses(z, t), kernel.gradient(z, t)
        found.append(PairCurve(target, z[:, 0], losses, gradient[:, 0]))
    return found


def html(head: Head, loss: Loss, kernel: Kernel, outputs: int | None = None) -> str:
    """Return a heading and a drawing (SVG) of the loss and dL/dz."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 2.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for curve in curves(head, kernel, outputs):
        style = "-" if curve.target else "--"
        left.plot(curve.logits, curve.losses, style, label=f"target {curve.target}")
        right.plot(curve.logits, curve.gradient, style)
    left.set(xlabel="logit z", ylabel="loss")
    right.set(xlabel="logit z", ylabel="dL/dz")
    left.legend()
    text = StringIO()
    figure.savefig(text, format="svg")
    drawing = text.getvalue()
    title = escape(f"head={head.name} loss={loss.name}")
    return f"<div><b>{title}</b><br>{drawing[drawing.index('<svg') :]}</div>"
