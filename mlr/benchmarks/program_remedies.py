"""Measure how often `mlr.try_remedies` cures a faulty PyTorch program, and leaves sound ones.

The programs are those of `mlr.benchmarks.programs` that can be handed over as a factory: what they
give to `fit`, and some whose loops are written here again. The judge trains the recommended form,
the faulty one and the corrected one equally long, with seeds that no trial uses.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf
from statistics import fmean
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

import mlr
from mlr.benchmarks.programs.case import Faulty, unwatched
from mlr.benchmarks.programs.corpus import FAULTY
from mlr.benchmarks.programs.material import (
    BatchLoader,
    clouds,
    digits,
    houses,
    mlp,
    rings,
)
from mlr.benchmarks.rows import BenchmarkRow
from mlr.remedies.program import OwnProgram, Step, kept, pairs, train
from mlr.remedies.result import TriedRemedies
from mlr.remedies.score import (
    CLASSES,
    NUMBERS,
    Task,
    collect,
    constant,
    score,
    task_of,
)

FRESH = range(100, 103)
"""Seeds of the judge, which no trial uses."""
BAND = 0.03
"""Largest distance of a cured program's score from the corrected one's."""
STEPS, SECONDS = 200, 120
"""Most updates of each training, and seconds of each trial, more than an idle machine needs."""


@dataclass(frozen=True)
class Handed:
    """A program as it is handed to `try_remedies`."""

    make: Callable[[], tuple[nn.Module, Optimizer]]
    loss: Callable[[Tensor, Tensor], Tensor]
    loader: Any
    steps: int
    step: Step | None = None

    def program(self, form: str, singly: bool) -> OwnProgram:
        """Return it as a value."""

        def make() -> tuple[nn.Module, list[Optimizer]]:
            model, optimizer = self.make()
            return model, [optimizer]

        def batches() -> Any:
            return pairs(self.loader)

        return OwnProgram(make, self.loss, batches, batches, self.step, form, singly)


class _Taken(BaseException):
    """Parts that a program gives to `fit`."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts


def taken(case: Faulty, faulty: bool) -> Handed:
    """Take what a program gives to `fit`."""
    module = sys.modules[case.program.__module__]

    def fit(watch: Any, *parts: Any) -> None:
        raise _Taken(*parts)

    def parts() -> tuple[Any, ...]:
        with patch.object(module, "fit", fit):
            try:
                case.form(faulty)(unwatched)
            except _Taken as found:
                return found.parts
        raise AssertionError(f"{case.name} does not call fit")

    _, _, loss, loader, epochs = parts()
    return Handed(lambda: parts()[:2], loss, loader, epochs * sum(1 for _ in loader))


def _handed(
    model: Callable[[], nn.Module],
    optimizer: Callable[[Any], Optimizer],
    loss: Callable[[Tensor, Tensor], Tensor],
    loader: Any,
    epochs: int,
    step: Step | None = None,
) -> Handed:
    def make() -> tuple[nn.Module, Optimizer]:
        made = model()
        return made, optimizer(made.parameters())

    return Handed(make, loss, loader, epochs * sum(1 for _ in loader), step)


def kl_div_of_probabilities(faulty: bool) -> Handed:
    """Hand over the student of a teacher."""
    torch.manual_seed(0)
    x, _ = clouds(5, spread=1.5)
    teacher = torch.softmax(0.5 * x @ torch.randn(8, 5), 1)
    end = nn.Softmax(1) if faulty else nn.LogSoftmax(1)
    return _handed(
        lambda: nn.Sequential(*mlp(8, 32, 5), end),
        lambda own: Adam(own, lr=0.01),
        nn.KLDivLoss(reduction="batchmean"),
        BatchLoader(x, teacher),
        15,
    )


def double_softmax(faulty: bool) -> Handed:
    """Hand over a model that ends in a softmax, with a loss that applies another."""
    x, t = digits()

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        p = torch.softmax(outputs, 1) if faulty else outputs
        return F.nll_loss(torch.log(p), targets)

    return _handed(
        lambda: nn.Sequential(*mlp(64, 64, 32, 10), nn.Softmax(dim=-1)),
        lambda own: SGD(own, lr=0.1, momentum=0.9),
        loss,
        BatchLoader(x, t, size=64),
        10,
    )


