"""Measure how often `explain` tells from event files alone what is wrong with a training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import lr_scheduler as schedules

from mlr.benchmarks.logged import (
    SOUND,
    Training,
    clusters,
    cosine,
    digits,
    exponential,
    lr,
    numbers,
    one_cycle,
    reconstructing,
    shuffled,
    steps_at,
    warm_up,
    with_loss,
)
from mlr.benchmarks.rows import BenchmarkRow
from mlr.diagnosis.curves import RULES, curve_findings
from mlr.records.tensorboard.logs import read_logs


def smoothed(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of smoothed labels."""
    return F.cross_entropy(outputs, targets, label_smoothing=0.1)


def density(outputs: Tensor, targets: Tensor) -> Tensor:
    """Negative log-likelihood of a Gaussian; the second output is the log variance."""
    return F.gaussian_nll_loss(outputs[:, :1], targets / 10, outputs[:, 1:].exp())


def of_probabilities(outputs: Tensor, targets: Tensor) -> Tensor:
    """nll_loss of a softmax in place of its logarithm."""
    return F.nll_loss(outputs.softmax(1), targets)


def frozen(model: nn.Module) -> None:
    """Let the last layer be trained only."""
    for layer in list(model.children())[:-1]:
        layer.requires_grad_(False)


def zeros(model: nn.Module) -> None:
    """Set all weights to 0."""
    for one in model.parameters():
        nn.init.zeros_(one)


def dead(model: nn.Module) -> None:
    """Shift the hidden units so far that none is above 0."""
    nn.init.constant_(next(model.children()).bias, -100.0)  # type: ignore[arg-type]


def learned(model: nn.Module) -> None:
    """Train the model before, as one that is fine-tuned."""
    task = digits()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(model(task.train[0]), task.train[1]).backward()
        optimizer.step()


def plateau(optimizer: torch.optim.Optimizer, total: int) -> object:
    """Lower the rate when the validation stands still."""
    return schedules.ReduceLROnPlateau(optimizer, patience=3)


