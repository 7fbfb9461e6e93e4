"""What an objective computes: losses and their gradient as two pure functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

TensorFunction = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Formula:
    """A pair of pure functions of logits z (…, K) and targets t (…, K).

    Attributes:
        losses: (z, t) → L (…), per example.
        gradient: (z, t) → dL/dz (…, K), built of torch operations, so that it can be
            differentiated again.
        wide: whether float32 gains from being computed in float64 and rounded once;
            False where each step is exact or correctly rounded anyway.
        steady: whether errors stay at a few ulp of an entry's largest term without help, so
            that a training step may call the functions themselves.
        hard: the same of one output and targets that are 0 or 1, given as signs s = 1 − 2t of
            dL/dz, and not to be differentiated again; None where that gains nothing.
        precise: the same functions for float64 itself, where terms cancel that float64
            does not hold well enough; None where it does.
    """

    losses: TensorFunction
    gradient: TensorFunction
    wide: bool = True
    steady: bool = True
    hard: Formula | None = None
    precise: Formula | None = None