def sigmoid_twice(faulty: bool) -> Handed:
    """Hand over a model that ends in a sigmoid, with a loss that applies another."""
    torch.manual_seed(0)
    x, t = rings()

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.binary_cross_entropy(torch.sigmoid(outputs), targets)

    ends = [nn.Sigmoid()] if faulty else []
    return _handed(
        lambda: nn.Sequential(*mlp(2, 16, 1), *ends, nn.Flatten(0)),
        lambda own: Adam(own, lr=0.02),
        loss,
        BatchLoader(x, t.float()),
        15,
    )


def column_against_row(faulty: bool) -> Handed:
    """Hand over outputs (B, 1) and targets (B,)."""
    torch.manual_seed(0)
    x, t = houses()
    ends = [] if faulty else [nn.Flatten(0)]
    return _handed(
        lambda: nn.Sequential(*mlp(5, 32, 1), *ends),
        lambda own: Adam(own, lr=0.01),
        lambda outputs, targets: ((outputs - targets) ** 2).mean(),
        BatchLoader(x, t.flatten()),
        20,
    )


def pixels_to_255_under_bce(faulty: bool) -> Handed:
    """Hand over an autoencoder of pixels up to 255."""
    x = digits()[0][:600]
    targets = (x * 255).round() / (1 if faulty else 255)
    return _handed(
        lambda: mlp(64, 24, 64),
        lambda own: Adam(own, lr=0.01),
        nn.BCEWithLogitsLoss(),
        BatchLoader(x, targets),
        20,
    )


def sorted_by_class(faulty: bool) -> Handed:
    """Hand over a loader that does not shuffle sorted examples."""
    x, t = digits()
    order = t.argsort(stable=True)
    return _handed(
        lambda: mlp(64, 32, 10),
        lambda own: SGD(own, lr=0.1, momentum=0.9),
        nn.CrossEntropyLoss(),
        BatchLoader(x[order], t[order], shuffle=not faulty),
        4,
    )


def _clouds(step: Step | None, optimizer: Callable[[Any], Optimizer]) -> Handed:
    torch.manual_seed(0)
    loader = BatchLoader(*clouds())
    return _handed(lambda: mlp(8, 16, 3), optimizer, F.cross_entropy, loader, 8, step)


def step_missing(faulty: bool) -> Handed:
    """Hand over a loop without optimizer.step()."""

    def step(model: Any, optimizer: Any, inputs: Any, targets: Any, watch: Any) -> None:
        optimizer.zero_grad()
        outputs = model(inputs)
        loss = F.cross_entropy(outputs, targets)
        watch(outputs, targets, loss)
        loss.backward()

    return _clouds(step if faulty else None, lambda own: Adam(own, lr=0.01))


def loss_made_new(faulty: bool) -> Handed:
    """Hand over a loop that wraps the loss into a new tensor."""

    def step(model: Any, optimizer: Any, inputs: Any, targets: Any, watch: Any) -> None:
        optimizer.zero_grad()
        outputs = model(inputs)
        loss = torch.tensor(F.cross_entropy(outputs, targets).item(), requires_grad=True)
        watch(outputs, targets, loss)
        loss.backward()
        optimizer.step()

    return _clouds(step if faulty else None, lambda own: Adam(own, lr=0.01))


def no_grad_in_forward(faulty: bool) -> Handed:
    """Hand over a loop whose forward pass runs without gradients."""

    def step(model: Any, optimizer: Any, inputs: Any, targets: Any, watch: Any) -> None:
        with torch.no_grad():
            outputs = model(inputs)
        loss = F.cross_entropy(outputs, targets).requires_grad_()
        watch(outputs, targets, loss)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return _clouds(step if faulty else None, lambda own: SGD(own, lr=0.1))


WRITTEN = {
    one.__name__: one
    for one in (
        *(kl_div_of_probabilities, double_softmax, sigmoid_twice, column_against_row),
        *(pixels_to_255_under_bce, sorted_by_class, step_missing, loss_made_new),
        no_grad_in_forward,
    )
}
"""Programs with loops of their own, as factories, by name."""
LEFT_OUT = {
    "train_mode_at_test": "its evaluation is at fault, not its training",
    "outputs_of_before": "it calls its model once, outside of its loop",
    "features_detached": "its model is two",
    "class_left_out": "its batches lack the class that judges it",
}
"""Programs that no factory expresses, with the reason."""


def handed() -> list[tuple[Faulty, Callable[[bool], Handed]]]:
    """Return the programs that can be handed over, but none of those written blind."""

    def of(case: Faulty) -> Callable[[bool], Handed]:
        return WRITTEN.get(case.name) or (lambda faulty: taken(case, faulty))

    return [(case, of(case)) for case in FAULTY if not case.blind and case.name not in LEFT_OUT]


