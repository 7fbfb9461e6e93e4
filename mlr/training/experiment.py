"""What one run is, in plain objects: everything that decides its numbers, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import nn

from mlr.checks import InputError, known, positive, whole
from mlr.data.base import Dataset
from mlr.objectives import Objective
from mlr.probes import ProbeSettings
from mlr.training.optimizers import Optimizer
from mlr.training.schedules import Constant, LearningRate

DTYPES = ("float32", "float64")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One run.

    Args:
        objective: head and loss.
        module: (B, *feature_shape) → logits (B, K), freshly initialised.
        data: the dataset, on any device.
        optimizer: its kind and rates.
        schedule: factor on the learning rate in the step number.
        probes: what is logged, and how often.
        epochs: passes over the training split; ignored when `steps` is given.
        steps: updates, if not whole epochs.
        batch_size: examples an update; the last batch of an epoch may be smaller.
        seed: decides the order of the data (the module is initialised already).
        dtype: of parameters and features.
        device: a torch device.
        max_grad_norm: the mean gradient is scaled down to this norm, None: never.
        patience: stop after so many epochs without a lower validation loss, None: never.

    Raises:
        InputError: a value out of range, or a batch larger than the training split.
    """

    objective: Objective
    module: nn.Module
    data: Dataset
    optimizer: Optimizer
    schedule: LearningRate = field(default_factory=Constant)
    probes: ProbeSettings = field(default_factory=ProbeSettings)
    epochs: int = 20
    steps: int | None = None
    batch_size: int = 64
    seed: int = 0
    dtype: str = "float32"
    device: str = "cpu"
    max_grad_norm: float | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        known("dtype", self.dtype, DTYPES)
        whole("epochs", self.epochs)
        whole("batch_size", self.batch_size)
        if self.steps is not None:
            whole("steps", self.steps)
        if self.max_grad_norm is not None:
            positive("max_grad_norm", self.max_grad_norm)
        if self.patience is not None:
            whole("patience", self.patience)
        examples = len(self.data.train)
        if self.batch_size > examples:
            raise InputError(
                f"batch_size={self.batch_size} is more than the {examples} training "
                f"example{'s' * (examples != 1)} of data={self.data.name}; "
                f"use batch_size={examples}{' or less' * (examples > 1)}."
            )

    @property
    def steps_per_epoch(self) -> int:
        """Updates in one pass over the training split."""
        return -(-len(self.data.train) // self.batch_size)

    @property
    def total_steps(self) -> int:
        """Updates of the whole run."""
        return self.steps if self.steps is not None else self.epochs * self.steps_per_epoch


SHARED = ("data", "schedule", "probes", "epochs", "steps", "batch_size", "dtype", "device")


def check_one_program(experiments: Sequence[Experiment]) -> None:
    """Refuse runs that cannot be one tensor program.

    Raises:
        InputError: no runs, or runs that differ in more than objective, rates, seed,
            initial parameters and limits.
    """
    if not experiments:
        raise InputError("There is no run to train.")
    first = experiments[0]
    for other in experiments[1:]:
        differing = [name for name in SHARED if getattr(other, name) != getattr(first, name)]
        if type(other.optimizer) is not type(first.optimizer):
            differing.append("optimizer")
        if _architecture(other.module) != _architecture(first.module):
            differing.append("model")
        if differing:
            raise InputError(
                f"Runs of one program must share {', '.join(differing)}; train them one by one."
            )
    for experiment in experiments:
        _check_module(experiment, alone=len(experiments) == 1)


def _architecture(module: nn.Module) -> tuple[str, list[tuple[str, tuple[int, ...]]]]:
    return repr(module), [(name, tuple(value.shape)) for name, value in module.named_parameters()]


def _check_module(experiment: Experiment, alone: bool) -> None:
    module, data = experiment.module, experiment.data
    parameters = list(module.parameters())
    if not parameters or not all(parameter.requires_grad for parameter in parameters):
        raise InputError(
            "The model must have parameters, and all of them are trained; one that is to stay "
            "fixed is a buffer (register_buffer)."
        )
    if not alone and (list(module.buffers()) or _draws(module)):
        raise InputError(
            "A model with buffers or dropout cannot share a program with other runs; train them "
            "one by one."
        )
    outputs = experiment.objective.outputs
    if data.classes is not None:
        needed = experiment.objective.head.outputs(data.classes)
        if outputs not in (None, needed):
            raise InputError(
                f"head={experiment.objective.head.name} needs {needed} outputs for "
                f"{data.classes} classes, but the objective was made for {outputs}."
            )


def _draws(module: nn.Module) -> bool:
    return any("Dropout" in type(part).__name__ for part in module.modules())
