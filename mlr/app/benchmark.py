"""mlr beside the loop a person would write by hand: same model, data, batches and updates.

The hand-written loop is `nn.Module` + `torch.optim.SGD` + `X[idx]` over tensors already in
memory, and logs nothing; mlr logs as it does by default, into a real run folder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlr.data.base import Dataset, Split
from mlr.models import Linear, Mlp, Model
from mlr.objectives import Objective
from mlr.records import Recorder, RunFolder
from mlr.training import SGD, Experiment, train
from mlr.training.log import run_tags


@dataclass(frozen=True)
class Work:
    """One job, done by hand and by mlr."""

    title: str
    examples: int
    features: int
    classes: int
    batch_size: int
    epochs: int
    model: Model
    bar: float
    """the ratio that mlr promises to stay below"""


WORKS = (
    Work(
        "logistic regression, n=1000, d=2, batch 32, 20 epochs", 1000, 2, 2, 32, 20, Linear(), 0.4
    ),
    Work("MLP 784-128-10, 60,000 images, batch 128, 1 epoch", 60_000, 784, 10, 128, 1, Mlp(), 0.95),
)


def make_data(work: Work) -> Dataset:
    """Noise with a linear rule in it: the values do not matter to the time."""
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(work.examples, work.features, generator=generator)
    rule = torch.randn(work.features, work.classes, generator=generator)
    labels = ((features - 0.5) @ rule).argmax(1)
    held_out = Split(features[:200], labels[:200])
    return Dataset("benchmark", Split(features, labels), held_out, held_out, work.classes)


def by_hand(work: Work, data: Dataset) -> None:
    """The loop as tutorials write it."""
    outputs = 1 if work.classes == 2 else work.classes
    module: nn.Module = work.model.build(data.feature_shape, outputs, 0)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    x, labels = data.train.features, data.train.targets
    targets = labels.float().unsqueeze(1) if outputs == 1 else labels
    loss_of: Callable[[Tensor, Tensor], Tensor] = (
        F.binary_cross_entropy_with_logits if outputs == 1 else F.cross_entropy
    )
    for _ in range(work.epochs):
        order = torch.randperm(len(x))
        for start in range(0, len(x), work.batch_size):
            chosen = order[start : start + work.batch_size]
            loss = loss_of(module(x[chosen]), targets[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def by_mlr(work: Work, data: Dataset, folder: Path) -> None:
    """One run with default logging: events, histograms, metrics.csv, status, in a new folder."""
    outputs = 1 if work.classes == 2 else work.classes
    head, loss = ("sigmoid", "bce") if outputs == 1 else ("softmax", "ce")
    experiment = Experiment(
        objective=Objective(head, loss, outputs=outputs),
        module=work.model.build(data.feature_shape, outputs, 0),
        data=data,
        optimizer=SGD(lr=0.1),
        epochs=work.epochs,
        batch_size=work.batch_size,
    )
    claimed = RunFolder.claim(folder / token_hex(8))
    with Recorder(claimed, run_tags(experiment), {"lr": 0.1}) as recorder:
        (result,) = train([experiment], [recorder])
        recorder.finish(result.status, result.metrics)


def compare(work: Work, repeats: int) -> tuple[float, float]:
    """Median seconds by hand and by mlr, measured in turn within this process."""
    data = make_data(work)
    with TemporaryDirectory() as folder:
        jobs = (lambda: by_hand(work, data), lambda: by_mlr(work, data, Path(folder)))
        seconds: tuple[list[float], list[float]] = ([], [])
        for repeat in range(repeats + 1):
            for job, times in zip(jobs, seconds, strict=True):
                started = perf_counter()
                job()
                if repeat > 0:  # the first call of each warms up
                    times.append(perf_counter() - started)
    return median(seconds[0]), median(seconds[1])
