"""The objective: a head and a loss as one function of logits, with its exact gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mlr.checks import InputError
from mlr.heads.base import Head
from mlr.losses.base import Loss
from mlr.objectives.exact import EXACT
from mlr.objectives.formula import Formula
from mlr.objectives.matching import matching
from mlr.objectives.pairs import check_pair, find_head, find_loss


class Objective(torch.nn.Module):
    """Losses and closed-form dL/dz of logits (…, K) against targets (…, K) of equal shape.

    Any leading axes: (B, K), or (R, B, K) for R runs. Targets are one-hot or soft
    probabilities (real numbers for squared error). float32 and half precision are computed
    in float64 and rounded once, where that gains anything; float64 in pairs of float64,
    unless `precise=False`. No state and no branch on values: works under torch.func and
    torch.compile.

    Attributes:
        head: the head, logits → predictions.
        loss: the loss, predictions and targets → cost.
        formula: the two functions that are computed.
        exact: whether the formula is a fused one that cancels nothing; otherwise it is
            composed of head and loss by automatic differentiation.
    """

    def __init__(
        self,
        head: Head | str,
        loss: Loss | str,
        *,
        outputs: int | None = None,
        strict: bool = True,
        precise: bool = True,
    ) -> None:
        """Join `head` and `loss`, instances or names.

        Args:
            head: a head or the name of one.
            loss: a loss or the name of one.
            outputs: K, if it is known; logits of another width are then refused.
            strict: False lets pairs run that are defined but senseless.
            precise: False computes float64 as fast as float32, with errors of a few ulp of
                the largest term instead of the result.

        Raises:
            InputError: the pair is not legal, see `pairs.check_pair`.
        """
        super().__init__()
        self.head, self.loss = find_head(head), find_loss(loss)
        self.outputs, self.strict, self.precise = outputs, strict, precise
        check_pair(self.head, self.loss, outputs, strict)
        self._refused = [self._refuses(width) for width in (1, 2)]
        self.formula, self.exact = _formula(self.head, self.loss)

    def losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """L (…), one number an example, no reduction.

        Raises:
            InputError: shapes differ, targets are not floating, or K does not suit the pair.
        """
        formula, z, t = self._inside(logits, targets)
        return formula.losses(z, t).to(logits.dtype)

    def gradient(self, logits: Tensor, targets: Tensor) -> Tensor:
        """dL/dz (…, K), the gradient of each example's own loss.

        Raises:
            InputError: shapes differ, targets are not floating, or K does not suit the pair.
        """
        formula, z, t = self._inside(logits, targets)
        return formula.gradient(z, t).to(logits.dtype)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """L (…) with autograd attached: its backward is `gradient`.

        Raises:
            InputError: shapes differ, targets are not floating, or K does not suit the pair.
        """
        formula, z, t = self._inside(logits, targets)
        # torch.compile traces no Function that defines forward mode
        function = _Fused if torch.compiler.is_compiling() else _FusedBothModes
        fused: Tensor = function.apply(formula, z, t)
        return fused.to(logits.dtype)

    def extra_repr(self) -> str:
        """What torch prints between the brackets."""
        return f"head={self.head.name}, loss={self.loss.name}, exact={self.exact}"

    def _refuses(self, width: int) -> bool:
        """Whether logits of this width are illegal, found once and not at every step."""
        try:
            check_pair(self.head, self.loss, width, self.strict)
        except InputError:
            return True
        return False

    def _inside(self, logits: Tensor, targets: Tensor) -> tuple[Formula, Tensor, Tensor]:
        """The formula, and logits and targets, checked, in the type that it computes in."""
        self._check(logits, targets)
        formula = self.formula
        if logits.dtype == torch.float64:
            best = formula.precise if self.precise else None
            return best or formula, logits, targets.double()
        wide = formula.wide and logits.device.type != "mps"  # which has no float64
        dtype = torch.float64 if wide else torch.float32
        return formula, logits.to(dtype), targets.to(dtype)

    def _check(self, logits: Tensor, targets: Tensor) -> None:
        """Static shapes and types only: nothing here reads a value."""
        if logits.shape != targets.shape:
            raise InputError(
                f"targets of shape {tuple(targets.shape)} do not fit logits of shape "
                f"{tuple(logits.shape)}: the shapes must be equal, nothing is broadcast. "
                "Use one-hot targets (…, K), or (…, 1) for one output."
            )
        if not (targets.is_floating_point() and logits.is_floating_point()):
            raise InputError(
                f"targets of type {targets.dtype} and logits of type {logits.dtype} must be "
                "floating point: one-hot or soft probabilities, not class indices."
            )
        if logits.dim() == 0:
            raise InputError("logits of shape () have no output axis; use shape (…, K).")
        width = logits.shape[-1]
        if self.outputs is not None and width != self.outputs:
            raise InputError(
                f"logits of shape {tuple(logits.shape)} have {width} outputs, but this objective "
                f"was made for outputs={self.outputs}."
            )
        if self._refused[width > 1]:
            check_pair(self.head, self.loss, width, self.strict)


class _Fused(torch.autograd.Function):
    """Losses whose backward is the closed form: one node in the graph, nothing recorded."""

    generate_vmap_rule = True

    @staticmethod
    def forward(formula: Formula, logits: Tensor, targets: Tensor) -> Tensor:
        return formula.losses(logits, targets)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Formula, Tensor, Tensor], output: Tensor) -> None:
        ctx.formula, logits, targets = inputs
        ctx.save_for_backward(logits, targets)
        ctx.save_for_forward(logits, targets)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        logits, targets = ctx.saved_tensors
        weight = grad.unsqueeze(-1)
        to_logits = to_targets = None
        if ctx.needs_input_grad[1]:
            to_logits = weight * ctx.formula.gradient(logits, targets)
        if ctx.needs_input_grad[2]:
            to_targets = weight * _gradient_of_targets(ctx.formula, logits, targets)
        return None, to_logits, to_targets


class _FusedBothModes(_Fused):
    """The same with forward-mode derivatives."""

    @staticmethod
    def jvp(ctx: Any, _: None, d_logits: Tensor | None, d_targets: Tensor | None) -> Tensor:
        logits, targets = ctx.saved_tensors
        parts = []
        if d_logits is not None:
            parts.append((ctx.formula.gradient(logits, targets) * d_logits).sum(-1))
        if d_targets is not None:
            towards = _gradient_of_targets(ctx.formula, logits, targets)
            parts.append((towards * d_targets).sum(-1))
        return torch.stack(parts).sum(0)


def _gradient_of_targets(formula: Formula, logits: Tensor, targets: Tensor) -> Tensor:
    """dL/dt (…, K); the losses are smooth in t, so their own graph is as good as a formula."""
    return torch.func.grad(lambda t: formula.losses(logits, t).sum())(targets)


def _formula(head: Head, loss: Loss) -> tuple[Formula, bool]:
    """The exact formula if there is one, else the matching or the composed one."""
    pair = EXACT.get((type(head), type(loss)))
    if pair is not None:
        return (pair if isinstance(pair, Formula) else pair(head, loss)), True
    return (matching(head) if loss.matches_head else _composed(head, loss)), False


def _composed(head: Head, loss: Loss) -> Formula:
    """loss(head(z), t), differentiated by torch: for the heads and losses of users."""

    def losses(logits: Tensor, targets: Tensor) -> Tensor:
        return loss(head(logits), targets)

    def gradient(logits: Tensor, targets: Tensor) -> Tensor:
        return torch.func.grad(lambda z: losses(z, targets).sum())(logits)

    return Formula(losses, gradient, wide=False)
