"""Experiment: one run in plain objects, with everything that decides its numbers."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mlr.core.checks import InputError, known, positive, whole
from mlr.core.domains import REALS, Distributions
from mlr.data.base import Dataset
from mlr.objectives.compatibility import target_region
from mlr.probes import ProbeSettings
from mlr.training.optimizers import Optimizer
from mlr.training.own_updates import OwnSchedule
from mlr.training.patience import ERROR, LOSS, Patience
from mlr.training.schedules import Constant, LearningRate

if TYPE_CHECKING:
    from torch import nn

    from mlr.objectives import Objective
    from mlr.probes.base import Subject
    from mlr.training.structure import Dense

DTYPES = ("float32", "float64")


def check_run_options(options: Mapping[str, Any]) -> None:
    """Check the options of a run that belong to no part, without importing torch."""
    for name in ("epochs", "batch_size", "steps", "patience"):
        if options[name] is not None or name in ("epochs", "batch_size"):
            whole(name, options[name])
    if options["max_grad_norm"] is not None:
        positive("max_grad_norm", options["max_grad_norm"])
    known("dtype", options["dtype"], DTYPES)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One run.

    Args:
        objective: head and loss.
        module: (B, *feature_shape) → logits (B, K), freshly initialised.
        data: the dataset, on any device.
        optimizer: its kind and rates.
        schedule: factor on the learning rate in the step number.
        probes: families that are measured, and how often.
        epochs: passes over the training split; ignored when `steps` is given.
        steps: updates, if not whole epochs.
        batch_size: examples an update; the last batch of an epoch may be smaller.
        shuffle: whether each epoch has its own order of the training examples, by `seed`; False
            keeps the order of `data`.
        drop_last: leave out the last examples of an epoch that do not fill a batch.
        test_every_epoch: record the test split at the end of each epoch too, not only of the run.
        seed: decides the order of the data (the module is initialised already).
        dtype: of parameters and features.
        device: a torch device.
        max_grad_norm: the mean gradient is scaled down to this norm, None: never.
        patience: stop after so many epochs without a lower validation loss, None: never.
        class_weights: of the classes 0 … K − 1, which multiply the losses of their examples, of
            smoothed targets those of each class in them; None weighs nothing.
        stopping: patience in updates, and how much lower is lower.

    Raises:
        InputError: a value out of range, a batch larger than the training split, patience
            without validation examples, or targets that the head's density cannot have.
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
    shuffle: bool = True
    drop_last: bool = False
    test_every_epoch: bool = False
    seed: int = 0
    dtype: str = "float32"
    device: str = "cpu"
    max_grad_norm: float | None = None
    patience: int | None = None
    class_weights: tuple[float, ...] | None = None
    stopping: Patience = field(default_factory=Patience)

    def __post_init__(self) -> None:
        check_run_options(vars(self))
        if self.objective.weight is not None:
            raise InputError(
                "The objective of a run must have no weight of its own; give class_weights to the "
                "experiment."
            )
        waits = {"patience": self.patience, "stopping.updates": self.stopping.updates}
        for option, value in waits.items():
            if value is not None and not self.data.validated:
                raise InputError(
                    f"{option}={value} needs validation examples, and data={self.data.name} has "
                    f"none here; leave {option} out, or give it some."
                )
        if self.stopping.by == ERROR and self.data.classes is None:
            raise InputError(
                f"stopping.by={ERROR} needs one class an example, which data={self.data.name} "
                f"does not have; use stopping.by={LOSS}."
            )
        self._check_targets()
        examples = len(self.data.train)
        if self.batch_size > examples:
            raise InputError(
                f"batch_size={self.batch_size} is more than the {examples} training "
                f"example{'s' * (examples != 1)} of data={self.data.name}; "
                f"use batch_size={examples}{' or less' * (examples > 1)}."
            )

    def _check_targets(self) -> None:
        """Refuse data that the density of the head holds for impossible, as counts below 0."""
        from mlr.objectives.validation import check_targets

        head, loss = self.objective.head, self.objective.loss
        if not loss.of_head or target_region(head, loss) == REALS:
            return
        for split in (self.data.train, self.data.val, self.data.test):
            try:
                check_targets(head, loss, split.targets)
            except InputError as error:
                raise InputError(f"data={self.data.name}: {error}") from None

    @property
    def steps_per_epoch(self) -> int:
        """Updates in one pass over the training split."""
        examples = len(self.data.train)
        return examples // self.batch_size if self.drop_last else -(-examples // self.batch_size)

    @property
    def total_steps(self) -> int:
        """Updates of the whole run."""
        return self.steps if self.steps is not None else self.epochs * self.steps_per_epoch

    @property
    def spread(self) -> bool:
        """Tell if a density, and so a standard deviation, is predicted for each target."""
        region = self.objective.head.range
        return isinstance(region, Distributions) and region.density

    @cached_property
    def function(self) -> Hashable:
        """Equal for runs whose objectives are the same function."""
        from mlr.training.run_objectives import identity

        return identity(self.objective, self.class_weights is not None)

    @cached_property
    def structure(self) -> list[Dense] | None:
        """The layers of a dense network; None for any other module."""
        from mlr.training.structure import dense_structure

        return dense_structure(self.module, self.data.feature_shape)

    @cached_property
    def parameters(self) -> dict[str, nn.Parameter]:
        """The module's trained parameters by name: without frozen ones."""
        from mlr.training.structure import parameters_of

        return parameters_of(self.module, self.structure)

    @cached_property
    def subject(self) -> Subject:
        """The classes and layers that can be measured."""
        from mlr.training.structure import subject_of

        return subject_of(self.module, self.data, self.spread, self.structure)

    @cached_property
    def program_parts(self) -> dict[str, Hashable]:
        """Properties that decide how the run is computed; see `program_key`."""
        optimizer, module, structure = self.optimizer, self.module, self.structure
        return {
            "data": self.data.shape,
            "model": (
                repr(module) if structure is None else tuple(structure),
                tuple((name, value.shape) for name, value in self.parameters.items()),
            ),
            "optimizer": (type(optimizer), optimizer.operations),
            # a schedule of torch depends on the rate
            "optimizer.lr": optimizer.lr if isinstance(self.schedule, OwnSchedule) else None,
            "max_grad_norm": self.max_grad_norm is None,
            "density": self.spread,
            **{name: getattr(self, name) for name in SHARED},
        }


def program_key(experiment: Experiment) -> Hashable:
    """Key of a run: runs with equal keys can be trained as one program.

    Objective, rates, seed, initial parameters, limits and the values of the data may differ.
    A rate of exactly 0 leaves out an operation, and is part of the key.
    """
    return tuple(experiment.program_parts.values())


SHARED = (
    *("schedule", "probes", "epochs", "steps", "batch_size", "dtype", "device"),
    *("shuffle", "drop_last", "test_every_epoch"),
)


def check_one_program(experiments: Sequence[Experiment]) -> None:
    """Refuse no runs, runs of different `program_key`, and models that cannot be trained."""
    if not experiments:
        raise InputError("There is no run to train.")
    first = experiments[0].program_parts
    for own in experiments:
        parts = own.program_parts
        if parts != first:
            differing = [name for name, value in parts.items() if value != first[name]]
            raise InputError(
                f"Runs of one program must share {', '.join(differing)}; train them one by one."
            )
        if not own.parameters:
            raise InputError(
                "The model must have parameters that are trained; it has none with "
                "requires_grad=True."
            )