def restarts(optimizer: torch.optim.Optimizer, total: int) -> object:
    """Fall by a cosine four times."""
    return schedules.CosineAnnealingWarmRestarts(optimizer, max(1, total // 4))


def raised(optimizer: torch.optim.Optimizer, total: int) -> object:
    """Raise the rate a hundredfold at half-time."""
    return schedules.LambdaLR(optimizer, lambda n: 100.0 if n > total // 2 else 1.0)


HEALTHY: tuple[Training, ...] = (
    Training("sgd"),
    Training("momentum", options=lr(0.05, momentum=0.9)),
    Training("adam", optimizer="Adam", options=lr(0.003)),
    Training("adamw_cosine", optimizer="AdamW", options=lr(0.01), schedule=cosine),
    Training("rmsprop", optimizer="RMSprop", options=lr(0.001)),
    Training("one_cycle", schedule=one_cycle, options=lr(0.2, momentum=0.9)),
    Training("warm_up", optimizer="Adam", options=lr(0.01), schedule=warm_up),
    Training("late_step", schedule=steps_at(0.7), options=lr(0.5), epochs=40),
    Training("two_steps", schedule=steps_at(0.5, 0.75), options=lr(0.2, momentum=0.9), epochs=40),
    Training("three_steps", schedule=steps_at(0.3, 0.6, 0.9), options=lr(0.3), log="epochs"),
    Training("restarts", schedule=restarts, options=lr(0.2)),
    Training("plateau", schedule=plateau, by="epoch", options=lr(0.3), log="epochs", epochs=40),
    Training("exponential", schedule=exponential(0.9), by="epoch", options=lr(0.3)),
    Training("dropout", dropout=0.5, widths=(64,)),
    Training("augmented", noise=0.2, widths=(64,), log="epochs"),
    Training("batch_of_1", batch=1, epochs=3, options=lr(0.01)),
    Training("batch_of_4", batch=4, epochs=8, options=lr(0.02), log="mixed"),
    Training("full_batch", batch=1000, epochs=300, options=lr(0.5)),
    Training("noisy_labels", task=lambda: digits(wrong=0.2), epochs=15),
    Training("smoothed", task=lambda: with_loss(digits(), smoothed)),
    Training("fine_tuned", before=learned, options=lr(0.01)),
    Training("frozen_backbone", before=frozen, widths=(128,), options=lr(0.3)),
    Training("epochs_only", log="epochs"),
    Training("mixed_steps", log="mixed"),
    Training("batches_only", log="batches"),
    Training("every_tenth", every=10, epochs=30),
    Training("no_rate_logged", log_rate=False),
    Training("early_stop", patience=3, epochs=200, task=lambda: digits(300), log="epochs"),
    Training("short", epochs=5, optimizer="Adam", options=lr(0.01), log="epochs"),
    Training("clipped", clip=0.5, options=lr(0.3)),
    Training("deep_tanh", widths=(32, 32, 32), activation=nn.Tanh),
    Training("sigmoid_plateau", widths=(32, 32), activation=nn.Sigmoid, options=lr(1.0), epochs=40),
    Training("linear", widths=(), options=lr(0.3)),
    Training("regression", task=numbers, options=lr(0.05)),
    Training("regression_adam", task=numbers, optimizer="Adam", options=lr(0.01), log="epochs"),
    Training("noisy_regression", task=lambda: numbers(2.0), options=lr(0.02), epochs=15),
    Training("regression_batches", task=lambda: numbers(2.0), options=lr(0.02), log="batches"),
    Training("huber", task=lambda: with_loss(numbers(), F.huber_loss), options=lr(0.1)),
    Training("gaussian", task=lambda: with_loss(numbers(0.1), density, 2), optimizer="Adam"),
    Training("autoencoder", task=lambda: reconstructing(digits()), optimizer="Adam", epochs=30),
    Training("clusters", task=clusters),
    Training("overlapping", task=lambda: clusters(3, 4.0), options=lr(0.05)),
    Training("imbalanced", task=lambda: clusters(2, 2.0, (0.95, 0.05)), options=lr(0.05)),
    Training("twenty_classes", task=lambda: clusters(20), options=lr(0.2), log="epochs"),
    Training("decayed", options=lr(0.1, weight_decay=0.01)),
)
"""Sound trainings."""

TOO_HIGH = ("rises", "leaps", "not_finite")
TOO_LOW = ("flat", "cut_short", "chance")
STUCK = ("flat", "chance", "one_class")

FAULTY: tuple[Training, ...] = (
    Training("diverges", ("not_finite", "rises"), numbers, options=lr(3.0)),
    Training("diverges_epochs", ("not_finite", "rises"), numbers, options=lr(3.0), log="epochs"),
    Training("too_high_sgd", (*TOO_HIGH, *STUCK), options=lr(10.0), widths=(64, 64)),
    Training("too_high_linear", TOO_HIGH, widths=(), options=lr(100.0)),
    Training("too_high_adam", (*TOO_HIGH, *STUCK), optimizer="Adam", options=lr(1.0)),
    Training("too_high_momentum", (*TOO_HIGH, *STUCK), options=lr(3.0, momentum=0.9)),
    Training("too_low_sgd", TOO_LOW, options=lr(1e-4)),
    Training("too_low_adam", TOO_LOW, optimizer="Adam", options=lr(1e-6)),
    Training("too_low_epochs", TOO_LOW, options=lr(5e-4), log="epochs"),
    Training("too_low_regression", TOO_LOW, numbers, options=lr(1e-4)),
    Training("too_few_steps", ("cut_short",), options=lr(0.01), epochs=8),
    Training("too_few_epochs", ("cut_short",), optimizer="Adam", options=lr(1e-4), log="epochs"),
    Training("no_rate", ("no_rate",), options=lr(0.0)),
    Training("decays_each_batch", ("rate_gone",), schedule=exponential(0.9)),
    Training("cosine_of_epochs", ("rate_gone",), schedule=lambda o, n: schedules.StepLR(o, 5)),
    Training("sigmoids", STUCK, widths=(32,) * 6, activation=nn.Sigmoid, options=lr(0.05)),
    Training("zero_weights", STUCK, before=zeros, options=lr(0.1)),
    Training("dead_units", STUCK, before=dead, options=lr(0.1), epochs=10),
    Training("dead_units_epochs", STUCK, before=dead, options=lr(0.1), log="epochs"),
    Training(
        "not_updated", STUCK, spoil=lambda loss, n: loss.detach(), options=lr(0.1), log="mixed"
    ),
    Training(
        "maximised", ("rises", "not_finite", "below_zero"), spoil=lambda loss, n: -loss, epochs=5
    ),
    Training("of_probabilities", ("below_zero",), lambda: with_loss(digits(), of_probabilities)),
    Training(
        "log_of_0", ("not_finite",), spoil=lambda loss, n: loss * (loss - loss + (n < 300)).log()
    ),
    Training(
        "one_nan", ("not_finite",), spoil=lambda loss, n: loss * float("nan" if n == 200 else 1)
    ),
    Training("overfits", ("overfits",), lambda: digits(60), widths=(256,), epochs=400),
    Training(
        "overfits_noise",
        ("overfits",),
        lambda: digits(300, 0.3),
        widths=(256,),
        optimizer="Adam",
        options=lr(0.003),
        epochs=60,
        log="epochs",
    ),
    Training(
        "overfits_regression",
        ("overfits",),
        lambda: numbers(1.0, 60),
        widths=(256,),
        optimizer="Adam",
        options=lr(0.01),
        epochs=300,
        log="mixed",
    ),
    Training("shuffled", ("overfits",), lambda: shuffled(digits(300)), widths=(256,), epochs=200),
    Training("raised", ("rate_jump", *TOO_HIGH), schedule=raised, options=lr(0.2)),
)


class JudgedLog(NamedTuple):
    """A training, the first fault that its curves show, and what is remarked."""

    training: Training
    first: str
    remarks: Sequence[str]

    @property
    def right(self) -> bool:
        """True if the fault is named, or a sound training is left alone."""
        return self.first in (self.training.rules or (SOUND,))


def rows(trainings: Sequence[Training] = (*HEALTHY, *FAULTY)) -> Iterator[BenchmarkRow]:
    """Train all, and count the faults that are named, the false alarms, and the remarks."""
    with TemporaryDirectory() as folder:
        judged = judge_trainings(Path(folder), trainings)
    faulty = [one for one in judged if one.training.rules]
    sound = [one for one in judged if not one.training.rules]
    wrong = [
        "; ".join(f"{one.training.name}: {one.first}" for one in some if not one.right)
        for some in (faulty, sound)
    ]
    named, alarms = sum(one.right for one in faulty), sum(not one.right for one in sound)
    remarks = [f"{one.training.name}: {name}" for one in sound for name in one.remarks]
    yield BenchmarkRow(
        "event files of faulty trainings: named first",
        f"{named} of {len(faulty)}",
        wrong[0],
        100 * named / len(faulty) if faulty else None,
        " %",
        least=90,
    )
    yield BenchmarkRow(
        "event files of sound trainings: false alarms",
        f"{alarms} of {len(sound)}",
        wrong[1],
        100 * alarms / len(sound) if sound else None,
        " %",
        most=2,
    )
    yield BenchmarkRow("  remarks on them", f"{len(remarks)} of {len(sound)}", "; ".join(remarks))


def judge_trainings(folder: Path, trainings: Sequence[Training], seed: int = 0) -> list[JudgedLog]:
    """Train and judge each by its event files."""
    judged = []
    for training in trainings:
        (run,) = read_logs(training.run(folder / training.name, seed), {})
        found = curve_findings(run)
        first = next((name for name in found if name in RULES), SOUND)
        judged.append(JudgedLog(training, first, [name for name in found if name not in RULES]))
    return judged
