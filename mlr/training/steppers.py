"""Optimizer updates of L lanes at once: moments are flat (L, P) tensors, rates are (L, 1).

A step is a few operations for any network and any number of runs. Results are tested to equal
those of torch.optim.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mlr.training.memory_layout import distinct

Settings = Mapping[str, Sequence[float]]


def column(values: Sequence[float], like: Tensor) -> Tensor:
    """Make a column (L, 1) of per-run numbers, in the dtype and on the device of `like`."""
    return torch.tensor(values, dtype=like.dtype, device=like.device).unsqueeze(1)


def _if_used(values: Sequence[float], like: Tensor) -> Tensor | None:
    """Make a column, or None if all values are 0: runs of one program need the same operations."""
    return column(values, like) if any(values) else None


class Stepper(ABC):
    """Update of L lanes, with rates as (L, 1) tensors and moments by name in `state`."""

    state: dict[str, Tensor]

    @abstractmethod
    def step(self, parameters: Tensor, gradients: Tensor, factor: float, number: int) -> None:
        """Update `parameters` (L, P) in place.

        Args:
            parameters: θ (L, P).
            gradients: g (L, P); may be overwritten.
            factor: the schedule's factor on every run's learning rate at this step.
            number: 1 for the first step.
        """


class SGDStepper(Stepper):
    """SGD; without momentum and decay, a single operation.

    Args:
        settings: columns of `SGD` by name, a number per lane.
        parameters: θ (L, P).
    """

    def __init__(self, settings: Settings, parameters: Tensor) -> None:
        self.negative_lr = column([-rate for rate in settings["lr"]], parameters)
        self.decay = _if_used(settings["weight_decay"], parameters)
        self.momentum = _if_used(settings["momentum"], parameters)
        self.nesterov = bool(settings["nesterov"][0])
        moves = self.momentum is not None
        self.state = {"velocity": torch.zeros_like(parameters)} if moves else {}

    def step(self, parameters: Tensor, gradients: Tensor, factor: float, number: int) -> None:
        """Update as torch's SGD with dampening 0."""
        if self.decay is not None:
            gradients.addcmul_(parameters, self.decay)
        direction = gradients
        if self.momentum is not None:
            direction = self.state["velocity"].mul_(self.momentum).add_(gradients)
            if self.nesterov:
                direction = torch.addcmul(gradients, direction, self.momentum)
        parameters.addcmul_(direction, self.negative_lr, value=factor)


class AdamStepper(Stepper):
    """Adam, or AdamW if the decay is decoupled.

    Args:
        settings: columns of `Adam` by name, a number per lane.
        parameters: θ (L, P).
        decoupled: whether the decay is decoupled.
    """

    def __init__(self, settings: Settings, parameters: Tensor, decoupled: bool) -> None:
        self.lr, self.eps = (column(settings[name], parameters) for name in ("lr", "eps"))
        self.decay = _if_used(settings["weight_decay"], parameters)
        betas = list(zip(settings["beta1"], settings["beta2"], strict=True))
        firsts, which = distinct(betas)
        self.betas = [betas[first] for first in firsts]
        self.beta_of = torch.tensor(which, device=parameters.device)
        self.one_minus_beta1 = column([1 - beta1 for beta1, _ in betas], parameters)
        self.beta2 = column([beta2 for _, beta2 in betas], parameters)
        self.one_minus_beta2 = column([1 - beta2 for _, beta2 in betas], parameters)
        self.decoupled = decoupled
        self.state = {
            "mean": torch.zeros_like(parameters),
            "square": torch.zeros_like(parameters),
        }

    def step(self, parameters: Tensor, gradients: Tensor, factor: float, number: int) -> None:
        """Update as torch's Adam or AdamW without amsgrad."""
        if self.decay is not None and self.decoupled:
            parameters.mul_(1 - factor * self.lr * self.decay)
        elif self.decay is not None:
            gradients.addcmul_(parameters, self.decay)
        mean, square = self.state["mean"], self.state["square"]
        mean.lerp_(gradients, self.one_minus_beta1)
        square.mul_(self.beta2).add_(gradients.square_().mul_(self.one_minus_beta2))
        rates = column([factor / (1 - beta1**number) for beta1, _ in self.betas], mean)
        roots = column([(1 - beta2**number) ** 0.5 for _, beta2 in self.betas], mean)
        rate, root = rates[self.beta_of], roots[self.beta_of]
        denominator = square.sqrt().div_(root).add_(self.eps)
        parameters.sub_(mean.mul(rate * self.lr).div_(denominator))


def limit_norm(gradients: Tensor, limits: Tensor) -> None:
    """Scale each lane's gradient (L, P) in place to a norm of at most its limit (L, 1).

    As torch.nn.utils.clip_grad_norm_, which adds 1e-6 to the norm.
    """
    norms = torch.linalg.vector_norm(gradients, dim=1, keepdim=True)
    gradients.mul_((limits / (norms + 1e-6)).clamp(max=1.0))
