"""Loops as people write them, and their numbers."""

from __future__ import annotations

import csv
import math

import torch
from torch import nn
from torch.nn import functional as F


def module(seed=0, activation=nn.ReLU, dtype=torch.float32, dropout=0.0, classes=3):
    torch.manual_seed(seed)
    layers = nn.Sequential(
        nn.Linear(5, 8), activation(), nn.Dropout(dropout), nn.Linear(8, classes)
    )
    return layers.to(dtype)


def batches(count=6, size=16, dtype=torch.float32, classes=3):
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        inputs = torch.randn(size, 5, generator=generator, dtype=dtype)
        yield inputs, torch.randint(classes, (size,), generator=generator)


def train(model, optimizer, probe=None, loss_of=F.cross_entropy, data=None):
    """The three lines, but for the first and the last."""
    for inputs, targets in batches() if data is None else data:
        optimizer.zero_grad()
        logits = model(inputs)
        loss = loss_of(logits, targets)
        if probe is not None:
            probe.watch(logits, targets, loss)
        loss.backward()
        optimizer.step()


def table(folder):
    """Rows of metrics.csv: tag → number, NaN where the cell is empty."""
    with (folder / "metrics.csv").open(newline="") as file:
        return [
            {tag: float(cell) if cell else math.nan for tag, cell in row.items()}
            for row in csv.DictReader(file)
        ]
