"""The objective: a head and a loss as one function of logits, with its exact gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from mlr.core.checks import InputError
from mlr.core.domains import OPEN_UNIT, REALS, SIMPLEX
from mlr.heads.base import Head
from mlr.losses.base import Loss
from mlr.objectives import misuse
from mlr.objectives.attached import Compiled, Eager, Gradient, Transformed
from mlr.objectives.evaluate import exactly, gradient_of, losses_of, plain
from mlr.objectives.exact import EXACT
from mlr.objectives.formula import Formula
from mlr.objectives.matching import matching
from mlr.objectives.pairs import check_pair, find_head, find_loss


class Objective(torch.nn.Module):
    """Losses and closed-form dL/dz of logits (…, K) against targets (…, K).

    Logits are (…, 2K) for a head that predicts two numbers for each target. Any leading axes:
    (B, K), or (R, B, K) for R runs. Targets are one-hot or soft probabilities (real numbers for
    squared error).

    The classic pairs give value and dL/dz within 2 ulp of the truth wherever it is
    representable, in half precision the nearest number. Where nearly all cancels the bound is
    2⁻⁶² of y_k + t_k instead: in float64 where a soft target is the prediction to 10 bits or
    more; of softmax with se, gaussian_nll or bce also with three or more soft targets, and of
    softmax+bce where the two largest logits are equal. The bounds of the further heads and
    losses are those of tests/objectives/test_further.py.

    Works under torch.func, torch.compile and autocast, whose half-precision logits give float32
    losses. On an accelerator, and in what is compiled, nothing looks at a value.

    ∞ and NaN: a logit of −∞ is a masked class of a softmax or a sure output of a sigmoid: it
    costs nothing unless it is asked for, and ∞ then, with the finite gradient of the limit.
    +∞ is that for a sigmoid and NaN for a softmax. NaN stays NaN, in its own example.

    Misuse is refused where values can be seen (eager, on the CPU): targets outside the loss's
    domain, class indices, shapes that do not fit; logits that look like probabilities are
    warned of once.

    Attributes:
        head: the head, logits → predictions.
        loss: the loss, predictions and targets → cost.
        formula: the functions that are computed.
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
        self._per_target = self.head.range.per_target
        self._refused = [self._refuses(n * self._per_target) for n in (1, 2)]
        self.formula, self.exact = _formula(self.head, self.loss)
        region = misuse.target_region(self.head, self.loss)
        self._any_target = region == REALS
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
        logits = self._checked(logits, targets)
        formula, precise = self.formula, self.precise
        if torch.compiler.is_compiling():
            return plain(formula, gradient_of, logits, targets, precise)
        if not torch._C._are_functorch_transforms_active():
            self._seen(logits, targets)
            if not _needs_graph(logits, targets):
                return exactly(formula, gradient_of, logits, targets, precise)
        slopes: Tensor = Gradient.apply(formula, precise, logits, targets)
        return slopes

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """L (…) with autograd attached: its backward is `gradient`.

        Raises:
            InputError: shapes differ, K does not suit the pair, or targets are none of the loss.
        """
        logits = self._checked(logits, targets)
        formula, precise = self.formula, self.precise
        fused: Tensor
        if torch.compiler.is_compiling():
            fused = Compiled.apply(formula, precise, logits, targets)
        elif torch._C._are_functorch_transforms_active():
            fused = Transformed.apply(formula, precise, logits, targets)
        else:
            hard, classes = self._seen(logits, targets)
            if not _needs_graph(logits, targets):
                return exactly(formula, losses_of, logits, targets, precise)
            fused = Eager.apply(formula, precise, logits, targets, hard, classes)
        return fused

    def extra_repr(self) -> str:
        """What torch prints between the brackets."""
        return f"head={self.head.name}, loss={self.loss.name}, exact={self.exact}"

    def _refuses(self, width: int) -> bool:
        """Tell if logits of this width are illegal, found once and not at every step."""
        try:
            check_pair(self.head, self.loss, width, self.strict)
        except InputError:
            return True
        return False

    def _checked(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The logits, in float32 under autocast; static shapes and types are judged here."""
        count, types = self._per_target, (logits.dtype, targets.dtype)
        same = logits.shape == targets.shape if count == 1 else False
        if not same or not FLOATS.issuperset(types):
            misuse.check_shapes(logits, targets, count)
        width = logits.shape[-1] if logits.dim() else 0
        if width == 0 or (self.outputs is not None and width != self.outputs):
            self._refuse_width(logits)
        if self._refused[width > count]:
            check_pair(self.head, self.loss, width, self.strict)
        if logits.dtype in HALVES and torch.is_autocast_enabled(logits.device.type):
            return logits.float()
        return logits

    def _refuse_width(self, logits: Tensor) -> None:
        if logits.dim() == 0:
            raise InputError("logits of shape () have no output axis; use shape (…, K).")
        raise InputError(
            f"logits of shape {tuple(logits.shape)} have {logits.shape[-1]} outputs, but this "
            f"objective was made for outputs={self.outputs or 'at least 1'}."
        )

    def _seen(self, logits: Tensor, targets: Tensor) -> tuple[bool, Tensor | None]:
        """Judge values; whether all targets are 0 or 1, and the classes if they are one-hot."""
        if not logits.is_cpu or logits.numel() == 0:
            return False, None
        self._calls[0] += 1
        # at calls 1, 2, 4, 8 …: who passes probabilities does so from the first
        due = self._squashes and self._calls[0].bit_count() == 1
        if due and misuse.warn_of_probabilities(self.head, logits):
            self._squashes = False
        if self._any_target:
            return False, None
        if self._sum_to_1 and targets.shape[-1] > 1:
            classes = _classes(targets)
            if classes is not None:
                return True, classes
        elif _all_hard(targets):
            return True, None
        misuse.check_targets(self.head, self.loss, targets)
        return False, None


FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
HALVES = {torch.float16, torch.bfloat16}


def _needs_graph(logits: Tensor, targets: Tensor) -> bool:
    return torch.is_grad_enabled() and (logits.requires_grad or targets.requires_grad)


def _all_hard(targets: Tensor) -> bool:
    """Tell if all are 0 or 1."""
    low, high = torch.aminmax(torch.addcmul(targets, targets, targets, value=-1))
    return low.item() == 0.0 and high.item() == 0.0


def _classes(targets: Tensor) -> Tensor | None:
    """Where the 1 is (…, 1), of targets that are all one-hot; None for others."""
    top, classes = targets.max(-1, keepdim=True)
    low, high = torch.aminmax(top)
    if low.item() == 1.0 and high.item() == 1.0 and targets.count_nonzero().item() == top.numel():
        return classes
    return None


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
