"""The objectives of all lanes: neighbours with the same one are computed together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mlr.heads import Head
from mlr.objectives import Objective
from mlr.objectives.formula import TensorFunction


class Targets:
    """What the logits are to be: t (…, B, K), and for one output of two classes its signs.

    Args:
        values: t: one-hot, one column, or real numbers; None to have it from the signs.
        signs: 1 − 2t (…, B, 1), where all t are 0 or 1: those of dL/dz.
    """

    def __init__(self, values: Tensor | None, signs: Tensor | None = None) -> None:
        self._values, self.signs = values, signs

    @property
    def values(self) -> Tensor:
        """T (…, B, K)."""
        if self._values is None:
            assert self.signs is not None
            self._values = (1 - self.signs).mul_(0.5)
        return self._values


class RunObjectives:
    """The objectives along the run axis.

    Where a formula is steady, it is called itself, in the program's own dtype: these tensors
    need no check at every step, and its errors stay at a few ulp of the largest term. Others
    go through the objective, which computes them in a wider type.

    Args:
        objectives: of each run; equal neighbours are computed together.
        signed: whether targets come with signs.
    """

    def __init__(self, objectives: Sequence[Objective], signed: bool) -> None:
        self.groups: list[Group] = []
        start = 0
        for index in range(1, len(objectives) + 1):
            if index == len(objectives) or identity(objectives[index]) != identity(
                objectives[start]
            ):
                self.groups.append(Group.of(slice(start, index), objectives[start], signed))
                start = index

    @property
    def reads_signs_only(self) -> bool:
        """Whether no objective reads the targets themselves."""
        return all(group.signed for group in self.groups)

    def gradient(self, logits: Tensor, targets: Targets) -> Tensor:
        """dL/dz (L, B, K), lying in memory as the logits do: sums over it round by that."""
        if len(self.groups) == 1:
            group = self.groups[0]
            if group.signed:  # elementwise in tensors that lie alike
                return group.gradient(logits, targets.signs)  # type: ignore[arg-type]
            whole = group.gradient(logits, targets.values)
            # the stride of a single output means nothing
            axes = 3 if logits.shape[-1] > 1 else 2
            if whole.stride()[:axes] == logits.stride()[:axes]:
                return whole
            return torch.empty_like(logits).copy_(whole)
        joined = torch.empty_like(logits)
        for group in self.groups:
            joined[group.rows] = group.gradient(logits[group.rows], group.targets(targets, 0))
        return joined

    def losses(self, logits: Tensor, targets: Targets, axis: int = 0) -> Tensor:
        """Losses (…, L, B); `axis` is that of L."""
        parts = [
            group.losses(group.cut(logits, axis), group.targets(targets, axis))
            for group in self.groups
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=axis)

    def slopes(self, logits: Tensor, axis: int = 0) -> Tensor:
        """dy_k/dz_k (…, L, B, K)."""
        parts = [group.head.slope(group.cut(logits, axis)) for group in self.groups]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=axis)

    def classes(self, logits: Tensor, axis: int = 0) -> Tensor:
        """Predicted classes (…, L, B)."""
        parts = [group.head.classify(group.cut(logits, axis)) for group in self.groups]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=axis)


@dataclass(frozen=True)
class Group:
    """Neighbours with one objective, and what computes it."""

    rows: slice
    head: Head
    losses: TensorFunction
    gradient: TensorFunction
    signed: bool
    """whether the functions take signs for targets"""

    @classmethod
    def of(cls, rows: slice, objective: Objective, signed: bool) -> Group:
        """The formula that suits the targets."""
        formula, hard = objective.formula, objective.formula.hard
        if signed and hard is not None:
            return cls(rows, objective.head, hard.losses, hard.gradient, True)
        own = formula if formula.steady else objective
        return cls(rows, objective.head, own.losses, own.gradient, False)

    def cut(self, values: Tensor, axis: int) -> Tensor:
        """The group's part along the run axis."""
        count = self.rows.stop - self.rows.start
        if count == values.shape[axis]:
            return values
        return values.narrow(axis, self.rows.start, count)

    def targets(self, targets: Targets, axis: int) -> Tensor:
        """Its targets, or their signs."""
        chosen = targets.signs if self.signed else targets.values
        assert chosen is not None
        return self.cut(chosen, axis)


def identity(objective: Objective) -> tuple[object, ...]:
    """What makes two objectives the same function."""
    parts = (objective.head, objective.loss)
    return tuple((type(part), tuple(sorted(vars(part).items()))) for part in parts)
