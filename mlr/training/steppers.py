"""Optimizer updates of L lanes at once: moments are flat (L, P) tensors, rates are (L, 1).

A step is a few operations for any network and any number of runs. Results are tested to equal
those of torch.optim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import torch
from torch import Tensor

from mlr.training.memory_layout import distinct
from mlr.training.optimizers import SGD, AdamW, Optimizer


def column(values: Sequence[float], like: Tensor) -> Tensor:
    """Make a column (L, 1) of per-run numbers, in the dtype and on the device of `like`."""
    return torch.tensor(values, dtype=like.dtype, device=like.device).unsqueeze(1)


class FlatStepper:
    """An update whose moments are tensors (L, P); a single optimizer remembers nothing else."""

    state: dict[str, Tensor]
    """moments by name (L, P)"""
    remembered: Mapping[str, Any] = MappingProxyType({})

    def held(self, lanes: Sequence[int]) -> list[dict[str, Tensor]]:
        """Return what lanes hold besides: nothing."""
        return []

    def load(self, lanes: Sequence[int], held: Sequence[Mapping[str, Tensor]]) -> None:
        """Load nothing."""


class SGDStepper(FlatStepper):
    """SGD of lanes with the same operations; without momentum and decay, a single one."""

    def __init__(self, lanes: Sequence[Any], parameters: Tensor) -> None:
        first = lanes[0]
        self.negative_lr = column([-own.lr for own in lanes], parameters)
        self.decay = column([own.weight_decay for own in lanes], parameters)
        self.momentum = column([own.momentum for own in lanes], parameters)
        self.decays, self.moves, self.nesterov = first.operations
        self.state = {"velocity": torch.zeros_like(parameters)} if self.moves else {}

    def step(self, parameters: Tensor, gradients: Tensor, factor: float, number: int) -> None:
        """Update as torch's SGD with dampening 0.

        Args:
            parameters: θ (L, P), updated in place.
            gradients: g (L, P); may be overwritten.
            factor: the schedule's factor on every run's learning rate at this step.
            number: 1 for the first step.
        """
        if self.decays:
            gradients.addcmul_(parameters, self.decay)
        direction = gradients
        if self.moves:
            direction = self.state["velocity"].mul_(self.momentum).add_(gradients)
            if self.nesterov:
                direction = torch.addcmul(gradients, direction, self.momentum)
        parameters.addcmul_(direction, self.negative_lr, value=factor)


class AdamStepper(FlatStepper):
    """Adam, or AdamW, whose decay is decoupled; arguments and attributes as of `SGDStepper`."""

    def __init__(self, lanes: Sequence[Any], parameters: Tensor) -> None:
        self.lr = column([own.lr for own in lanes], parameters)
        self.eps = column([own.eps for own in lanes], parameters)
        self.decay = column([own.weight_decay for own in lanes], parameters)
        betas = [(own.beta1, own.beta2) for own in lanes]
        firsts, which = distinct(betas)
        self.betas = [betas[first] for first in firsts]
        self.beta_of = torch.tensor(which, device=parameters.device)
        self.one_minus_beta1 = column([1 - beta1 for beta1, _ in betas], parameters)
        self.beta2 = column([beta2 for _, beta2 in betas], parameters)
        self.one_minus_beta2 = column([1 - beta2 for _, beta2 in betas], parameters)
        (self.decays,) = lanes[0].operations
        self.decoupled = isinstance(lanes[0], AdamW)
        self.state = {name: torch.zeros_like(parameters) for name in ("mean", "square")}

    def step(self, parameters: Tensor, gradients: Tensor, factor: float, number: int) -> None:
        """Update as torch's Adam or AdamW without amsgrad."""
        if self.decays and self.decoupled:
            parameters.mul_(1 - factor * self.lr * self.decay)
        elif self.decays:
            gradients.addcmul_(parameters, self.decay)
        mean, square = self.state["mean"], self.state["square"]
        mean.lerp_(gradients, self.one_minus_beta1)
        square.mul_(self.beta2).add_(gradients.square_().mul_(self.one_minus_beta2))
        rates = column([factor / (1 - beta1**number) for beta1, _ in self.betas], mean)
        roots = column([(1 - beta2**number) ** 0.5 for _, beta2 in self.betas], mean)
        rate, root = rates[self.beta_of], roots[self.beta_of]
        denominator = square.sqrt().div_(root).add_(self.eps)
        parameters.sub_(mean.mul(rate * self.lr).div_(denominator))


Stepper: TypeAlias = SGDStepper | AdamStepper


def make_stepper(lanes: Sequence[Optimizer], parameters: Tensor) -> Stepper:
    """Make the update of all lanes, whose optimizers are of one class."""
    kind = SGDStepper if isinstance(lanes[0], SGD) else AdamStepper
    return kind(lanes, parameters)


def limit_norm(gradients: Tensor, limits: Tensor) -> None:
    """Scale each lane's gradient (L, P) in place to a norm of at most its limit (L, 1).

    As torch.nn.utils.clip_grad_norm_, which adds 1e-6 to the norm.
    """
    norms = torch.linalg.vector_norm(gradients, dim=1, keepdim=True)
    gradients.mul_((limits / (norms + 1e-6)).clamp(max=1.0))
