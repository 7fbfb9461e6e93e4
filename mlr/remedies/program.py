"""A program of a user's own as a value, and its training from a seed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mlr.core.checks import InputError
from mlr.core.seeds import derive_seed
from mlr.loop.preflight.rehearsal import seed_all
from mlr.loop.preflight.untouched import untouched

Batch = tuple[Any, Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]
Watch = Callable[[Tensor, Tensor, Tensor], None]
Parts = tuple[nn.Module, list[Optimizer]]
Step = Callable[[nn.Module, Any, Any, Tensor, Watch], None]
"""One update of a user's own loop: model, optimizer or optimizers, inputs, targets, watch."""


class TimeOver(Exception):  # noqa: N818  as KeyboardInterrupt, no error
    """End of the time within a training."""


@dataclass(frozen=True)
class OwnProgram:
    """A training program.

    make: gives a fresh model and its optimizers.
    loss: of outputs and targets.
    batches: of one epoch.
    held: that judge.
    step: one update; None for the plain one.
    form: name of the loss as a function of the outputs, as in `evidence.recomputed`; empty if
        unknown.
    singly: True if examples are judged one by one, since outputs depend on their neighbours.
    """

    make: Callable[[], Parts]
    loss: Loss
    batches: Callable[[], Iterable[Batch]]
    held: Callable[[], Iterable[Batch]]
    step: Step | None = None
    form: str = ""
    singly: bool = False


def outputs_of(model: nn.Module, inputs: Any) -> Tensor:
    """Call a model; a tuple of inputs becomes several arguments."""
    return model(*inputs) if isinstance(inputs, (tuple, list)) else model(inputs)


def train(
    program: OwnProgram,
    seed: int,
    steps: int,
    end: float,
    watching: Callable[[nn.Module, list[Optimizer]], Watch] | None = None,
    enough: Callable[[int], bool] = lambda done: False,
) -> tuple[nn.Module, int]:
    """Train a fresh model; returns it and the number of steps.

    Args:
        program: to train.
        seed: of the initial weights and of the order.
        steps: number of batches.
        end: time of `monotonic` at which it is given up.
        watching: opens what looks at each batch before its backward pass.
        enough: tells after each step if they are enough.

    Raises:
        TimeOver: at the end of the time.
        InputError: the loader gives nothing.
    """
    seed_all(seed)
    model, optimizers = program.make()
    watch = watching(model, optimizers) if watching is not None else _ignore
    # a factory may have set a seed of its own, and then the order alone differs
    seed_all(derive_seed(seed, "order"))
    device, done = device_of(model), 0
    while True:
        before = done
        for inputs, targets in program.batches():
            if monotonic() > end:
                raise TimeOver
            inputs, targets = moved(inputs, device), moved(targets, device)
            if program.step is None:
                plain_step(program.loss, model, optimizers, inputs, targets, watch)
            else:
                own = optimizers[0] if len(optimizers) == 1 else optimizers
                program.step(model, own, inputs, targets, watch)
            done += 1
            if done == steps or enough(done):
                return model, done
        if done == before:
            raise InputError("The loader gives no batch; give one that can be read many times.")


def plain_step(
    loss: Loss,
    model: nn.Module,
    optimizers: Sequence[Optimizer],
    inputs: Any,
    targets: Tensor,
    watch: Watch,
) -> None:
    """Make one update as it should be."""
    for one in optimizers:
        one.zero_grad()
    outputs = outputs_of(model, inputs)
    value = loss(outputs, targets)
    if not isinstance(outputs, Tensor) or not isinstance(value, Tensor):
        which, kind = ("loss", value) if isinstance(outputs, Tensor) else ("output", outputs)
        raise InputError(f"The {which} must be a tensor, and is {type(kind).__name__}.")
    watch(outputs, targets, value)
    value.backward()
    for one in optimizers:
        one.step()


def _ignore(outputs: Tensor, targets: Tensor, loss: Tensor) -> None:
    """Watch nothing."""


def device_of(model: nn.Module) -> torch.device:
    """Return the device of the first parameter, else the CPU."""
    return next((own.device for own in model.parameters()), torch.device("cpu"))


def moved(value: Any, device: torch.device) -> Any:
    """Move tensors to a device."""
    if isinstance(value, (tuple, list)):
        return type(value)([moved(one, device) for one in value])
    return value.to(device) if isinstance(value, Tensor) else value


def pairs(loader: Iterable[Any]) -> Iterator[Batch]:
    """Yield the batches of a loader.

    Raises:
        InputError: one is no pair of inputs and targets.
    """
    for batch in loader:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise InputError(
                f"A batch must be a pair of inputs and targets, and is {type(batch).__name__}"
                f"{f' of {len(batch)}' if isinstance(batch, (tuple, list)) else ''}."
            )
        if not isinstance(batch[1], Tensor):
            raise InputError(f"Targets must be a tensor, and are {type(batch[1]).__name__}.")
        yield batch[0], batch[1]


@contextmanager
def kept(*loaders: Any) -> Iterator[None]:
    """Restore all random states afterwards, those of the loaders too, and be silent meanwhile."""
    parts = [part for loader in loaders for part in (loader, getattr(loader, "sampler", None))]
    generators = [getattr(part, "generator", None) for part in parts]
    with untouched(*generators), torch.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
