"""Scores in units that do not depend on the loss: accuracy, explained variance, cross-entropy.

The form of the loss says what the outputs mean: under binary_cross_entropy_with_logits an output of
0 is a probability of one half, under binary_cross_entropy it is one of 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlr.loop.evidence.recomputed import FUNCTIONS, by_class
from mlr.remedies.program import Batch, OwnProgram, device_of, moved, outputs_of

CLASSES, LABELS, NUMBERS, UNKNOWN = "classes", "labels", "numbers", "unknown"
MOST, LARGEST = 5000, 1 << 24
"""Examples that judge, and numbers of theirs that are held in memory."""
TINY = 1e-12
"""Least probability, so that one certain error does not decide."""
_LEAST = -27.631021  # log of TINY
LOST = 1e30
"""Loss of an unknown task that is not finite."""


@dataclass(frozen=True)
class Task:
    """A task, by its targets.

    kind: classes, labels of two values, numbers, or unknown.
    balanced: True if all classes weigh the same.
    """

    kind: str
    balanced: bool = False


@dataclass(frozen=True)
class Score:
    """Score of one trained model; a number is NaN where it is not defined.

    right: accuracy; of an unknown task NaN.
    rest: share of the variance that is not explained, 1 if the best constant explains more.
    nats: cross-entropy of the probabilities that the loss takes the outputs for.
    loss: the program's own.
    """

    right: float = nan
    rest: float = nan
    nats: float = nan
    loss: float = nan


def collect(batches: Sequence[Batch]) -> Tensor:
    """Join the targets of batches."""
    return torch.cat([targets.detach().cpu() for _, targets in batches])


def task_of(outputs: Tensor, targets: Tensor, whole: bool = False) -> Task:
    """Tell the task by the outputs of a batch and all targets.

    Args:
        outputs: of a batch.
        targets: of many examples.
        whole: True if targets are class numbers that were regressed on.
    """
    if not targets.is_floating_point() and outputs.dim() > 1 and max(outputs.shape[1:]) > 1:
        return Task(CLASSES)
    if whole:
        return Task(CLASSES)
    each = outputs[0].numel() if outputs.dim() else 1
    if each != targets[0].numel():
        return Task(UNKNOWN)
    values = targets.double()
    if _is_distribution(values):
        return Task(CLASSES)
    low, high = float(values.min()), float(values.max())
    if low < high and bool(((values == low) | (values == high)).all()):
        return Task(LABELS)
    return Task(NUMBERS)


def _is_distribution(values: Tensor) -> bool:
    if values.dim() != 2 or values.shape[1] < 2 or float(values.min()) < 0:
        return False
    return bool(((values.sum(1) - 1).abs() < 1e-4).all())


@torch.no_grad()
def score(program: OwnProgram, model: nn.Module, task: Task) -> Score:
    """Measure a trained model on the batches that judge, in eval mode."""
    model.eval()
    device, outputs, targets, losses = device_of(model), list[Tensor](), list[Tensor](), []
    for inputs, wanted in program.held():
        inputs, wanted = moved(inputs, device), moved(wanted, device)
        if program.singly:
            found = torch.cat([outputs_of(model, inputs[k : k + 1]) for k in range(len(wanted))])
        else:
            found = outputs_of(model, inputs)
        if task.kind == UNKNOWN:
            losses.append(float(program.loss(found, wanted)))
        else:
            outputs.append(found.reshape(len(wanted), *found.shape[1:]).double().cpu())
            targets.append(wanted.cpu())
        if sum(map(len, targets)) >= MOST or sum(one.numel() for one in outputs) >= LARGEST:
            break
    if task.kind == UNKNOWN:
        mean = sum(losses) / max(1, len(losses))
        return Score(loss=mean if isfinite(mean) else LOST)
    return measured(torch.cat(outputs), torch.cat(targets), task, program.form)


def measured(outputs: Tensor, targets: Tensor, task: Task, form: str) -> Score:
    """Score outputs (N, …); ones that are NaN score as the best constant does.

    Args:
        outputs: of the model.
        targets: as the loss is given them.
        task: of the program.
        form: of the loss.
    """
    if bool(outputs.isnan().any()):
        return constant(targets, task)
    if task.kind == CLASSES:
        return _of_classes(outputs, targets, task, form)
    given = outputs.reshape(targets.shape)
    if task.kind == LABELS:
        return _of_labels(given, targets, task, form)
    y = _predicted(given, form) if "bce" in form else given
    t = targets.double()
    rest = float((y - t).square().mean() / (t - t.mean(0)).square().mean())
    # one seed that explodes would hide the gain of all others
    return Score(rest=min(rest, 1.0)) if isfinite(rest) else constant(targets, task)


def _split(form: str) -> tuple[str, str]:
    """Return the function of the outputs and the loss of a form."""
    *before, loss = form.lstrip("-").split("+")
    return (before[-1] if before and before[-1] in FUNCTIONS else ""), loss


def _of_classes(outputs: Tensor, targets: Tensor, task: Task, form: str) -> Score:
    function, loss = _split(form)
    if targets.is_floating_point() and outputs.shape == targets.shape and outputs[0].numel() > 1:
        rows, share = outputs, targets.double()
        numbers = share.argmax(1)
    else:
        found = by_class(outputs, targets)
        if found is None:  # regressed on
            hits = outputs.flatten().round() == targets.flatten()
            return Score(right=_mean(hits, targets.flatten(), task))
        rows, numbers = found
        share = F.one_hot(numbers, rows.shape[1]).double()
    right = _mean(rows.argmax(1) == numbers, numbers, task)
    if loss not in ("ce", "nll", "bce", "kl"):
        return Score(right=right)
    given = FUNCTIONS[function](rows)
    p = given.clamp_min(TINY).log() if loss == "bce" else given
    logs = p.log_softmax(1).clamp_min(_LEAST)
    return Score(right=right, nats=float(-(share * logs).sum(1).mean()))


def _of_labels(given: Tensor, targets: Tensor, task: Task, form: str) -> Score:
    t, p = _is_high(targets), _predicted(given, form)
    if _split(form)[1] in ("mse", "l1", "smooth_l1"):
        middle = (targets.double().min() + targets.double().max()) / 2
        return Score(right=_mean((p > middle) == t, t, task))
    right = _mean((p >= 0.5) == t, t, task)
    inside = p.clamp(TINY, 1 - TINY)
    return Score(right=right, nats=float(-torch.where(t, inside, 1 - inside).log().mean()))


def _is_high(targets: Tensor) -> Tensor:
    """Return True for the larger of the two values of labels."""
    low, high = targets.double().aminmax()
    return targets.double() > (low + high) / 2


def _predicted(given: Tensor, form: str) -> Tensor:
    """Return the predictions that the loss takes the outputs for."""
    function, loss = _split(form)
    found = FUNCTIONS[function](given)
    known = loss in ("bce", "mse", "l1", "smooth_l1")
    probable = float(found.min()) >= 0 and float(found.max()) <= 1
    if known or (loss != "bce_logits" and probable):
        return found
    return found.sigmoid()


def _mean(right: Tensor, classes: Tensor, task: Task) -> float:
    hits = right.double()
    if not task.balanced:
        return float(hits.mean())
    return float(torch.stack([hits[classes == one].mean() for one in classes.unique()]).mean())


def constant(targets: Tensor, task: Task) -> Score:
    """Score the best constant."""
    if task.kind == NUMBERS:
        return Score(rest=1.0)
    if task.kind == UNKNOWN:
        return Score(loss=LOST)
    t = targets.double()
    if task.kind == LABELS:
        p = _is_high(targets).double().mean(0)
        both = torch.stack((p, 1 - p))
        right = 0.5 if task.balanced else float(both.max(0).values.mean())
        return Score(right=right, nats=float(torch.special.entr(both).sum(0).mean()))
    if targets.is_floating_point() and _is_distribution(t):
        p = t.mean(0)
        right = float(t.argmax(1).bincount().max() / len(t))
    else:
        counts = targets.flatten().long().clamp_min(0).bincount().double()
        p = counts[counts > 0] / counts.sum()
        right = float(p.max())
    return Score(
        right=1 / len(p) if task.balanced else right, nats=float(torch.special.entr(p).sum())
    )


def examples(targets: Tensor, task: Task) -> float:
    """Number of examples by which an accuracy is judged; of balanced ones, of the rarest class."""
    if not task.balanced:
        soft = task.kind == CLASSES and targets.is_floating_point() and targets[0].numel() > 1
        return float(len(targets) if soft else targets.numel())
    counts = targets.flatten().unique(return_counts=True)[1]
    return float(len(counts) * counts.min())
