"""The loss that matches a head: its potential minus the logits' share in the targets."""

from __future__ import annotations

from torch import Tensor

from mlr.heads.base import Head
from mlr.objectives.formula import Formula


def matching(head: Head) -> Formula:
    """A(z) − ⟨t, z⟩, whose gradient is y − t because ∇A(z) = y, for any head.

    The classic heads have this loss in closed forms that cancel nothing: see `exact`.

    Source: Auer, Herbster and Warmuth, Exponentially many local minima for single neurons,
        NeurIPS 8 (1995); Blondel, Martins and Niculae, Learning with Fenchel-Young losses,
        JMLR 21 (2020).
    """

    def losses(logits: Tensor, targets: Tensor) -> Tensor:
        return head.potential(logits) - (targets * logits).sum(-1)

    def gradient(logits: Tensor, targets: Tensor) -> Tensor:
        return head(logits) - targets

    return Formula(losses, gradient, wide=False)
