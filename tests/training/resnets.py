"""A small residual network with batch normalization and a frozen stem, and a plain loop over it."""

from __future__ import annotations

import copy
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from mlr.data.base import Dataset, Split
from mlr.objectives import Objective
from mlr.training import SGD, Experiment
from mlr.training.shuffling import orders_of

EXAMPLES, BATCH, CLASSES = 50, 16, 3  # the last batch of an epoch has 2


class Block(nn.Module):
    """x + BN(W₂ ReLU(BN(W₁ x)))."""

    def __init__(self, channels):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(channels, momentum=None)
        self.act = nn.ReLU()

    def forward(self, x):
        hidden = self.act(self.first_norm(self.first(x)))
        return self.act(x + self.second_norm(self.second(hidden)))


class ResNet(nn.Module):
    """Images (B, 1, 6, 6) → (B, K); the stem and a bias are frozen."""

    def __init__(self, outputs=CLASSES, channels=4, dropout=0.0):
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.blocks = nn.Sequential(Block(channels), Block(channels))
        self.drop = nn.Dropout(dropout)
        self.output = nn.Linear(channels, outputs)
        self.stem.requires_grad_(False)
        self.output.bias.requires_grad_(False)

    def forward(self, x):
        hidden = self.blocks(self.norm(self.stem(x)))
        return self.output(self.drop(hidden.mean((2, 3))))


def data_of(examples=EXAMPLES):
    generator = torch.Generator().manual_seed(0)
    x = 3 + 2 * torch.randn(examples, 1, 6, 6, generator=generator, dtype=torch.float64)
    labels = ((x.mean((1, 2, 3)) - 3) * 2).add(1).round().clamp(0, 2).long()
    halves = [
        Split(x, labels),
        Split(x[:20].flip(0), labels[:20].flip(0)),
        Split(x[:9], labels[:9]),
    ]
    return Dataset("made", *halves, CLASSES)


DATA = data_of()
SGD_OF_RUN = partial(torch.optim.SGD, lr=0.1, momentum=0.9, weight_decay=0.01)


def run_of(seed=0, dtype="float64", **changes):
    torch.manual_seed(seed)
    module = changes.pop("module", None) or ResNet(dropout=changes.pop("dropout", 0.0))
    return Experiment(
        **{
            "objective": Objective("softmax", "ce", outputs=CLASSES),
            "module": module.to(getattr(torch, dtype)),
            "data": DATA,
            "optimizer": SGD(lr=0.1, momentum=0.9, weight_decay=0.01),
            "batch_size": BATCH,
            "epochs": 3,
            "seed": seed,
            "dtype": dtype,
        }
        | changes
    )


def by_torch(run, make=SGD_OF_RUN):
    """Train a copy of the run's module in a plain loop; returns it in evaluation mode."""
    module = copy.deepcopy(run.module).train()
    trained = [own for own in module.parameters() if own.requires_grad]
    optimizer = make(trained)
    x, labels = run.data.train.features.to(next(module.parameters())), run.data.train.targets
    orders = orders_of(run.shuffle, [run.seed], len(x))
    for step in range(run.total_steps):
        epoch, batch = divmod(step, run.steps_per_epoch)
        chosen = orders.epoch(epoch)[0].astype("int64")[batch * run.batch_size :][: run.batch_size]
        own = torch.from_numpy(chosen)
        optimizer.zero_grad()
        F.cross_entropy(module(x[own]), labels[own]).backward()
        if run.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(trained, run.max_grad_norm)
        optimizer.step()
    return module.eval()
