"""Time of mlr and of a loop written by hand, with the same model, data, batches and updates.

The hand-written loop is `nn.Module` + `torch.optim.SGD` + `X[idx]` over tensors already in
memory, and logs nothing; mlr logs by default settings into a real run folder. The loop is
measured on one thread and on all, each in turn with mlr, and the worse ratio counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from secrets import token_hex
from statistics import median
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlr.benchmarks.rows import BenchmarkRow, Ratio, duration, rounds, timed
from mlr.data.base import Dataset, Split
from mlr.models import Linear, Mlp, Model
from mlr.objectives import Objective
from mlr.probes import ProbeSettings
from mlr.records import Recorder, RunFolder
from mlr.training import SGD, Adam, Experiment, Optimizer, train
from mlr.training.background import threads
from mlr.training.log import run_tags

LR = 0.1


@dataclass(frozen=True)
class Workload:
    """One training, done by hand and by mlr.

    optimizer: SGD or Adam, with torch's further settings.
    side: side of square images; None for flat features.
    quantity: name of its ratio in the history; empty if it is not recorded.
    """

    title: str
    examples: int
    features: int
    classes: int
    batch_size: int
    epochs: int
    model: Model
    optimizer: Optimizer = SGD(lr=LR)  # noqa: RUF009 (it is frozen)
    side: int | None = None
    quantity: str = ""

    @property
    def outputs(self) -> int:
        """Logits per example."""
        return 1 if self.classes == 2 else self.classes


LOGISTIC = Workload(
    *("logistic regression, n=1000, d=2, batch 32, 20 epochs", 1000, 2, 2, 32, 20, Linear()),
    quantity="one logistic regression with files ÷ hand loop without",
)
IMAGES = Workload(
    *("MLP 784-128-10, 60,000 images, batch 128, 1 epoch", 60_000, 784, 10, 128, 1, Mlp()),
    quantity="MLP 784-128-10, one epoch ÷ hand loop",
)
PROMISED = {LOGISTIC: 0.3, IMAGES: 0.85}


def rows(repeats: int, works: dict[Workload, float] = PROMISED) -> Iterator[BenchmarkRow]:
    """Measure one run of each workload, with its promised ratio."""
    for work, promised in works.items():
        data = make_data(work)
        # not in turn: waiting threads would disturb the loop on one thread
        compared = [(*_mlr_and_loop(repeats, work, data, one), one) for one in (True, False)]
        own, hand, one = max(compared, key=lambda found: Ratio.of(*found[:2]))
        yield BenchmarkRow(
            work.title,
            duration(median(own)),
            f"{duration(median(hand))} by hand on {'one thread' if one else 'all threads'}",
            Ratio.of(own, hand),
            most=promised,
            quantity=work.quantity,
        )


def _mlr_and_loop(
    repeats: int, work: Workload, data: Dataset, one_thread: bool
) -> tuple[list[float], list[float]]:
    """Measure the seconds of mlr and of the loop, round by round."""
    with TemporaryDirectory() as folder:
        own, hand = rounds(
            [
                timed(partial(by_mlr, work, data, Path(folder))),
                timed(partial(by_hand, work, data, one_thread=one_thread)),
            ],
            repeats,
        )
    return own, hand


def make_data(work: Workload) -> Dataset:
    """Generate noise with linearly separated labels; the values do not matter for time."""
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(work.examples, work.features, generator=generator)
    rule = torch.randn(work.features, work.classes, generator=generator)
    labels = ((features - 0.5) @ rule).argmax(1)
    if work.side is not None:
        features = features.view(-1, 1, work.side, work.side)
    held_out = Split(features[:200], labels[:200])
    return Dataset("benchmark", Split(features, labels), held_out, held_out, work.classes)


def by_hand(work: Workload, data: Dataset, times: int = 1, one_thread: bool = False) -> None:
    """Run the loop of the tutorials `times` times.

    With small batches it is faster on one thread, above all on a busy machine, where threads that
    wait for each other take ten times as long.
    """
    with threads(1) if one_thread else nullcontext():
        for _ in range(times):
            _loop(work, data)


def _loop(work: Workload, data: Dataset) -> None:
    module: nn.Module = work.model.build(data.feature_shape, work.outputs, 0)
    kind = torch.optim.Adam if isinstance(work.optimizer, Adam) else torch.optim.SGD
    optimizer = kind(module.parameters(), lr=work.optimizer.lr)
    x, labels = data.train.features, data.train.targets
    binary = work.outputs == 1
    targets = labels.float().unsqueeze(1) if binary else labels
    loss_of: Callable[[Tensor, Tensor], Tensor] = (
        F.binary_cross_entropy_with_logits if binary else F.cross_entropy
    )
    for _ in range(work.epochs):
        order = torch.randperm(len(x))
        for start in range(0, len(x), work.batch_size):
            chosen = order[start : start + work.batch_size]
            loss = loss_of(module(x[chosen]), targets[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def experiment(work: Workload, data: Dataset, seed: int = 0, loss: str | None = None) -> Experiment:
    """Build one run as the command line does.

    Args:
        work: the workload.
        data: its dataset.
        seed: seed of the initial parameters and the order of the data.
        loss: name of the loss; None for BCE or CE.
    """
    head, usual = ("sigmoid", "bce") if work.outputs == 1 else ("softmax", "ce")
    return Experiment(
        objective=Objective(head, loss or usual, outputs=work.outputs),
        module=work.model.build(data.feature_shape, work.outputs, seed),
        data=data,
        optimizer=work.optimizer,
        epochs=work.epochs,
        batch_size=work.batch_size,
        seed=seed,
    )


def by_mlr(
    work: Workload,
    data: Dataset,
    folder: Path,
    probes: ProbeSettings | None = None,
    runs: int = 1,
) -> None:
    """Train as one program with all files of each run: events, histograms, metrics.csv, status.

    Args:
        work: the workload.
        data: its dataset.
        folder: parent of the runs' folders.
        probes: settings of the probes; None for the default.
        runs: number of runs, of different seeds.
    """
    probed = [
        replace(experiment(work, data, seed), probes=probes or ProbeSettings())
        for seed in range(runs)
    ]
    recorders = [
        Recorder(RunFolder.claim(folder / token_hex(8)), run_tags(run), {"lr": work.optimizer.lr})
        for run in probed
    ]
    for recorder, result in zip(recorders, train(probed, recorders), strict=True):
        recorder.finish(result.status, result.metrics)
