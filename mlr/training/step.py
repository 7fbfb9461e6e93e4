"""One update of R runs: logits → dL/dz → gradients → parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from mlr.checks import InputError
from mlr.objectives import Objective
from mlr.training.backprop import DenseNetwork, dense_structure
from mlr.training.experiment import Experiment
from mlr.training.functional import FunctionalNetwork
from mlr.training.parameters import Layout, layer_norms, stack_parameters
from mlr.training.steppers import limit_norm


class LoggedStep(NamedTuple):
    """What a logged step leaves behind: tensors of the step itself, nothing computed yet."""

    step: int
    logits: Tensor
    targets: Tensor
    logit_grads: Tensor
    layer_grad_norms: Tensor


class RunObjectives:
    """The objectives along the run axis: neighbours with the same one are computed together.

    Where a formula is steady, it is called itself, in the program's own dtype: these tensors
    need no check at every step, and its errors stay at a few ulp of the largest term. Others
    go through the objective, which computes them in a wider type.
    """

    def __init__(self, objectives: Sequence[Objective]) -> None:
        self.groups: list[tuple[slice, Objective]] = []
        start = 0
        for index in range(1, len(objectives) + 1):
            if index == len(objectives) or not _same(objectives[index], objectives[start]):
                self.groups.append((slice(start, index), objectives[start]))
                start = index

    def gradient(self, logits: Tensor, targets: Tensor) -> Tensor:
        """dL/dz (R, B, K)."""
        if len(self.groups) == 1:
            return _function(self.groups[0][1], "gradient")(logits, targets)
        return torch.cat(
            [_function(own, "gradient")(logits[rows], targets[rows]) for rows, own in self.groups]
        )

    def losses(self, logits: Tensor, targets: Tensor, axis: int = 0) -> Tensor:
        """Losses (…, R, B); `axis` is that of R."""
        return self._joined(lambda own: _function(own, "losses"), axis, logits, targets)

    def slopes(self, logits: Tensor, axis: int = 0) -> Tensor:
        """dy_k/dz_k (…, R, B, K)."""
        return self._joined(lambda own: own.head.slope, axis, logits)

    def classes(self, logits: Tensor, axis: int = 0) -> Tensor:
        """Predicted classes (…, R, B)."""
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


def _function(objective: Objective, name: str) -> Callable:
    return getattr(objective.formula if objective.formula.steady else objective, name)


def _same(one: Objective, other: Objective) -> bool:
    pairs = ((one.head, other.head), (one.loss, other.loss))
    return all(type(a) is type(b) and vars(a) == vars(b) for a, b in pairs)


class Program:
    """R runs that can share one tensor program: parameters (R, P), and the update of all.

    Raises:
        InputError: the model gives another number of logits than the heads need.
    """

    def __init__(self, experiments: Sequence[Experiment]) -> None:
        first = experiments[0]
        self.dtype = getattr(torch, first.dtype)
        self.device = torch.device(first.device)
        modules = [experiment.module for experiment in experiments]
        self.layout = Layout.of(modules[0])
        self.parameters = stack_parameters(modules).to(self.device, self.dtype)
        self.gradients = torch.zeros_like(self.parameters)
        self.layers = self.layout.layers()
        structure = dense_structure(modules[0], first.data.feature_shape)
        tensors = (self.layout, self.parameters, self.gradients)
        self.network: DenseNetwork | FunctionalNetwork = (
            FunctionalNetwork(modules[0], *tensors)
            if structure is None
            else DenseNetwork(structure, *tensors)
        )
        self.outputs = self._outputs(experiments)
        self.objectives = RunObjectives([experiment.objective for experiment in experiments])
        optimizers = [experiment.optimizer for experiment in experiments]
        self.stepper = type(optimizers[0]).stepper(optimizers, self.parameters)
        self.limits = [experiment.max_grad_norm for experiment in experiments]
        self.limited = any(limit is not None for limit in self.limits)
        self.factors = first.schedule.factors(first.total_steps)

    def _outputs(self, experiments: Sequence[Experiment]) -> int:
        """K of the model's logits, the same that every head needs."""
        data = experiments[0].data
        shape = data.feature_shape
        if self.network.flat_inputs:
            shape = (prod(shape),)
        example = torch.zeros(len(experiments), 1, *shape, dtype=self.dtype, device=self.device)
        found = self.network.logits(example).shape[-1]
        for experiment in experiments:
            head = experiment.objective.head
            if data.classes is None:
                needed = data.train.targets.shape[1]
            else:
                needed = head.outputs(data.classes)
            if found != needed:
                raise InputError(
                    f"the model gives {found} logits, but head={head.name} needs {needed} "
                    f"outputs for data={data.name}."
                )
        return found

    def update(
        self, inputs: Tensor, targets: Tensor, step: int, *, logged: bool
    ) -> LoggedStep | None:
        """One step on inputs (R, B, …) and targets (R, B, K); its values if it is logged."""
        logits, tape = self.network.forward(inputs)
        logit_grads = self.objectives.gradient(logits, targets)
        self.network.backward(tape, logit_grads)  # type: ignore[arg-type]
        kept = None
        if logged:
            norms = layer_norms(self.gradients, self.layers)
            kept = LoggedStep(step, logits, targets, logit_grads, norms)
        if self.limited:
            limit_norm(self.gradients, self.limits)
        self.stepper.step(self.parameters, self.gradients, self.factors[step], step + 1)
        return kept
