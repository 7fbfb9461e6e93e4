"""Trainings that log loss, accuracy and rate into event files, sound ones and faulty ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import lr_scheduler as schedules

SOUND = "sound"
Loss = Callable[[Tensor, Tensor], Tensor]
Examples = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class LoggedTask:
    """Examples, and how outputs are judged.

    train, val: features (N, D) and targets (N,) or (N, K).
    outputs: number of outputs.
    loss: of outputs and targets.
    classes: True if the targets are class numbers.
    """

    train: Examples
    val: Examples
    outputs: int
    loss: Loss = F.cross_entropy
    classes: bool = True


@cache
def digits(count: int = 1000, wrong: float = 0.0) -> LoggedTask:
    """Make a task of handwritten digits, some of the training labels being wrong."""
    from mlr.data import Digits

    data = Digits(label_noise=wrong).load(seed=0)
    train, val = (
        (torch.as_tensor(one.features).flatten(1).float(), torch.as_tensor(one.targets).long())
        for one in (data.train, data.val)
    )
    return LoggedTask((train[0][:count], train[1][:count]), val, 10)


@cache
def numbers(noise: float = 0.3, count: int = 600) -> LoggedTask:
    """Make a regression of a smooth function of three features with noise."""
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(count + 300, 3, generator=draw)
    y = torch.sin(x[:, :1]) + 0.5 * x[:, 1:2] + noise * torch.randn(len(x), 1, generator=draw)
    return LoggedTask((x[:count], y[:count]), (x[count:], y[count:]), 1, F.mse_loss, classes=False)


@cache
def clusters(classes: int = 2, spread: float = 1.0, shares: Sequence[float] = ()) -> LoggedTask:
    """Make clusters of points, one a class, of equal or given shares."""
    draw = torch.Generator().manual_seed(2)
    weights = torch.tensor(shares or [1.0] * classes)
    labels = torch.multinomial(weights, 1000, True, generator=draw)
    centres = 2 * torch.randn(classes, 8, generator=draw)
    x = centres[labels] + spread * torch.randn(1000, 8, generator=draw)
    return LoggedTask((x[:600], labels[:600]), (x[600:], labels[600:]), classes)


def with_loss(task: LoggedTask, loss: Loss, outputs: int | None = None) -> LoggedTask:
    """Return a task that is judged by another loss."""
    return LoggedTask(task.train, task.val, outputs or task.outputs, loss, task.classes)


def reconstructing(task: LoggedTask) -> LoggedTask:
    """Return the task of giving the features back."""
    (x, _), (v, _) = task.train, task.val
    return LoggedTask((x, x), (v, v), x.shape[1], F.mse_loss, classes=False)


def shuffled(task: LoggedTask) -> LoggedTask:
    """Return a task whose training targets belong to other examples."""
    x, t = task.train
    order = torch.randperm(len(t), generator=torch.Generator().manual_seed(3))
    return LoggedTask((x, t[order]), task.val, task.outputs, task.loss, task.classes)


@dataclass(frozen=True)
class Training:
    """A training that logs.

    name: of the case.
    rules: of which one must come first; empty for a sound training.
    task: examples and loss.
    widths: of the hidden layers.
    activation: after each.
    optimizer: name in torch.optim, with `options`.
    schedule: makes the schedule of an optimizer from the number of updates; called every `by`.
    log: what is logged: batches and validations by update (steps), means of epochs (epochs),
        batches by update and validations by epoch (mixed), or batches alone (batches).
    every: batches from one logged loss to the next.
    before: changes the model before the training.
    spoil: changes the loss of an update by its number.
    """

    name: str
    rules: tuple[str, ...] = ()
    task: Callable[[], LoggedTask] = digits
    widths: Sequence[int] = (32,)
    activation: Callable[[], nn.Module] = nn.ReLU
    optimizer: str = "SGD"
    options: dict[str, Any] = field(default_factory=lambda: {"lr": 0.1})
    schedule: Callable[[torch.optim.Optimizer, int], Any] | None = None
    by: str = "update"
    epochs: int = 20
    batch: int = 32
    dropout: float = 0.0
    noise: float = 0.0
    clip: float = 0.0
    log: str = "steps"
    every: int = 1
    patience: int = 0
    log_rate: bool = True
    before: Callable[[nn.Module], object] | None = None
    spoil: Callable[[Tensor, int], Tensor] | None = None

    def run(self, folder: Path, seed: int = 0) -> Path:
        """Train and log into a new folder, which is returned."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self._run(folder)
        return folder

    def _model(self, inputs: int, outputs: int) -> nn.Module:
        layers: list[nn.Module] = []
        for width in self.widths:
            layers += [nn.Linear(inputs, width), self.activation()]
            layers += [nn.Dropout(self.dropout)] if self.dropout else []
            inputs = width
        return nn.Sequential(*layers, nn.Linear(inputs, outputs))

    def _run(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        task = self.task()
        (x, t), writer = task.train, SummaryWriter(str(folder))
        model = self._model(x.shape[1], task.outputs)
        if self.before:
            self.before(model)
        owned = [one for one in model.parameters() if one.requires_grad]
        optimizer = getattr(torch.optim, self.optimizer)(owned, **self.options)
        batches = -(-len(x) // self.batch)
        schedule = self.schedule and self.schedule(optimizer, batches * self.epochs)
        update, best, waited = 0, float("inf"), 0
        for epoch in range(self.epochs):
            losses, right = [], 0
            for rows in torch.randperm(len(x)).split(self.batch):
                inputs = x[rows] + self.noise * torch.randn(len(rows), x.shape[1])
                outputs = model(inputs)
                loss = task.loss(outputs, t[rows])
                if self.spoil:
                    loss = self.spoil(loss, update)
                optimizer.zero_grad()
                if loss.requires_grad:
                    loss.backward()
                if self.clip:
                    nn.utils.clip_grad_norm_(model.parameters(), self.clip)
                if self.log != "epochs" and update % self.every == 0:
                    writer.add_scalar("train/loss", loss.item(), update)
                    if self.log_rate:
                        writer.add_scalar("lr", optimizer.param_groups[0]["lr"], update)
                optimizer.step()
                losses.append(loss.item())
                right += int((outputs.argmax(1) == t[rows]).sum()) if task.classes else 0
                update += 1
                if schedule and self.by == "update":
                    schedule.step()
            val, found = self._validate(model, task)
            if schedule and self.by == "epoch":
                plateau = isinstance(schedule, schedules.ReduceLROnPlateau)
                schedule.step(*([val] if plateau else []))
            at = {"steps": update, "mixed": epoch, "epochs": epoch}.get(self.log)
            if self.log == "epochs":
                writer.add_scalar("train_loss", sum(losses) / len(losses), epoch)
                if self.log_rate:
                    writer.add_scalar("learning_rate", optimizer.param_groups[0]["lr"], epoch)
            if at is not None:
                writer.add_scalar("val_loss", val, at)
                if task.classes:
                    writer.add_scalar("train_acc", right / len(x), at)
                    writer.add_scalar("val_acc", found, at)
            waited = 0 if val < best else waited + 1
            best = min(best, val)
            if self.patience and waited >= self.patience:
                break
        writer.close()

    @torch.no_grad()
    def _validate(self, model: nn.Module, task: LoggedTask) -> tuple[float, float]:
        model.eval()
        x, t = task.val
        outputs = model(x)
        model.train()
        return float(task.loss(outputs, t)), float((outputs.argmax(1) == t).float().mean()) if (
            task.classes
        ) else 0.0


def lr(rate: float, **others: Any) -> dict[str, Any]:
    """Return options of an optimizer."""
    return {"lr": rate, **others}


def one_cycle(optimizer: torch.optim.Optimizer, total: int) -> Any:
    """Rise to the rate of 0.2 and fall to nearly 0."""
    return schedules.OneCycleLR(optimizer, 0.2, total_steps=total + 1)


def cosine(optimizer: torch.optim.Optimizer, total: int) -> Any:
    """Fall to 0 by half a cosine."""
    return schedules.CosineAnnealingLR(optimizer, total)


def warm_up(optimizer: torch.optim.Optimizer, total: int) -> Any:
    """Rise linearly over a tenth of the updates, then fall to 0."""
    rise = max(1, total // 10)
    return schedules.LambdaLR(
        optimizer, lambda n: min((n + 1) / rise, max(0.0, (total - n) / (total - rise)))
    )


def steps_at(*shares: float, factor: float = 0.1) -> Callable[[torch.optim.Optimizer, int], Any]:
    """Multiply the rate at shares of the updates."""
    return lambda optimizer, total: schedules.MultiStepLR(
        optimizer, [int(share * total) for share in shares], factor
    )


def exponential(factor: float) -> Callable[[torch.optim.Optimizer, int], Any]:
    """Multiply the rate at each call."""
    return lambda optimizer, total: schedules.ExponentialLR(optimizer, factor)
