"""What an objective computes: losses and their gradient as pure functions of logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

TensorFunction = Callable[[Tensor, Tensor], Tensor]
QuickFunction = Callable[[Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor]]

QUICK_LOGITS = 87.0
"""Where e^z is a normal number of float32, and the quick forms are exact."""


@dataclass(frozen=True)
class Formula:
    """Pure functions of logits z (…, K) and targets t (…, K), built of torch operations.

    Attributes:
        losses: (z, t) → L (…), per example.
        gradient: (z, t) → dL/dz (…, K). These two are what a training step calls, and what is
            differentiated again.
        wide: whether float32 gains from being computed in float64 and rounded once;
            False where each step is exact or correctly rounded anyway.
        steady: whether errors stay at a few ulp of an entry's largest term without help, so
            that a training step may call the functions themselves.
        hard: the same of one output and targets that are 0 or 1, given as signs s = 1 − 2t of
            dL/dz, and not to be differentiated again; None where that gains nothing.
        accurate: the same functions for float32 in float64 where `losses` and `gradient`
            themselves are not within 2 ulp of float32; None where they are.
        precise: the same functions for float64 itself, in pairs of float64; for finite numbers.
            None where float64 does.
        doubtful: (z, t, dL/dz) → (…, K), true where so much cancelled that `accurate` may be
            off by more than an ulp of float32, and `precise` is asked; None: nothing cancels.
        quick: (z, t, classes) → losses and gradient in one pass, for float32 and examples whose
            targets are all 0 or 1 and whose logits are within ±QUICK_LOGITS; `classes` (…, 1) is
            where the 1 of a one-hot target is, None where targets need not be one-hot.
        one_hot: whether it needs them one-hot.
        always_quick: whether `quick` suits all examples of float32.
    """

    losses: TensorFunction
    gradient: TensorFunction
    wide: bool = True
    steady: bool = True
    hard: Formula | None = None
    accurate: Formula | None = None
    precise: Formula | None = None
    doubtful: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None
    quick: QuickFunction | None = None
    one_hot: bool = False
    always_quick: bool = False
