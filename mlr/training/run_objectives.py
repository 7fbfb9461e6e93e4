"""The objectives of all lanes: neighbours with the same one are computed together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mlr.objectives import Objective


@dataclass(frozen=True)
class Targets:
    """What the logits are to be: t (…, B, K), and for one output of two classes its signs."""

    values: Tensor
    """t: one-hot, one column, or real numbers"""
    signs: Tensor | None
    """s = 1 − 2t (…, B, 1), where all t are 0 or 1"""

    def slice(self, axis: int, rows: slice) -> Targets:
        """Those of some runs."""
        parts = (self.values, self.signs)
        cut = [
            None if part is None else part.narrow(axis, rows.start, rows.stop - rows.start)
            for part in parts
        ]
        return Targets(cut[0], cut[1])  # type: ignore[arg-type]


class RunObjectives:
    """The objectives along the run axis.

    Where a formula is steady, it is called itself, in the program's own dtype: these tensors
    need no check at every step, and its errors stay at a few ulp of the largest term. Others
    go through the objective, which computes them in a wider type.
    """

    def __init__(self, objectives: Sequence[Objective]) -> None:
        self.groups: list[tuple[slice, Objective]] = []
        start = 0
        for index in range(1, len(objectives) + 1):
            if index == len(objectives) or identity(objectives[index]) != identity(
                objectives[start]
            ):
                self.groups.append((slice(start, index), objectives[start]))
                start = index

    def gradient(self, logits: Tensor, targets: Targets) -> Tensor:
        """dL/dz (L, B, K), lying in memory as the logits do: sums over it round by that."""
        if len(self.groups) == 1:
            whole = _call(self.groups[0][1], "gradient", logits, targets)
            if whole.stride() == logits.stride():
                return whole
            return torch.empty_like(logits).copy_(whole)
        joined = torch.empty_like(logits)
        for rows, own in self.groups:
            joined[rows] = _call(own, "gradient", logits[rows], targets.slice(0, rows))
        return joined

    def losses(self, logits: Tensor, targets: Targets, axis: int = 0) -> Tensor:
        """Losses (…, L, B); `axis` is that of L."""
        if len(self.groups) == 1:
            return _call(self.groups[0][1], "losses", logits, targets)
        parts = [
            _call(own, "losses", _narrow(logits, axis, rows), targets.slice(axis, rows))
            for rows, own in self.groups
        ]
        return torch.cat(parts, dim=axis)

    def slopes(self, logits: Tensor, axis: int = 0) -> Tensor:
        """dy_k/dz_k (…, L, B, K)."""
        return self._of_heads("slope", logits, axis)

    def classes(self, logits: Tensor, axis: int = 0) -> Tensor:
        """Predicted classes (…, L, B)."""
        return self._of_heads("classify", logits, axis)

    def _of_heads(self, name: str, logits: Tensor, axis: int) -> Tensor:
        if len(self.groups) == 1:
            return getattr(self.groups[0][1].head, name)(logits)
        parts = [
            getattr(own.head, name)(_narrow(logits, axis, rows)) for rows, own in self.groups
        ]
        return torch.cat(parts, dim=axis)


def _narrow(values: Tensor, axis: int, rows: slice) -> Tensor:
    return values.narrow(axis, rows.start, rows.stop - rows.start)


def _call(objective: Objective, name: str, logits: Tensor, targets: Targets) -> Tensor:
    formula = objective.formula
    if targets.signs is not None and formula.hard is not None:
        return getattr(formula.hard, name)(logits, targets.signs)
    return getattr(formula if formula.steady else objective, name)(logits, targets.values)


def identity(objective: Objective) -> tuple[object, ...]:
    """What makes two objectives the same function."""
    parts = (objective.head, objective.loss)
    return tuple((type(part), tuple(sorted(vars(part).items()))) for part in parts)

