"""The objectives of all lanes: neighbours with the same one are computed together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mlr.objectives import Objective


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
        self.gradients = [_function(own, "gradient") for _, own in self.groups]

    def gradient(self, logits: Tensor, targets: Tensor) -> Tensor:
        """dL/dz (L, B, K), lying in memory as the logits do: sums over it round by that."""
        if len(self.groups) == 1:
            whole = self.gradients[0](logits, targets)
            if whole.stride() == logits.stride():
                return whole
            return torch.empty_like(logits).copy_(whole)
        joined = torch.empty_like(logits)
        for (rows, _), gradient in zip(self.groups, self.gradients, strict=True):
            joined[rows] = gradient(logits[rows], targets[rows])
        return joined

    def losses(self, logits: Tensor, targets: Tensor, axis: int = 0) -> Tensor:
        """Losses (…, L, B); `axis` is that of L."""
        # contiguous: one group and several would else lie otherwise, and be summed otherwise
        return self._joined(
            lambda own: _function(own, "losses"), axis, logits, targets
        ).contiguous()

    def slopes(self, logits: Tensor, axis: int = 0) -> Tensor:
        """dy_k/dz_k (…, L, B, K)."""
        return self._joined(lambda own: own.head.slope, axis, logits)

    def classes(self, logits: Tensor, axis: int = 0) -> Tensor:
        """Predicted classes (…, L, B)."""
        return self._joined(lambda own: own.head.classify, axis, logits)

    def _joined(
        self, function: Callable[[Objective], Callable], axis: int, *tensors: Tensor
    ) -> Tensor:
        if len(self.groups) == 1:
            return function(self.groups[0][1])(*tensors)
        parts = [
            function(own)(
                *(tensor.narrow(axis, rows.start, rows.stop - rows.start) for tensor in tensors)
            )
            for rows, own in self.groups
        ]
        return torch.cat(parts, dim=axis)


def identity(objective: Objective) -> tuple[object, ...]:
    """What makes two objectives the same function."""
    parts = (objective.head, objective.loss)
    return tuple((type(part), tuple(sorted(vars(part).items()))) for part in parts)


def _function(objective: Objective, name: str) -> Callable:
    return getattr(objective.formula if objective.formula.steady else objective, name)
