"""Trials before training: parts of a user's own that would mislead or fail are refused."""

from __future__ import annotations

import copy

import torch
from torch import nn

from mlr.core.checks import InputError
from mlr.core.seeds import derive_seed
from mlr.heads import Head
from mlr.losses import Loss
from mlr.objectives import Objective
from mlr.objectives.trial import EXAMPLES, try_head, try_loss
from mlr.training.examples import targets_of
from mlr.training.experiment import Experiment
from mlr.training.own_stepper import remembered
from mlr.training.own_updates import OwnOptimizer, OwnSchedule

_tried: dict[object, Objective] = {}
"""Runs of a sweep share what was tried; objectives, whose objects are part of the keys, stay."""


def try_parts(experiment: Experiment) -> None:
    """Try a user's own head and loss on two small batches, and an optimizer and schedule of torch.

    Raises:
        InputError: a part is not what training takes it for, or batch normalization gets a batch
            of one example.
    """
    objective, data = experiment.objective, experiment.data
    if is_own(objective.head) or is_own(objective.loss):
        key = (experiment.function, objective.outputs, data.shape, experiment.dtype)
        if key not in _tried:
            _try_objective(experiment)
            _tried[key] = objective
    if isinstance(experiment.optimizer, OwnOptimizer):
        remembered(experiment)
    if isinstance(experiment.schedule, OwnSchedule):
        experiment.schedule.factors(experiment.total_steps, experiment.optimizer.lr)
    size, examples = experiment.batch_size, len(data.train)
    smallest = size if experiment.drop_last else examples % size or size
    reached = size == 1 or experiment.total_steps >= experiment.steps_per_epoch
    if smallest == 1 and reached and experiment.structure is None:
        _try_one_example(experiment)


def is_own(part: Head | Loss) -> bool:
    """Tell if a part is a user's own."""
    return not type(part).__module__.startswith("mlr.")


def _try_objective(experiment: Experiment) -> None:
    objective, data = experiment.objective, experiment.data
    head, targets = objective.head, data.train.targets
    rows = torch.arange(EXAMPLES, device=targets.device) % len(data.train)
    labels = targets[rows].cpu()
    outputs = head.outputs_of(data.classes, data.targets)
    generator = torch.Generator().manual_seed(derive_seed(0, "trial"))
    z = torch.randn(EXAMPLES, outputs, generator=generator, dtype=torch.float64)
    # training may be in inference mode, in which autograd takes nothing
    with torch.inference_mode(False), torch.random.fork_rng(devices=[]):
        z = z.clone()
        if is_own(head):
            try_head(head, z, objective.loss.matches_head)
        dtype = getattr(torch, experiment.dtype)
        t = targets_of(objective.head, labels, data.classes, outputs, dtype)
        try_loss(objective, z.to(dtype), t)


def _try_one_example(experiment: Experiment) -> None:
    norms = nn.modules.batchnorm._NormBase
    if not any(isinstance(part, norms) for part in experiment.module.modules()):
        return
    module = copy.deepcopy(experiment.module).train()
    example = experiment.data.train.features[:1].to(next(module.parameters()))
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            module(example)
    except ValueError as error:
        if "more than 1 value per channel" in str(error):
            raise InputError(_of_one_example(experiment)) from error
        raise


def _of_one_example(experiment: Experiment) -> str:
    size, examples = experiment.batch_size, len(experiment.data.train)
    found, other = "batch_size=1", "a larger one"
    if size > 1:
        found = f"the last batch of an epoch, of {examples} examples with batch_size={size},"
        other = "another batch_size, or data.drop_last=true"
    return (
        f"{found} has a single example, of which batch normalization has no variance; use {other}."
    )
