"""Nodes of torch's graph whose backward is a kernel's own gradient.

For kernels whose `losses` torch would differentiate less exactly. All derivatives beyond the
first are torch's, of the kernel's gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from mlr.objectives.kernels.kernel import Kernel

Gradients = tuple[None, Tensor | None, Tensor | None]
# the protocol of a Function's methods is torch's


def attached(kernel: Kernel, logits: Tensor, targets: Tensor) -> Tensor:
    """Losses (…) of logits and targets (…, K), with `kernel.gradient` for their derivative."""
    if is_functional() and not torch.compiler.is_compiling():
        losses: Tensor = _Transformed.apply(kernel, logits, targets)
    else:
        losses = _Attached.apply(kernel, logits, targets)
    return losses


class _Attached(Function):
    """The older protocol, which takes two thirds of the time, and which torch.compile traces."""

    @staticmethod
    def forward(ctx: Any, kernel: Kernel, logits: Tensor, targets: Tensor) -> Tensor:
        ctx.kernel = kernel
        ctx.save_for_backward(logits, targets)
        return kernel.losses(logits, targets)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        return _backward(ctx, grad)


class _Transformed(Function):
    """The newer protocol, for torch.func and forward mode."""

    generate_vmap_rule = True

    @staticmethod
    def forward(kernel: Kernel, logits: Tensor, targets: Tensor) -> Tensor:
        return kernel.losses(logits, targets)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.kernel, logits, targets = inputs
        ctx.save_for_backward(logits, targets)
        ctx.save_for_forward(logits, targets)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        return _backward(ctx, grad)

    @staticmethod
    def jvp(ctx: Any, _: None, d_logits: Tensor | None, d_targets: Tensor | None) -> Tensor:
        logits, targets = ctx.saved_tensors
        parts = []
        if d_logits is not None:
            parts.append((ctx.kernel.gradient(logits, targets) * d_logits).sum(-1))
        if d_targets is not None:
            parts.append((_gradient_of_targets(ctx.kernel, logits, targets) * d_targets).sum(-1))
        return torch.stack(parts).sum(0)


def _backward(ctx: Any, grad: Tensor) -> Gradients:
    logits, targets = ctx.saved_tensors
    weight = grad.unsqueeze(-1)
    to_logits = to_targets = None
    if ctx.needs_input_grad[1]:
        to_logits = weight * ctx.kernel.gradient(logits, targets)
    if ctx.needs_input_grad[2]:
        to_targets = weight * _gradient_of_targets(ctx.kernel, logits, targets)
    return None, to_logits, to_targets


def _gradient_of_targets(kernel: Kernel, logits: Tensor, targets: Tensor) -> Tensor:
    """dL/dt (…, K), by torch: the losses are smooth in t."""
    found: Tensor = torch.func.grad(lambda t: kernel.losses(logits, t).sum())(targets)
    return found


def is_functional() -> bool:
    """Tell if a transform of torch.func, or forward mode, is at work."""
    return (
        torch._C._are_functorch_transforms_active() or torch.autograd.forward_ad._current_level >= 0
    )
