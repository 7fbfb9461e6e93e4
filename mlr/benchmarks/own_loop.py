"""A `GradientProbe` in a plain PyTorch loop, and what others ask for less.

The 784-128-10 MLP on one thread, with the loop as tutorials write it; each ratio is over the
same loop without a probe. Lightning's documented recipe for gradient norms and the callback of
mlr are measured in Lightning's Trainer, each over the Trainer alone; BackPACK gives the norms
of single examples' gradients at every step. Batches are made beforehand, so that only the
training is timed, in seconds of the processor: those of the clock hang on what else it does, and
a few per cent are to be seen.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlr import GradientProbe
from mlr.benchmarks.rows import Measure, Row, duration, in_turn
from mlr.benchmarks.works import IMAGES, LR, Work, make_data
from mlr.training.threads import threads

EPOCHS = 10
"""Of the default schedule, which has points for so long a run; one is enough at every step."""
NO_LIGHTNING = "not installed: pip install '.[lightning]'"
# the torchvision that it asks for breaks Lightning beside another build of torch
NO_BACKPACK = "not installed: pip install --no-deps backpack-for-pytorch einops unfoldNd"
Batches = list[tuple[Tensor, Tensor]]
Watch = Callable[[nn.Module, torch.optim.Optimizer], AbstractContextManager[Any]]


def rows(repeats: int, work: Work = IMAGES, epochs: int = EPOCHS) -> Iterator[Row]:
    """Ours at the default schedule and at every step, then the others."""
    data = make_data(work).train
    batches = list(
        zip(data.features.split(work.batch_size), data.targets.split(work.batch_size), strict=True)
    )
    with TemporaryDirectory() as folder, threads(1):
        probes = partial(_probes, Path(folder))
        yield from _beside_loop(repeats, work, batches * epochs, probes(), "default schedule")
        every = probes(schedule="every:1")
        yield from _beside_loop(repeats, work, batches, every, "every step", (1.3, 2))
        yield from _in_trainer(repeats, work, batches, Path(folder))
        yield from _backpack(repeats, work, batches)


def _probes(folder: Path, **more: Any) -> dict[str, Watch]:
    """A probe of each preset, in a new run folder."""

    def watch(settings: str, model: nn.Module, optimizer: torch.optim.Optimizer) -> GradientProbe:
        place = folder / token_hex(8)
        return GradientProbe(model, optimizer, place, head="softmax", settings=settings, **more)

    return {settings: partial(watch, settings) for settings in ("basic", "full")}


def _worked(job: Callable[[], object]) -> Measure:
    """Seconds of the processor that a job takes, on all threads."""

    def measure() -> float:
        started = process_time()
        job()
        return process_time() - started

    return measure


def train(work: Work, batches: Batches, watch: Watch | None = None) -> None:
    """The plain loop, with the three lines or without."""
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


def _beside_loop(
    repeats: int,
    work: Work,
    batches: Batches,
    watches: dict[str, Watch],
    when: str,
    most: tuple[float, float] = (1.02, 1.1),
) -> Iterator[Row]:
    jobs = [_worked(partial(train, work, batches, watch)) for watch in (None, *watches.values())]
    plain, *watched = in_turn(jobs, repeats)
    for name, seconds, bound in zip(watches, watched, most, strict=True):
        title, beside = f"GradientProbe {name}, {when}", f"{duration(plain)} plain loop"
        yield Row(title, duration(seconds), beside, seconds / plain, "×", most=bound)


def _in_trainer(repeats: int, work: Work, batches: Batches, folder: Path) -> Iterator[Row]:
    title = "Lightning's grad_norm recipe"
    if find_spec("lightning") is None:
        yield Row(title, other=NO_LIGHTNING)
        return
    from mlr.benchmarks.with_lightning import fit

    def callback() -> Any:
        from mlr.loop.lightning import GradientProbeCallback

        return GradientProbeCallback(folder / token_hex(8), head="softmax", module="net")

    jobs = [
        _worked(partial(fit, work, batches, folder)),
        _worked(partial(fit, work, batches, folder, recipe=True)),
        _worked(lambda: fit(work, batches, folder, callback=callback())),
    ]
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer, recipe, own = in_turn(jobs, repeats)
    alone = f"{duration(trainer)} Trainer alone"
    yield Row("GradientProbeCallback basic", duration(own), alone, own / trainer, "×")
    yield Row(title, other=f"{duration(recipe)}; {alone}", value=recipe / trainer, unit="×")


def _backpack(repeats: int, work: Work, batches: Batches) -> Iterator[Row]:
    title = "BackPACK's BatchL2Grad, every step"
    if find_spec("backpack") is None:
        yield Row(title, other=NO_BACKPACK)
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

    plain, theirs = in_turn([_worked(partial(train, work, batches)), _worked(by_backpack)], repeats)
    beside = f"{duration(theirs)}; {duration(plain)} plain loop"
    yield Row(title, other=beside, value=theirs / plain, unit="×")
