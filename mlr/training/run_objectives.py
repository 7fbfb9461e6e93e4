"""Objectives along the run axis: neighbouring lanes with the same one are computed together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

from mlr.heads import Head
from mlr.heads.functions import log_odds
from mlr.losses import Loss
from mlr.objectives import Objective
from mlr.objectives.kernels.kernel import Kernel


class RunObjectives:
    """The objectives along the run axis.

    Kernels are called themselves, without the checks of `Objective` at every step.

    Args:
        objectives: of the lanes.
        hard: True if all targets are 0 or 1, one-hot if there are several.
    """

    def __init__(self, objectives: Sequence[Objective], hard: bool = False) -> None:
        self.groups: list[Group] = []
        start = 0
        # once for each object: lanes of one function may share it
        of = {id(one): identity(one) for one in dict.fromkeys(objectives)}
        for _, members in groupby(objectives, key=lambda one: of[id(one)]):
            first, *others = members
            end = start + 1 + len(others)
            kernel = (hard and first.kernel.hard) or first.kernel
            self.groups.append(Group(slice(start, end), first.head, first.loss, kernel))
            start = end

    def gradient(self, logits: Tensor, targets: Tensor) -> Tensor:
        """dL/dz (L, B, K), lying in memory as the logits do: sums over it round by that."""
        if len(self.groups) == 1:
            whole = self.groups[0].kernel.gradient(logits, targets)
            # the stride of a single output means nothing
            axes = 3 if logits.shape[-1] > 1 else 2
            if whole.stride()[:axes] == logits.stride()[:axes]:
                return whole
            return torch.empty_like(logits).copy_(whole)
        joined = torch.empty_like(logits)
        for group in self.groups:
            joined[group.rows] = group.kernel.gradient(logits[group.rows], targets[group.rows])
        return joined

    def losses(self, logits: Tensor, targets: Tensor, axis: int = 0) -> Tensor:
        """Losses (…, L, B); `axis` is that of L."""
        return self._map(
            lambda group, z, t: group.kernel.losses(z, t), axis, logits[..., 0], logits, targets
        )

    def margins(self, logits: Tensor) -> Tensor:
        """Log-odds of the outputs (L, B, K): z_k, or z_k − log Σ_{j≠k} exp z_j if they sum to 1."""
        return self._map(
            lambda group, z: z if group.head.range.least_outputs == 1 else log_odds(z),
            0,
            logits,
            logits,
        )

    def slopes(self, logits: Tensor, axis: int = 0) -> Tensor:
        """dy_k/dz_k (…, L, B, K)."""
        return self._map(lambda group, z: group.head.slope(z), axis, logits, logits)

    def predictions(self, logits: Tensor, axis: int = 0) -> Tensor:
        """y (…, L, B, K)."""
        return self._map(lambda group, z: group.head(z), axis, logits, logits)

    def prediction_grads(self, predictions: Tensor, targets: Tensor, axis: int = 0) -> Tensor:
        """dL/dy (…, L, B, K); NaN where a loss is no function of predictions."""
        return self._map(_prediction_grads, axis, predictions, predictions, targets)

    def labels(self, targets: Tensor) -> Tensor:
        """Class numbers (…, L, B), in their type, of targets (…, L, B, K), alike for all lanes."""
        return self.groups[0].head.decode(targets)

    def right(self, logits: Tensor, labels: Tensor, axis: int = 0) -> Tensor:
        """1.0 where an example is predicted rightly, else 0.0 (…, L, B)."""
        parts = [group.head.decide(_cut(group, logits, axis)) for group in self.groups]
        classes = parts[0] if len(parts) == 1 else torch.cat(parts, dim=axis)
        return torch.eq(classes, labels, out=torch.empty_like(classes))

    def _map(
        self, function: Callable[..., Tensor], axis: int, like: Tensor, *values: Tensor
    ) -> Tensor:
        """Call a function of a group and its values for each; join to the layout of `like`.

        Means over examples round by the memory layout, and must not depend on the number of groups.
        """
        parts = [
            function(group, *(_cut(group, own, axis) for own in values)) for group in self.groups
        ]
        whole = torch.empty_like(like)
        if len(parts) == 1 and parts[0].stride() == whole.stride():
            return parts[0]
        for part, rows in zip(
            parts, whole.split([part.shape[axis] for part in parts], axis), strict=True
        ):
            rows.copy_(part)
        return whole


class Group(NamedTuple):
    """Neighbouring lanes with one objective, and its kernel."""

    rows: slice
    head: Head
    loss: Loss
    kernel: Kernel


def _cut(group: Group, values: Tensor, axis: int) -> Tensor:
    """Narrow values to the group's lanes."""
    count = group.rows.stop - group.rows.start
    if count == values.shape[axis]:
        return values
    return values.narrow(axis, group.rows.start, count)


def _prediction_grads(group: Group, predictions: Tensor, targets: Tensor) -> Tensor:
    """dL/dy (…, K) by automatic differentiation; NaN where there is none."""
    if group.loss.matches_head:
        return torch.full_like(predictions, torch.nan)
    # copies, for autograd takes nothing that was made in inference mode
    with torch.inference_mode(False), torch.enable_grad():
        own = predictions.clone().requires_grad_()
        losses = group.loss(own, targets.clone())
        return torch.autograd.grad(losses.sum(), own)[0]


def identity(objective: Objective) -> tuple[object, ...]:
    """Types and scalars of head and loss: equal for objectives that are the same function."""
    parts = (objective.head, objective.loss)
    return tuple((type(part), tuple(sorted(vars(part).items()))) for part in parts)
