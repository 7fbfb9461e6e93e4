"""Objectives along the run axis: neighbouring lanes with the same one are computed together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

from mlr.core.domains import LEVELS
from mlr.heads import Head
from mlr.heads.functions import log_odds
from mlr.losses import Loss
from mlr.objectives import Objective
from mlr.objectives.kernels.kernel import Kernel
from mlr.objectives.kernels.table import on_predictions


class RunObjectives:
    """The objectives along the run axis.

    Kernels are called themselves, without the checks of `Objective` at every step.

    Args:
        objectives: of the lanes.
        hard: True if all targets are 0 or 1, one-hot if there are several.
        weights: of each lane's classes (L, 1, K), two for one output, which multiply the losses of
            their examples, and so dL/dz; None if no lane has any.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        hard: bool = False,
        weights: Tensor | None = None,
    ) -> None:
        self.weights = weights
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
        if self.weights is None:
            return self._unweighted(logits, targets)
        return self._unweighted(logits, targets).mul_(self._factors(targets).unsqueeze(-1))

    def _unweighted(self, logits: Tensor, targets: Tensor) -> Tensor:
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
        losses = self._map(
            lambda group, z, t: group.kernel.losses(z, t), axis, logits[..., 0], logits, targets
        )
        return losses if self.weights is None else losses.mul_(self._factors(targets))

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

    def points(self, predictions: Tensor, targets: Tensor, axis: int = 0) -> Tensor:
        """The number (…, L, B, K) that stands for each target of regressions."""
        return self._map(_points, axis, targets, predictions)

    def stds(self, predictions: Tensor, targets: Tensor, axis: int = 0) -> Tensor:
        """Standard deviation (…, L, B, K) of each target, of heads that predict a density."""
        return self._map(_stds, axis, targets, predictions)

    def prediction_grads(self, predictions: Tensor, targets: Tensor, axis: int = 0) -> Tensor:
        """dL/dy (…, L, B, K); NaN where a loss is no function of predictions."""
        grads = self._map(_prediction_grads, axis, predictions, predictions, targets)
        return grads if self.weights is None else grads.mul_(self._factors(targets).unsqueeze(-1))

    def _factors(self, targets: Tensor) -> Tensor:
        """Weight of each example's class (…, L, B), exactly: products with 0 and 1 are."""
        assert self.weights is not None
        if self.groups[0].head.ordered:
            return (LEVELS.shares(targets) * self.weights).sum(-1)
        if targets.shape[-1] > 1:
            return (targets * self.weights).sum(-1)
        of_0, of_1 = self.weights.unbind(-1)
        own = targets[..., 0]
        return own * of_1 + (1 - own) * of_0

    def labels(self, targets: Tensor) -> Tensor:
        """Class numbers (…, L, B), in their type, of targets (…, L, B, K), alike for all lanes."""
        return self.groups[0].head.decode(targets)

    def right(self, logits: Tensor, labels: Tensor, axis: int = 0) -> Tensor:
        """1.0 where an example is predicted rightly, else 0.0 (…, L, B)."""
        classes = self.decided(logits, axis)
        return torch.eq(classes, labels, out=torch.empty_like(classes))

    def decided(self, logits: Tensor, axis: int = 0) -> Tensor:
        """Predicted classes (…, L, B), in the type of the logits."""
        parts = [group.head.decide(_cut(group, logits, axis)) for group in self.groups]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=axis)

    def right_labels(self, logits: Tensor, targets: Tensor, axis: int = 0) -> Tensor:
        """1.0 where a label is predicted rightly, else 0.0 (…, L, B, K), each by its own logit."""
        own = self._map(lambda group, z: group.head.decide(z.unsqueeze(-1)), axis, logits, logits)
        return torch.eq(own, targets, out=own)

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


def weights_of(
    given: Sequence[Sequence[float] | None], dtype: torch.dtype, device: torch.device
) -> Tensor | None:
    """Stack the weights of each lane's classes to (L, 1, K), 1 for None; None if all are None."""
    some = next((weights for weights in given if weights is not None), None)
    if some is None:
        return None
    rows = [weights or (1.0,) * len(some) for weights in given]
    return torch.tensor(rows, dtype=dtype, device=device).unsqueeze(1)


class WeightedObjectives(RunObjectives):
    """Objectives of weighted examples: w·L and w·dL/dz, with w as a column after the targets."""

    def gradient(self, logits: Tensor, targets: Tensor) -> Tensor:
        """w·dL/dz (L, B, K) of targets and weights (L, B, K + 1)."""
        return super().gradient(logits, targets[..., :-1]).mul_(targets[..., -1:])

    def losses(self, logits: Tensor, targets: Tensor, axis: int = 0) -> Tensor:
        """w·L (…, L, B) of targets and weights (…, L, B, K + 1)."""
        return super().losses(logits, targets[..., :-1], axis).mul_(targets[..., -1])


class Group(NamedTuple):
    """Neighbouring lanes with one objective, and its kernel."""

    rows: slice
    head: Head
    loss: Loss
    kernel: Kernel


def _points(group: Group, predictions: Tensor) -> Tensor:
    return group.head.point(predictions)


def _stds(group: Group, predictions: Tensor) -> Tensor:
    return group.head.std(predictions)


def _cut(group: Group, values: Tensor, axis: int) -> Tensor:
    """Narrow values to the group's lanes."""
    count = group.rows.stop - group.rows.start
    if count == values.shape[axis]:
        return values
    return values.narrow(axis, group.rows.start, count)


def _prediction_grads(group: Group, predictions: Tensor, targets: Tensor) -> Tensor:
    """dL/dy (…, K) by automatic differentiation; NaN where there is none."""
    if group.loss.matches_head or group.loss.on_logits:
        return torch.full_like(predictions, torch.nan)
    # copies, for autograd takes nothing that was made in inference mode
    with torch.inference_mode(False), torch.enable_grad():
        own = predictions.clone().requires_grad_()
        losses = on_predictions(group.head, group.loss)(own, targets.clone())
        return torch.autograd.grad(losses.sum(), own)[0]


def identity(objective: Objective) -> tuple[object, ...]:
    """Types and scalars of head and loss: equal for objectives that are the same function.

    Other attributes, as a tensor of a user's own loss, are the same if they are one object.
    """
    parts = (objective.head, objective.loss)
    return tuple(
        (type(part), tuple((name, _known(value)) for name, value in sorted(vars(part).items())))
        for part in parts
    )


def _known(value: object) -> object:
    """Return what stands for a value in a key: scalars themselves, else the object's number."""
    if isinstance(value, tuple):
        return tuple(_known(own) for own in value)
    plain = value is None or isinstance(value, (bool, int, float, str))
    return value if plain else (type(value), id(value))
