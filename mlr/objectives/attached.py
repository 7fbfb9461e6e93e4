"""The nodes that losses and dL/dz are in a graph of torch: eager, transformed, compiled.

Arguments of every one: the formula, whether float64 is computed in pairs, logits, targets.
What looks at values happens in `forward`, which sees plain tensors even under `torch.func`:
the vmap rules put the mapped axis in front, where formulas take any.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from mlr.objectives.evaluate import both, exactly, gradient_of, losses_of, plain
from mlr.objectives.formula import Formula

Gradients = tuple[None, None, Tensor | None, Tensor | None]
# what the methods of a Function are is torch's to say
# ruff: noqa: D102


class Eager(Function):
    """dL/dz is computed along with the losses, and only multiplied in the backward pass.

    A Function that keeps to the older protocol takes two thirds of the time of the newer one.
    """

    @staticmethod
    def forward(
        ctx: Any,
        formula: Formula,
        precise: bool,
        logits: Tensor,
        targets: Tensor,
        hard: bool,
        classes: Tensor | None,
    ) -> Tensor:
        losses, ctx.slopes = both(formula, logits, targets, precise, hard, classes)
        ctx.formula, ctx.precise = formula, precise
        ctx.save_for_backward(logits, targets)
        ctx.save_for_forward(logits, targets)
        return losses

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        if ctx.needs_input_grad[3] or torch.is_grad_enabled():
            return (*_backward(ctx, grad), None, None)
        return None, None, ctx.slopes * grad.unsqueeze(-1), None, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        return _jvp(ctx, *tangents[2:4])


class Compiled(Function):
    """For torch.compile, which traces no Function that defines forward mode: no look at values."""

    @staticmethod
    def forward(formula: Formula, precise: bool, logits: Tensor, targets: Tensor) -> Tensor:
        return plain(formula, losses_of, logits, targets, precise)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.formula, ctx.precise, logits, targets = inputs
        ctx.save_for_backward(logits, targets)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        logits, targets = ctx.saved_tensors
        weight = grad.unsqueeze(-1)
        to_logits = to_targets = None
        if ctx.needs_input_grad[2]:
            slopes = plain(ctx.formula, gradient_of, logits, targets, ctx.precise)
            to_logits = weight * slopes
        if ctx.needs_input_grad[3]:
            to_targets = weight * _gradient_of_targets(ctx, logits, targets)
        return None, None, to_logits, to_targets


class Transformed(Function):
    """For torch.func."""

    @staticmethod
    def forward(formula: Formula, precise: bool, logits: Tensor, targets: Tensor) -> Tensor:
        return exactly(formula, losses_of, logits, targets, precise)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.formula, ctx.precise, logits, targets = inputs
        ctx.save_for_backward(logits, targets)
        ctx.save_for_forward(logits, targets)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        return _backward(ctx, grad)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        return _jvp(ctx, *tangents[2:4])

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> tuple[Tensor, int]:
        return Transformed.apply(*_in_front(info, in_dims, inputs)), 0


class Gradient(Function):
    """dL/dz itself, whose derivatives are those of the formula."""

    @staticmethod
    def forward(formula: Formula, precise: bool, logits: Tensor, targets: Tensor) -> Tensor:
        return exactly(formula, gradient_of, logits, targets, precise)

    setup_context = Transformed.setup_context

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        pull = torch.func.vjp(_slopes(ctx), *ctx.saved_tensors)[1]
        return None, None, *pull(grad)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        moved = tuple(
            torch.zeros_like(primal) if tangent is None else tangent
            for primal, tangent in zip(ctx.saved_tensors, tangents[2:4], strict=True)
        )
        tangent: Tensor = torch.func.jvp(_slopes(ctx), ctx.saved_tensors, moved)[1]
        return tangent

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> tuple[Tensor, int]:
        return Gradient.apply(*_in_front(info, in_dims, inputs)), 0


def _backward(ctx: Any, grad: Tensor) -> Gradients:
    logits, targets = ctx.saved_tensors
    weight = grad.unsqueeze(-1)
    to_logits = to_targets = None
    if ctx.needs_input_grad[2]:
        to_logits = weight * Gradient.apply(ctx.formula, ctx.precise, logits, targets)
    if ctx.needs_input_grad[3]:
        to_targets = weight * _gradient_of_targets(ctx, logits, targets)
    return None, None, to_logits, to_targets


def _jvp(ctx: Any, d_logits: Tensor | None, d_targets: Tensor | None) -> Tensor:
    logits, targets = ctx.saved_tensors
    parts = []
    if d_logits is not None:
        slopes = Gradient.apply(ctx.formula, ctx.precise, logits, targets)
        parts.append((slopes * d_logits).sum(-1))
    if d_targets is not None:
        parts.append((_gradient_of_targets(ctx, logits, targets) * d_targets).sum(-1))
    return torch.stack(parts).sum(0)


def _gradient_of_targets(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
    """dL/dt (…, K); the losses are smooth in t, so their own graph is as good as a formula."""

    def whole(t: Tensor) -> Tensor:
        return plain(ctx.formula, losses_of, logits, t, ctx.precise).sum()

    return torch.func.grad(whole)(targets)


def _slopes(ctx: Any) -> Any:
    return lambda z, t: plain(ctx.formula, gradient_of, z, t, ctx.precise)


def _in_front(info: Any, in_dims: tuple[Any, ...], inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The inputs, tensors with the mapped axis first."""
    moved = (
        x.expand(info.batch_size, *x.shape) if dim is None else x.movedim(dim, 0)
        for x, dim in zip(inputs[2:], in_dims[2:], strict=True)
    )
    return (*inputs[:2], *moved)
