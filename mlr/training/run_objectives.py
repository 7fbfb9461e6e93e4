"""Objectives along the run axis: neighbouring lanes with the same one are computed together."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

from mlr.core.domains import LEVELS
from mlr.heads import Head
from mlr.heads.functions import log_odds
from mlr.losses import CrossEntropy, Loss, SmoothedCrossEntropy
from mlr.losses.smoothed_ce import smoothed
from mlr.objectives import Objective
from mlr.objectives.kernels.kernel import Kernel
from mlr.objectives.kernels.table import kernel_of, on_predictions
from mlr.objectives.weighting import of_classes, of_yes_and_no

ClassWeights = tuple[float, ...] | None


class RunObjectives:
    """The objectives along the run axis: S · ℓ(z', q), as `mlr.objectives.weighting` has it.

    Kernels are called themselves, without the checks of `Objective` at every step.

    Args:
        objectives: of the lanes, with their options `pos_weight`, `label_smoothing`, `log_prior`
            and `temperature`; each lane has its own numbers.
        hard: True if all targets are 0 or 1, one-hot if there are several.
        class_weights: of each lane, one for each class, which multiply the losses of its examples;
            of smoothed targets they weigh the smoothed ones. None: no lane has any.
        dtype: of the logits.
        device: of the logits.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        hard: bool = False,
        class_weights: Sequence[ClassWeights] | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        self.groups: list[Group] = []
        start = 0
        weights = class_weights or [None] * len(objectives)
        # once for each object: lanes of one function may share it
        of: dict[tuple[int, bool], Hashable] = {}
        keys = [(id(one), own is not None) for one, own in zip(objectives, weights, strict=True)]
        for key, one in zip(keys, objectives, strict=True):
            if key not in of:
                of[key] = identity(one, key[1])
        lanes = zip(keys, objectives, strict=True)
        for _, members in groupby(lanes, key=lambda lane: of[lane[0]]):
            (key, first), *others = members
            end = start + 1 + len(others)
            self.groups.append(_group(slice(start, end), first, hard, key[1]))
            start = end
        self.options = LaneOptions.of(objectives, weights, dtype, device)
        """numbers of the lanes; None if no lane has an option"""

    def gradient(self, logits: Tensor, targets: Tensor) -> Tensor:
        """dL/dz (L, B, K), lying in memory as the logits do: sums over it round by that."""
        if len(self.groups) == 1:
            whole = self._slopes(self.groups[0], logits, targets)
            # the stride of a single output means nothing
            axes = 3 if logits.shape[-1] > 1 else 2
            if whole.stride()[:axes] == logits.stride()[:axes]:
                return whole
            return torch.empty_like(logits).copy_(whole)
        joined = torch.empty_like(logits)
        for group in self.groups:
            joined[group.rows] = self._slopes(group, logits[group.rows], targets[group.rows])
        return joined

    def _slopes(self, group: Group, logits: Tensor, targets: Tensor) -> Tensor:
        """dL/dz (L, B, K) of the lanes of a group."""
        if self.options is None:
            return group.kernel.gradient(logits, targets)
        own = self.options.cut(group.rows)
        formed = _formed(group, own, logits, targets)
        slopes = group.kernel.gradient(formed.logits, formed.targets)
        slopes = slopes.squeeze(-1) if group.asks else slopes
        slopes = formed.weighed(slopes, formed.of_outputs, True)
        return slopes if own.temperature is None else slopes / own.temperature

    def losses(self, logits: Tensor, targets: Tensor, axis: int = 0) -> Tensor:
        """Losses (…, L, B); `axis` is that of L."""
        return self._map(self._losses, axis, logits[..., 0], logits, targets)

    def _losses(self, group: Group, logits: Tensor, targets: Tensor) -> Tensor:
        if self.options is None:
            return group.kernel.losses(logits, targets)
        formed = _formed(group, self.options.cut(group.rows), logits, targets)
        losses = group.kernel.losses(formed.logits, formed.targets)
        if formed.of_outputs is not None:
            losses = (losses * formed.of_outputs).sum(-1)
        return formed.weighed(losses)

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
        """dL/dy (…, L, B, K); NaN where a loss is no function of the predictions y = head(z).

        That of a prior or a temperature is one of head(z').
        """
        return self._map(self._prediction_grads, axis, predictions, predictions, targets)

    def _prediction_grads(self, group: Group, predictions: Tensor, targets: Tensor) -> Tensor:
        if self.options is None:
            return _prediction_grads(group, predictions, targets)
        own = self.options.cut(group.rows)
        formed = _formed(group, own, predictions, targets)
        outputs = predictions.unsqueeze(-1) if group.asks else predictions
        grads = _prediction_grads(group, outputs, formed.targets)
        grads = grads.squeeze(-1) if group.asks else grads
        grads = formed.weighed(grads, formed.of_outputs, True)
        shifted = own.shifted
        return grads if shifted is None else grads.masked_fill(shifted, torch.nan)

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


class WeightedObjectives(RunObjectives):
    """Objectives of weighted examples: w·L and w·dL/dz, with w as a column after the targets."""

    def gradient(self, logits: Tensor, targets: Tensor) -> Tensor:
        """w·dL/dz (L, B, K) of targets and weights (L, B, K + 1)."""
        return super().gradient(logits, targets[..., :-1]).mul_(targets[..., -1:])

    def losses(self, logits: Tensor, targets: Tensor, axis: int = 0) -> Tensor:
        """w·L (…, L, B) of targets and weights (…, L, B, K + 1)."""
        return super().losses(logits, targets[..., :-1], axis).mul_(targets[..., -1])


class Group(NamedTuple):
    """Neighbouring lanes with one objective, and its kernel.

    Attributes:
        rows: the lanes.
        head, loss: the pair.
        kernel: of the pair; of weighted smoothed targets that of the loss that is smoothed.
        smooths: whether targets are smoothed before the kernel, by the share of each lane.
        asks: whether outputs are computed one by one, because target 1 has a weight.
    """

    rows: slice
    head: Head
    loss: Loss
    kernel: Kernel
    smooths: bool
    asks: bool


def _group(rows: slice, objective: Objective, hard: bool, weighted: bool) -> Group:
    head, loss, kernel = objective.head, objective.loss, objective.kernel
    smooths = objective.label_smoothing > 0
    if weighted and isinstance(loss, SmoothedCrossEntropy):  # as `Objective` does
        loss, smooths = CrossEntropy(), True
        kernel, _ = kernel_of(head, loss)
    if hard and not smooths:
        kernel = kernel.hard or kernel
    return Group(rows, head, loss, kernel, smooths, objective.pos_weight is not None)


class LaneOptions(NamedTuple):
    """Numbers of each lane's options, which do nothing where a lane has none.

    Attributes:
        weights: of the classes (L, 1, C), two for one output; 1.
        pos_weight: of target 1 of each output (L, 1, K); 1.
        smoothing: ε (L, 1, 1); 0.
        log_prior: log π (L, 1, K); 0.
        temperature: T (L, 1, 1); 1.
    """

    weights: Tensor | None
    pos_weight: Tensor | None
    smoothing: Tensor | None
    log_prior: Tensor | None
    temperature: Tensor | None

    @classmethod
    def of(
        cls,
        objectives: Sequence[Objective],
        weights: Sequence[ClassWeights],
        dtype: torch.dtype,
        device: torch.device | str,
    ) -> LaneOptions | None:
        """Stack the numbers of all lanes; None if no lane has any."""
        stack = partial(_stacked, dtype=dtype, device=device)
        weighted = [own is not None for own in weights]
        found = cls(
            stack([_numbers(own) for own in weights], 1.0),
            stack([one.pos_weight for one in objectives], 1.0),
            stack([*map(_smoothing, objectives, weighted)], 0.0),
            stack([one.log_prior for one in objectives], 0.0),
            stack([_numbers((one.temperature,), 1.0) for one in objectives], 1.0),
        )
        return None if all(one is None for one in found) else found

    def cut(self, rows: slice) -> LaneOptions:
        """Narrow to some lanes."""
        return LaneOptions(*(None if one is None else one[rows] for one in self))

    @property
    def shifted(self) -> Tensor | None:
        """True for lanes whose loss is one of other logits than z (L, 1, 1)."""
        found = [
            *([] if self.temperature is None else [self.temperature != 1]),
            *([] if self.log_prior is None else [(self.log_prior != 0).any(-1, keepdim=True)]),
        ]
        return torch.stack(found).any(0) if found else None


def _smoothing(objective: Objective, weighted: bool) -> Tensor | None:
    """ε that targets are smoothed by before the kernel."""
    loss = objective.loss
    if weighted and isinstance(loss, SmoothedCrossEntropy):
        return _numbers((loss.epsilon,))
    return _numbers((objective.label_smoothing,), 0.0)


def _numbers(values: ClassWeights, usual: float | None = None) -> Tensor | None:
    """Return numbers (N,) in full precision; None for none, and for the usual one."""
    if values is None or values == (usual,):
        return None
    return torch.tensor(values, dtype=torch.float64)


def _stacked(
    given: Sequence[Tensor | None], usual: float, dtype: torch.dtype, device: torch.device | str
) -> Tensor | None:
    """Stack numbers (N,) of each lane to (L, 1, N), `usual` for None; None if all are None."""
    some = next((one for one in given if one is not None), None)
    if some is None:
        return None
    without = torch.full_like(some, usual)
    rows = [without if one is None else one for one in given]
    return torch.stack([row.to(device, dtype) for row in rows]).unsqueeze(1)


class Formed(NamedTuple):
    """Logits z' and targets q of a kernel, and the factors of its losses; None for 1."""

    logits: Tensor
    targets: Tensor
    of_examples: Tensor | None
    of_outputs: Tensor | None

    def weighed(
        self, values: Tensor, outputs: Tensor | None = None, columns: bool = False
    ) -> Tensor:
        """Multiply values by these factors of outputs, and by those of examples."""
        values = values if outputs is None else values * outputs
        if self.of_examples is None:
            return values
        return values * (self.of_examples.unsqueeze(-1) if columns else self.of_examples)


def _formed(group: Group, own: LaneOptions, logits: Tensor, targets: Tensor) -> Formed:
    """Form what the kernel of a group gets of logits and targets (…, L, B, K)."""
    z, t, of_examples, of_outputs = logits, targets, None, None
    if own.temperature is not None:
        z = z / own.temperature
    if own.log_prior is not None:
        z = z + own.log_prior
    if group.smooths:
        assert own.smoothing is not None
        t = smoothed(t, own.smoothing)
    if own.weights is not None:
        if group.head.ordered:
            of_examples = (LEVELS.shares(t) * own.weights).sum(-1)
        else:
            t, of_examples = of_classes(own.weights, t, not group.smooths)
    if group.asks:
        assert own.pos_weight is not None
        _, of_outputs = of_yes_and_no(own.pos_weight, 1.0, targets, True)
        z, t = z.unsqueeze(-1), t.unsqueeze(-1)
    return Formed(z, t, of_examples, of_outputs)


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


def identity(objective: Objective, weighted: bool = False) -> Hashable:
    """Types and scalars of head and loss: equal for objectives that are the same function.

    Other attributes, as a tensor of a user's own loss, are the same if they are one object. Of the
    options, whose numbers each lane has for itself, only those count that change the operations.

    Args:
        objective: of a run.
        weighted: whether its classes have weights.
    """
    loss = objective.loss
    parts = (objective.head, loss)
    return (
        *(
            (type(part), tuple((name, _known(value)) for name, value in sorted(vars(part).items())))
            for part in parts
        ),
        objective.label_smoothing > 0 or (weighted and isinstance(loss, SmoothedCrossEntropy)),
        objective.pos_weight is not None,
    )


def numbers_of(objective: Objective) -> Hashable:
    """Numbers of the options: with `identity` they tell objectives apart that compute otherwise."""
    lists = (objective.pos_weight, objective.log_prior)
    return (
        *(None if one is None else tuple(one.tolist()) for one in lists),
        *(objective.label_smoothing, objective.temperature),
    )


def _known(value: object) -> object:
    """Return what stands for a value in a key: scalars themselves, else the object's number."""
    if isinstance(value, tuple):
        return tuple(_known(own) for own in value)
    plain = value is None or isinstance(value, (bool, int, float, str))
    return value if plain else (type(value), id(value))
