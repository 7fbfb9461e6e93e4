"""Optimizers and schedules of PyTorch or of a user's own, named by `_target_`.

They are classes and options until a program is made: `mlr.training.own_stepper` has one optimizer
for each run, and a schedule is replayed once for its learning rates.
"""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar

from mlr.core.checks import InputError
from mlr.training.optimizers import Optimizer
from mlr.training.schedules import LearningRate

Options = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class OwnOptimizer(Optimizer):
    """An optimizer class of torch, one object for each run.

    Args:
        kind: derived from torch.optim.Optimizer.
        options: its keyword arguments besides parameters and learning rate.
        lr: learning rate, which the schedule multiplies.
    """

    name: ClassVar[str] = "own"
    kind: type
    options: Options = ()

    @property
    def operations(self) -> tuple[Hashable, ...]:
        """Class and options: by them an update remembers moments or does not."""
        return self.kind, self.options


@dataclass(frozen=True, kw_only=True)
class OwnSchedule(LearningRate):
    """A class of torch's learning-rate schedulers, with a step at each update.

    Args:
        kind: derived from torch.optim.lr_scheduler.LRScheduler.
        options: its keyword arguments besides the optimizer.
    """

    name: ClassVar[str] = "own"
    kind: type
    options: Options = ()

    def after_warmup(self, step: int, total: int) -> float:
        """Refuse: factors depend on the learning rate; see `factors`.

        Raises:
            TypeError: always.
        """
        raise TypeError("the factors of a schedule of torch are those of all steps together")

    def factors(self, total_steps: int, lr: float) -> list[float]:
        """Compute the factors of all steps, by an optimizer of one parameter.

        Raises:
            InputError: the schedule fails, changes more than the rate, or gives none.
        """
        import torch

        name = self.kind.__name__
        with torch.inference_mode(False), torch.enable_grad():
            optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
            try:
                schedule: Any = self.kind(optimizer, **dict(self.options))
                (group,) = optimizer.param_groups
                others = _others(group)
                rates = []
                for step in range(total_steps):
                    if step:
                        optimizer.step()
                        schedule.step()
                    rates.append(float(group["lr"]))
                    if _others(group) != others:
                        break
            except InputError:
                raise
            except Exception as error:
                raise InputError(
                    f"schedule._target_={name} fails with {dict(self.options)} in {total_steps} "
                    f"updates: {error} Set its arguments as +schedule.<argument>=…"
                ) from error
        if changed := [key for key, value in _others(group).items() if others.get(key) != value]:
            raise InputError(
                f"schedule._target_={name} changes {', '.join(changed)} of the optimizer, and a "
                "schedule may change the learning rate alone; turn that off, as by "
                "+schedule.cycle_momentum=false."
            )
        wrong = [rate for rate in rates if not (isfinite(rate) and rate >= 0)]
        if wrong:
            raise InputError(
                f"schedule._target_={name} gives the learning rate {wrong[0]}; "
                "it must be 0 or more."
            )
        return [rate / lr for rate in rates]


def _others(group: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a group other than its parameters and rates, which schedules have."""
    rates = ("params", "lr", "initial_lr", "max_lr", "min_lr")
    return {key: value for key, value in group.items() if key not in rates}


def own_optimizer(kind: type, options: Mapping[str, Any]) -> OwnOptimizer:
    """Take a class of optimizers with its options.

    Raises:
        InputError: it has no learning rate, or evaluates the loss itself, as LBFGS does.
    """
    parameters = inspect.signature(kind).parameters
    given: dict[str, Any] = {
        name: _fixed("optimizer", name, value) for name, value in options.items()
    }
    target = f"optimizer._target_={kind.__name__}"
    if "lr" not in parameters:
        raise InputError(
            f"{target} has no argument lr, which optimizer.lr and the schedule set; "
            "give its constructor one."
        )
    lr = given.pop("lr", parameters["lr"].default)
    if lr is inspect.Parameter.empty:
        raise InputError("optimizer.lr has no value yet; set optimizer.lr=…")
    closure = inspect.signature(kind.step).parameters.get("closure")  # type: ignore[attr-defined]
    if closure is not None and closure.default is closure.empty:
        raise InputError(
            f"{target} evaluates the loss several times an update, and here each update has one "
            "gradient; take another, such as torch.optim.Adam."
        )
    return OwnOptimizer(kind=kind, options=tuple(given.items()), lr=lr)


def own_schedule(kind: type, options: Mapping[str, Any]) -> OwnSchedule:
    """Take a class of schedulers with its options.

    Raises:
        InputError: it reads a loss, which is not known in advance.
    """
    from torch.optim.lr_scheduler import ReduceLROnPlateau

    if issubclass(kind, ReduceLROnPlateau):
        raise InputError(
            f"schedule._target_={kind.__name__} reads the validation loss, and schedules here are "
            "known in advance; take schedule=cosine, or stop by patience=…"
        )
    given = {name: _fixed("schedule", name, value) for name, value in options.items()}
    return OwnSchedule(kind=kind, options=tuple(given.items()))


def _fixed(group: str, name: str, value: object) -> object:
    """Return an option that cannot change; lists become tuples."""
    if isinstance(value, (list, tuple)):
        return tuple(_fixed(group, name, own) for own in value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise InputError(
        f"{group}.{name} is a {type(value).__name__}; it must be a number, a word or a list."
    )
