"""The objective: a head and a loss as one function of logits, with its exact gradient."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from mlr.core.checks import InputError
from mlr.core.domains import OPEN_UNIT, REALS, SIMPLEX, Levels
from mlr.heads.base import Head
from mlr.losses.base import Loss
from mlr.objectives import validation
from mlr.objectives.autograd import attached
from mlr.objectives.compatibility import check_pair, find_head, find_loss
from mlr.objectives.kernels.kernel import MODERATE
from mlr.objectives.kernels.table import kernel_of

FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
HALVES = {torch.float16, torch.bfloat16}


class Objective(torch.nn.Module):
    """Losses and closed-form dL/dz of logits (…, K) against targets (…, K).

    Logits are (…, 2K) for a head that predicts two numbers for each target. Any leading axes:
    (B, K), or (R, B, K) for R runs. Targets are one-hot or soft probabilities (real numbers for
    squared error).

    A pair is computed by its kernel in the type of the logits; half precision in float32,
    rounded once. Value and dL/dz are within 4 ulp of the truth for hard targets, tails and
    subnormal numbers included, and within 4 ulp of the largest term for soft ones;
    `mlr.objectives.kernels` says where the bound is another.

    Works under torch.func, torch.compile and autocast, whose half-precision logits give float32
    losses. On an accelerator, and in what is compiled, no value is looked at.

    ∞ and NaN: a logit of −∞ is a masked class of a softmax or a sure output of a sigmoid: it
    costs nothing unless it is asked for, and ∞ then, with the finite gradient of the limit.
    +∞ is that for a sigmoid and NaN for a softmax. NaN stays NaN, in its own example.

    Misuse is refused where values can be seen (eager, on the CPU): targets outside the loss's
    domain, class indices, shapes that do not fit; logits that look like probabilities are
    warned of once.

    Attributes:
        head: the head, logits → predictions.
        loss: the loss, predictions and targets → cost.
        kernel: the two functions that are computed, losses and gradient.
        exact: whether the kernel is an exact one of the pair; otherwise it is composed of head
            and loss by automatic differentiation.
    """

    def __init__(
        self,
        head: Head | str,
        loss: Loss | str,
        *,
        outputs: int | None = None,
        strict: bool = True,
    ) -> None:
        """Join `head` and `loss`, instances or names.

        Args:
            head: a head or the name of one.
            loss: a loss or the name of one.
            outputs: K, if it is known; logits of another width are then refused.
            strict: False lets pairs run that are defined but senseless.

        Raises:
            InputError: the pair is not legal, see `check_pair`.
        """
        super().__init__()
        self.head, self.loss = find_head(head), find_loss(loss)
        self.outputs, self.strict = outputs, strict
        check_pair(self.head, self.loss, outputs, strict)
        self._per_target = self.head.range.per_target
        self._refused = [self._refuses(n * self._per_target) for n in (1, 2)]
        self.kernel, self.exact = kernel_of(self.head, self.loss)
        region = validation.target_region(self.head, self.loss)
        self._any_target = region == REALS
        self._levels = isinstance(region, Levels)
        self._sum_to_1 = region.least_outputs > 1
        self._squashes = self.head.range in (OPEN_UNIT, SIMPLEX)
        # a list: nn.Module looks closely at every attribute that is set
        self._calls = [0]

    def losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """L (…), one number an example, no reduction; the same as calling the objective.

        Raises:
            InputError: shapes differ, K does not suit the pair, or targets are none of the loss.
        """
        return self.forward(logits, targets)

    def gradient(self, logits: Tensor, targets: Tensor) -> Tensor:
        """dL/dz (…, K), the gradient of each example's own loss.

        Raises:
            InputError: shapes differ, K does not suit the pair, or targets are none of the loss.
        """
        self._checked(logits, targets)
        logits, targets, dtype = _computed(logits, targets)
        return self.kernel.gradient(logits, targets).to(dtype)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """L (…) with autograd attached: its backward is `gradient`.

        Raises:
            InputError: shapes differ, K does not suit the pair, or targets are none of the loss.
        """
        seen, kernel = self._checked(logits, targets), self.kernel
        logits, targets, dtype = _computed(logits, targets)
        with_graph = torch.is_grad_enabled() and (logits.requires_grad or targets.requires_grad)
        if kernel.differentiable or not (with_graph or _transformed()):
            losses = kernel.losses(logits, targets)
        elif kernel.hard_losses is not None and seen and _is_moderate(logits):
            losses = kernel.hard_losses(logits, targets)
        else:
            losses = attached(kernel, logits, targets)
        return losses if losses.dtype == dtype else losses.to(dtype)

    def extra_repr(self) -> str:
        """Return the text between the brackets when torch prints the module."""
        return f"head={self.head.name}, loss={self.loss.name}, exact={self.exact}"

    def _refuses(self, width: int) -> bool:
        """Tell if logits of this width are illegal, found once and not at every step."""
        try:
            check_pair(self.head, self.loss, width, self.strict)
        except InputError:
            return True
        return False

    def _checked(self, logits: Tensor, targets: Tensor) -> bool:
        """Judge shapes, types and values; True if all targets are seen to be hard."""
        count, types = self._per_target, (logits.dtype, targets.dtype)
        same = logits.shape == targets.shape if count == 1 else False
        if not same or not FLOATS.issuperset(types):
            validation.check_shapes(logits, targets, count)
        width = logits.shape[-1] if logits.dim() else 0
        if width == 0 or (self.outputs is not None and width != self.outputs):
            self._refuse_width(logits)
        if self._refused[width > count]:
            check_pair(self.head, self.loss, width, self.strict)
        if not logits.is_cpu or torch.compiler.is_compiling() or _transformed():
            return False
        return self._check_values(logits, targets)

    def _refuse_width(self, logits: Tensor) -> None:
        if logits.dim() == 0:
            raise InputError("logits of shape () have no output axis; use shape (…, K).")
        raise InputError(
            f"logits of shape {tuple(logits.shape)} have {logits.shape[-1]} outputs, but this "
            f"objective was made for outputs={self.outputs or 'at least 1'}."
        )

    def _check_values(self, logits: Tensor, targets: Tensor) -> bool:
        """Refuse targets that are none of the loss, warn of logits that are probabilities.

        Returns:
            Whether all targets are hard: 0 or 1, and one-hot where they must sum to 1.
        """
        self._calls[0] += 1
        # at calls 1, 2, 4, 8 …: who passes probabilities does so from the first
        due = self._squashes and self._calls[0].bit_count() == 1
        if due and validation.warn_of_probabilities(self.head, logits):
            self._squashes = False
        if self._any_target or not targets.numel():
            return False
        if not self._levels and _is_hard(targets, self._sum_to_1 and targets.shape[-1] > 1):
            return True
        validation.check_targets(self.head, self.loss, targets)
        return False

    def _repr_html_(self) -> str:
        """Display the curves of loss and gradient in a notebook."""
        from mlr.objectives.display import html

        return html(self.head, self.loss, self.kernel, self.outputs)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "kernel"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.kernel, self.exact = kernel_of(self.head, self.loss)


def _computed(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, torch.dtype]:
    """Logits and targets in the type that kernels compute in, and the type of the results."""
    dtype = logits.dtype
    if targets.dtype == dtype and dtype not in HALVES:
        return logits, targets, dtype
    if dtype in HALVES:
        autocast = torch.is_autocast_enabled(logits.device.type)
        return logits.float(), targets.float(), torch.float32 if autocast else dtype
    return logits, targets.to(dtype), dtype


def _is_hard(targets: Tensor, sum_to_1: bool) -> bool:
    """Tell if all targets are 0 or 1, and sum to 1 over the outputs where they must."""
    targets = targets.detach()
    low, high = torch.aminmax(torch.addcmul(targets, targets, targets, value=-1))
    if low.item() != 0.0 or high.item() != 0.0:
        return False
    if not sum_to_1:
        return True
    # as exact for zeros and ones as a sum over the outputs, which takes half as long again
    low, high = torch.aminmax(targets.matmul(_ones(targets.shape[-1], targets.dtype)))
    return low.item() == 1.0 and high.item() == 1.0


@lru_cache(maxsize=64)
def _ones(count: int, dtype: torch.dtype) -> Tensor:
    return torch.ones(count, dtype=dtype, device="cpu")


def _is_moderate(logits: Tensor) -> bool:
    low, high = torch.aminmax(logits.detach())  # which needs no graph
    return low.item() > -MODERATE and high.item() < MODERATE


def _transformed() -> bool:
    """Return True inside a transform of torch.func, where values are not to be looked at."""
    return torch._C._are_functorch_transforms_active()
