"""Cost of a `GradientProbe` in a plain PyTorch loop, compared with other libraries' measuring.

The 784-128-10 MLP on one thread, with the loop as tutorials write it; each ratio is over the same
loop without a probe, and contains making and closing the probe, files included. Lightning's
documented recipe for gradient norms and the callback of mlr are measured in Lightning's Trainer,
each over the Trainer alone; BackPACK gives the norms of single examples' gradients at every step.
Batches are made in advance, so that only the training is timed, in CPU seconds: wall-clock time
depends on other load by more than the few per cent to be measured.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from importlib.util import find_spec
from itertools import cycle, islice
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlr import GradientProbe
from mlr.benchmarks.rows import BenchmarkRow, duration, in_turn, worked
from mlr.benchmarks.workloads import IMAGES, LR, Workload, make_data
from mlr.training.background import threads

EPOCHS = 10
"""Epochs with the default schedule; at every step one epoch is enough."""
SHORT = (200, 2_000)
"""Steps of loops with a probe at its defaults, as a person first tries it."""
MOST_OF_SHORT = 1.05
NO_LIGHTNING = "not installed: pip install '.[lightning]'"
# its torchvision dependency breaks Lightning with another build of torch
NO_BACKPACK = "not installed: pip install --no-deps backpack-for-pytorch einops unfoldNd"
Batches = list[tuple[Tensor, Tensor]]
Watch = Callable[[nn.Module, torch.optim.Optimizer], AbstractContextManager[Any]]


def rows(
    repeats: int, work: Workload = IMAGES, epochs: int = EPOCHS, short: Sequence[int] = SHORT
) -> Iterator[BenchmarkRow]:
    """Measure ours in short loops, at the default schedule and at every step, then the others."""
    data = make_data(work).train
    batches = list(
        zip(data.features.split(work.batch_size), data.targets.split(work.batch_size), strict=True)
    )
    with TemporaryDirectory() as folder, threads(1):
        yield from _short(repeats, work, batches, Path(folder), short)
        probes = partial(_probes, Path(folder))
        yield from _in_plain_loop(repeats, work, batches * epochs, probes(), "default schedule")
        every = probes(schedule="every:1")
        yield from _in_plain_loop(repeats, work, batches, every, "every step", (1.3, 2))
        yield from _in_trainer(repeats, work, batches, Path(folder))
        yield from _backpack(repeats, work, batches)


def _probes(folder: Path, **more: Any) -> dict[str, Watch]:
    """Build a probe of each preset, each in a new run folder."""

    def watch(settings: str, model: nn.Module, optimizer: torch.optim.Optimizer) -> GradientProbe:
        place = folder / token_hex(8)
        return GradientProbe(model, optimizer, place, head="softmax", settings=settings, **more)

    return {settings: partial(watch, settings) for settings in ("basic", "full")}


def train_by_hand(work: Workload, batches: Batches, watch: Watch | None = None) -> None:
    """Train by a plain loop, with the three lines of a probe or without."""
    model: nn.Module = work.model.build((work.features,), work.outputs, 0)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    with nullcontext() if watch is None else watch(model, optimizer) as probe:
        for inputs, targets in batches:
            optimizer.zero_grad()
            logits = model(inputs)
            loss = F.cross_entropy(logits, targets)
            if probe is not None:
                probe.watch(logits, targets, loss)
            loss.backward()
            optimizer.step()


def _short(
    repeats: int, work: Workload, batches: Batches, folder: Path, short: Sequence[int]
) -> Iterator[BenchmarkRow]:
    def watch(model: nn.Module, optimizer: torch.optim.Optimizer) -> GradientProbe:
        return GradientProbe(model, optimizer, folder / token_hex(8))

    for steps in short:
        some = list(islice(cycle(batches), steps))
        jobs = [worked(partial(train_by_hand, work, some, one)) for one in (None, watch)]
        plain, watched = in_turn(jobs, repeats)
        title, other = f"GradientProbe, {steps:,} steps", f"{duration(plain)} plain loop"
        ratio = watched / plain
        yield BenchmarkRow(title, duration(watched), other, ratio, "×", most=MOST_OF_SHORT)


def _in_plain_loop(
    repeats: int,
    work: Workload,
    batches: Batches,
    watches: dict[str, Watch],
    when: str,
    most: tuple[float, float] = (1.02, 1.1),
) -> Iterator[BenchmarkRow]:
    jobs = [
        worked(partial(train_by_hand, work, batches, watch)) for watch in (None, *watches.values())
    ]
    plain, *watched = in_turn(jobs, repeats)
    for name, seconds, bound in zip(watches, watched, most, strict=True):
        title, other = f"GradientProbe {name}, {when}", f"{duration(plain)} plain loop"
        yield BenchmarkRow(title, duration(seconds), other, seconds / plain, "×", most=bound)


def _in_trainer(
    repeats: int, work: Workload, batches: Batches, folder: Path
) -> Iterator[BenchmarkRow]:
    title = "Lightning's grad_norm recipe"
    if find_spec("lightning") is None:
        yield BenchmarkRow(title, other=NO_LIGHTNING)
        return
    from mlr.benchmarks.with_lightning import fit_in_trainer

    def callback() -> Any:
        from mlr.loop.lightning import GradientProbeCallback

        return GradientProbeCallback(folder / token_hex(8), head="softmax", module="net")

    jobs = [
        worked(partial(fit_in_trainer, work, batches, folder)),
        worked(partial(fit_in_trainer, work, batches, folder, recipe=True)),
        worked(lambda: fit_in_trainer(work, batches, folder, callback=callback())),
    ]
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer, recipe, own = in_turn(jobs, repeats)
    alone = f"{duration(trainer)} Trainer alone"
    yield BenchmarkRow("GradientProbeCallback basic", duration(own), alone, own / trainer, "×")
    yield BenchmarkRow(
        title, other=f"{duration(recipe)}; {alone}", value=recipe / trainer, unit="×"
    )


def _backpack(repeats: int, work: Workload, batches: Batches) -> Iterator[BenchmarkRow]:
    title = "BackPACK's BatchL2Grad, every step"
    if find_spec("backpack") is None:
        yield BenchmarkRow(title, other=NO_BACKPACK)
        return
    from backpack import backpack, extend
    from backpack.extensions import BatchL2Grad

    warnings.filterwarnings("ignore", "Full backward hook is firing")

    def by_backpack() -> None:
        model = extend(work.model.build((work.features,), work.outputs, 0))
        loss_function = extend(nn.CrossEntropyLoss())
        optimizer = torch.optim.SGD(model.parameters(), lr=LR)
        for inputs, targets in batches:
            optimizer.zero_grad()
            with backpack(BatchL2Grad()):
                loss_function(model(inputs), targets).backward()
            squares = [parameter.batch_l2 for parameter in model.parameters()]
            torch.stack(squares).sum(0).sqrt().mean().item()
            optimizer.step()

    plain, theirs = in_turn(
        [worked(partial(train_by_hand, work, batches)), worked(by_backpack)], repeats
    )
    other = f"{duration(theirs)}; {duration(plain)} plain loop"
    yield BenchmarkRow(title, other=other, value=theirs / plain, unit="×")