@dataclass(frozen=True)
class TriedProgram:
    """A program and its trial.

    case: with the fault.
    found: of the faulty form, or of the corrected one.
    faulty: True for the faulty form.
    before: mean score of fresh seeds as it is.
    after: with what was recommended; that before if nothing was.
    healthy: of the corrected form.
    """

    case: Faulty
    found: TriedRemedies
    faulty: bool
    before: float
    after: float
    healthy: float

    @property
    def is_cured(self) -> bool:
        """True if the remedy brings the score within `BAND` of the corrected form's."""
        return bool(self.found.best) and self.after >= self.healthy - BAND

    @property
    def in_vain(self) -> bool:
        """True if a remedy was recommended with which the score is no better by fresh seeds."""
        return bool(self.found.best) and not self.after > self.before


def try_program(case: Faulty, hand: Callable[[bool], Handed], faulty: bool) -> TriedProgram:
    """Try the remedies of a program, and train with fresh seeds what was recommended."""
    given, sound = hand(faulty), hand(False)
    steps = min(given.steps, STEPS)
    found = mlr.try_remedies(
        given.make,
        given.loss,
        given.loader,
        step=given.step,
        steps=steps,
        seconds=SECONDS,
    )
    form = found.stages[0].form if found.stages else ""
    if not faulty and not found.best:
        return TriedProgram(case, found, faulty, 0.0, 0.0, 0.0)  # nothing is to be judged
    singly = "softmax_over_batch" in case.faults
    before = judged(given.program(form, singly and faulty), steps)
    after = judged(found.program, steps) if found.best else before
    healthy = judged(sound.program(form, False), steps) if faulty else before
    # a softmax that is in the way need not cost accuracy, and then the probabilities judge
    which = 0 if not faulty or before[0] < healthy[0] - BAND else 1
    scores = (before[which], after[which], healthy[which])
    return TriedProgram(case, found, faulty, *scores)


def judged(program: OwnProgram, steps: int) -> tuple[float, float]:
    """Return the mean over fresh seeds of accuracy or R², and of the share of the entropy known.

    The accuracy is the mean over classes.
    """
    found = []
    with kept():
        for seed in FRESH:
            model, _ = train(program, seed, steps, inf)
            targets = collect(list(program.held()))
            with torch.no_grad():
                outputs = model(next(iter(program.held()))[0])
            task = task_of(outputs, targets)
            if task.kind != NUMBERS:
                task = replace(
                    task, balanced=task.kind == CLASSES and not targets.is_floating_point()
                )
            own, of_constant = score(program, model, task), constant(targets, task)
            first = 1 - own.rest if task.kind == NUMBERS else own.right
            known = first if own.nats != own.nats else 1 - own.nats / of_constant.nats
            found.append((first, known))
    return fmean(one for one, _ in found), fmean(one for _, one in found)


def _has_numbers(task: Task, targets: Tensor) -> bool:
    return task.kind == CLASSES and not targets.is_floating_point()


def rows(repeats: int) -> Iterator[BenchmarkRow]:
    """Measure the share of cured programs and wrong recommendations; `repeats` is not used."""
    tried = [try_program(*one, faulty) for one in handed() for faulty in (True, False)]
    yield from shares(tried)


def shares(tried: Sequence[TriedProgram]) -> Iterator[BenchmarkRow]:
    """Count cured programs, and recommendations that fresh seeds do not confirm."""
    faulty = [one for one in tried if one.faulty]
    left = [
        f"{one.case.name}: {'; '.join(one.found.best) or 'none'}"
        for one in faulty
        if not one.is_cured
    ]
    cured = len(faulty) - len(left)
    yield BenchmarkRow(
        "try_remedies: faulty programs cured",
        f"{cured} of {len(faulty)}",
        "; ".join(left),
        100 * cured / len(faulty),
        " %",
    )
    for what, some in (
        ("faulty", faulty),
        ("sound", [one for one in tried if not one.faulty]),
    ):
        wrong = [f"{one.case.name}: {'; '.join(one.found.best)}" for one in some if one.in_vain]
        yield BenchmarkRow(
            f"  recommended in vain, {what} programs",
            f"{len(wrong)} of {sum(bool(one.found.best) for one in some)}",
            "; ".join(wrong),
            len(wrong),
            most=0,
        )
