"""The plain loop that the engine must equal: autograd, torch.optim, one run, no tricks.

Its batches are those of `Orders`; schedules are compared in `test_updates`.
"""

from __future__ import annotations

import copy

import torch

from mlr.training import Constant, Experiment
from mlr.training.shuffling import Orders


def optimizer(settings, parameters):
    shared = {"lr": settings.lr, "weight_decay": settings.weight_decay}
    if settings.name == "sgd":
        return torch.optim.SGD(
            parameters, momentum=settings.momentum, nesterov=settings.nesterov, **shared
        )
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.name]
    return kind(parameters, betas=(settings.beta1, settings.beta2), eps=settings.eps, **shared)


def train_plainly(experiment: Experiment, losses=None) -> dict[str, torch.Tensor]:
    """Final parameters; appends the mean loss of every batch to `losses`."""
    module = copy.deepcopy(experiment.module).double()
    optim = optimizer(experiment.optimizer, module.parameters())
    features, labels = experiment.data.train.features, experiment.data.train.targets
    head, loss = experiment.objective.head, experiment.objective.loss
    assert experiment.schedule == Constant()
    count, step, epoch = len(features), 0, 0
    while step < experiment.total_steps:
        order = torch.from_numpy(Orders([experiment.seed], count).epoch(epoch)[0].astype(int))
        for chosen in order.split(experiment.batch_size):
            if step == experiment.total_steps:
                break
            logits = module(features[chosen])
            targets = labels[chosen]
            if experiment.data.classes is not None:
                one = logits.shape[1] == 1
                targets = (
                    targets.double().unsqueeze(1)
                    if one
                    else torch.eye(logits.shape[1], dtype=torch.float64)[targets]
                )
            mean = loss(head(logits), targets).mean()
            optim.zero_grad()
            mean.backward()
            if experiment.max_grad_norm is not None:
                torch.nn.utils.clip_grad_norm_(module.parameters(), experiment.max_grad_norm)
            optim.step()
            if losses is not None:
                losses.append(mean.item())
            step += 1
        epoch += 1
    return {name: value.detach() for name, value in module.named_parameters()}
