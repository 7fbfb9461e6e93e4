"""The updates of L lanes as one: moments are flat (L, P) tensors, rates are (L, 1).

So a step is a handful of operations for any network and any number of runs. Tested
equal to torch.optim.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from mlr.training.arrange import distinct
from mlr.training.optimizers import SGD, Adam

State = dict[str, Tensor]


def column(values: Sequence[float], like: Tensor) -> Tensor:
    """Per-run numbers as (L, 1) in the dtype and on the device of `like`."""
    return torch.tensor(values, dtype=like.dtype, device=like.device).unsqueeze(1)


class Stepper(ABC):
    """The update of L lanes: holds their rates as (L, 1) tensors and their moments in `state`."""

    state: State

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
    """Without momentum and decay, a single operation."""

    def __init__(self, runs: Sequence[SGD], parameters: Tensor) -> None:
        self.negative_lr = column([-run.lr for run in runs], parameters)
        self.decays, self.moves, self.looks_ahead = runs[0].operations
        self.decay = column([run.weight_decay for run in runs], parameters)
        self.momentum = column([run.momentum for run in runs], parameters)
        self.state: State = {"velocity": torch.zeros_like(parameters)} if self.moves else {}

    def step(self, parameters: Tensor, gradients: Tensor, factor: float, number: int) -> None:
        """Torch's SGD with dampening 0."""
        if self.decays:
            gradients.addcmul_(parameters, self.decay)
        direction = gradients
        if self.moves:
            direction = self.state["velocity"].mul_(self.momentum).add_(gradients)
            if self.looks_ahead:
                direction = torch.addcmul(gradients, direction, self.momentum)
        parameters.addcmul_(direction, self.negative_lr, value=factor)


class AdamStepper(Stepper):
    """Adam, or AdamW when the decay is decoupled."""

    def __init__(self, runs: Sequence[Adam], parameters: Tensor, decoupled: bool) -> None:
        self.lr = column([run.lr for run in runs], parameters)
        (self.decays,) = runs[0].operations
        self.decay = column([run.weight_decay for run in runs], parameters)
        firsts, which = distinct([(run.beta1, run.beta2) for run in runs])
        self.betas = [(runs[first].beta1, runs[first].beta2) for first in firsts]
        self.beta_of = torch.tensor(which, device=parameters.device)
        self.one_minus_beta1 = column([1 - run.beta1 for run in runs], parameters)
        self.beta2 = column([run.beta2 for run in runs], parameters)
        self.one_minus_beta2 = column([1 - run.beta2 for run in runs], parameters)
        self.eps = column([run.eps for run in runs], parameters)
        self.decoupled = decoupled
        self.state: State = {
            "mean": torch.zeros_like(parameters),
            "square": torch.zeros_like(parameters),
        }

    def step(self, parameters: Tensor, gradients: Tensor, factor: float, number: int) -> None:
        """Torch's Adam or AdamW without amsgrad."""
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


def limit_norm(gradients: Tensor, limits: Tensor) -> None:
    """Scale each lane's gradient (L, P) in place to a norm of at most its limit (L, 1).

    As torch.nn.utils.clip_grad_norm_, which adds 1e-6 to the norm.
    """
    norms = torch.linalg.vector_norm(gradients, dim=1, keepdim=True)
    gradients.mul_((limits / (norms + 1e-6)).clamp(max=1.0))
