"""Trial of a module before training: one that would fail at some step is refused in a sentence."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from mlr.core.checks import InputError
from mlr.training.experiment import Experiment


def try_parts(experiment: Experiment) -> None:
    """Call a copy of a run's module, if it is no dense network.

    Raises:
        InputError: it gives no tensor, or batch normalization gets a batch of one example.
    """
    if experiment.structure is not None:
        return
    x = experiment.data.train.features[:1]
    like = next(iter(experiment.parameters.values()))
    module = copy.deepcopy(experiment.module).to(like.device, getattr(torch, experiment.dtype))
    x = x.to(like.device, getattr(torch, experiment.dtype))
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        logits = module.eval()(x)
        if not isinstance(logits, Tensor):
            raise InputError(
                f"the model returns a {type(logits).__name__}, not a tensor of logits; return the "
                "logits alone from forward()."
            )
        if smallest_batch(experiment) > 1:
            return
        try:
            module.train()(x)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise InputError(_of_one_example(experiment)) from error


def smallest_batch(experiment: Experiment) -> int:
    """Count the examples of the smallest batch of an epoch."""
    size, examples = experiment.batch_size, len(experiment.data.train)
    return size if experiment.drop_last else examples % size or size


def _of_one_example(experiment: Experiment) -> str:
    size, examples = experiment.batch_size, len(experiment.data.train)
    found, other = "batch_size=1", "a larger one"
    if size > 1:
        found = f"the last batch of an epoch, of {examples} examples with batch_size={size},"
        other = "another batch_size, or data.drop_last=true"
    return (
        f"{found} has a single example, of which batch normalization has no variance; use {other}."
    )
