"""Choice of the remedies of a program by what is found in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Adam, Optimizer

from mlr.analysis.explain.diagnose import PROGRAM_RULES
from mlr.diagnosis import loop_order, loss_targets, output_loss, step_size
from mlr.loop.evidence.mode import reads_mode
from mlr.remedies import changes
from mlr.remedies.changes import Remedy
from mlr.remedies.program import Batch, OwnProgram
from mlr.remedies.score import CLASSES, LABELS, NUMBERS, UNKNOWN, Task

MOST = 12
"""Remedies that are tried at once."""
SANE = (0.2, 5.0)
"""Root mean square of inputs that need no other scale."""
USUAL = ((Adam, 1e-3), (SGD, 0.1))
"""Optimizers with rates that often work."""
FAR = 30.0
"""Factor from the usual rate at which that one is tried, too."""
RATES: dict[str, tuple[float, ...]] = {
    "rate_too_low": (100, 1000, 1e4),
    "lr_too_low": (100, 1000),
    "loss_too_small": (100, 1000, 1e4),
    "gradients_clipped_away": (100, 1000),
    "lr_too_high": (0.01, 0.001),
    "not_finite": (0.01, 0.001),
    "dead_relus": (0.01,),
}
"""Multiples of the rate besides ten and a tenth."""
DRAWN = frozenset(
    (
        *("zero_weights", "symmetric_weights", "dead_relus", "start_too_large"),
        *("saturated", "constant_outputs", "vanishing_gradient", "starved"),
    )
)
OWNED = frozenset(("wrong_parameters", "parameters_missing", "unregistered_layers", "graph_cut"))
SCALED = frozenset(
    (
        *("inputs_unscaled", "inputs_lose_precision", "saturated"),
        *("dead_relus", "not_finite", "lr_too_high", "start_too_large"),
    )
)
RANGES = {"sigmoid": (0.0, 1.0), "softmax": (0.0, 1.0), "tanh": (-1.0, 1.0)}


@dataclass(frozen=True)
class ProgramSeen:
    """A program as it was seen.

    program: itself.
    model, optimizers: fresh ones of it.
    batch, outputs: the first one.
    batches: some.
    targets: of those.
    end: name of the activation at the end of the model; empty for none.
    task: by the targets.
    rules: that found something, the most important first.
    """

    program: OwnProgram
    model: nn.Module
    optimizers: Sequence[Optimizer]
    batch: Batch
    outputs: Tensor
    batches: Sequence[Batch]
    targets: Tensor
    end: str
    task: Task
    rules: Sequence[str]


def suggested(seen: ProgramSeen) -> list[Remedy]:
    """List the remedies that the findings suggest, those of the first finding first."""
    return _distinct(one for rule in seen.rules for one in _of_rule(rule, seen))


def universal(seen: ProgramSeen, near: bool = False) -> list[Remedy]:
    """List the remedies that are worth a trial in any program.

    Args:
        seen: the program.
        near: True if its rate has helped, of which others are near by.
    """
    return _distinct(_universal(seen, 3 if near else 10))


def _distinct(remedies: Iterable[Remedy]) -> list[Remedy]:
    found: dict[str, Remedy] = {}
    for one in remedies:
        found.setdefault(one.code, one)
    return list(found.values())[:MOST]


def _universal(seen: ProgramSeen, factor: float) -> Iterator[Remedy]:
    if seen.program.step is not None:
        yield changes.plain_loop()
    if reads_mode(seen.model) and not seen.model.training:
        yield changes.in_train_mode()
    first = seen.optimizers[0]
    yield changes.rate(factor, first)
    yield changes.rate(1 / factor, first)
    if "Adam" not in type(first).__name__:
        yield changes.optimizer(Adam, 1e-3)
    own = float(first.param_groups[0]["lr"])
    for cls, lr in USUAL:
        if type(first) is cls and not lr / FAR < own < lr * FAR:
            yield changes.setting(f"lr={lr:g}", "lr", lr)
    if (scale := _inputs(seen)) is not None and not SANE[0] < scale[2] < SANE[1]:
        yield changes.standardised_inputs(*scale[:2])


def _of_rule(rule: str, seen: ProgramSeen) -> Iterator[Remedy]:
    known = seen.task.kind != UNKNOWN
    if seen.program.step is not None and _is_of(rule, loop_order, step_size):
        yield changes.plain_loop()
    if known and (_is_of(rule, output_loss, loss_targets) or rule == "clipped_dead"):
        yield from _of_output(rule, seen)
    if rule in OWNED:
        yield changes.all_parameters()
    if rule == "frozen":
        yield changes.unfrozen()
    if rule in SCALED and (scale := _inputs(seen)) is not None:
        yield changes.standardised_inputs(*scale[:2])
    if rule in DRAWN:
        if rule in ("vanishing_gradient", "starved") and changes.has_bounded(seen.model):
            relu = changes.relu_in_place()
            yield changes.both("", relu, changes.kaiming())
            yield relu
        yield changes.drawn_again()
        yield changes.kaiming()
    for factor in RATES.get(rule, ()):
        yield changes.rate(factor, seen.optimizers[0])
    if rule == "no_activation":
        yield changes.relu_between()
    if rule == "dropout_too_strong":
        yield changes.weak_dropout()
    if rule == "momentum_too_high":
        yield changes.setting("momentum=0.9", "momentum", 0.9)
        yield changes.setting("momentum=0", "momentum", 0.0)
    if rule == "decay_too_strong":
        yield changes.setting("weight_decay=1e-4", "weight_decay", 1e-4)
        yield changes.setting("weight_decay=0", "weight_decay", 0.0)
    if rule == "loss_maximised":
        flipped = seen.program.form.startswith("-")
        yield changes.negated() if flipped else changes.minimising()
    if rule == "sorted_data" and isinstance(seen.batch[0], Tensor):
        yield changes.shuffled()
    if known:
        yield from _of_targets(rule, seen)


def _is_of(rule: str, *modules: ModuleType) -> bool:
    names = [module.__name__ for module in modules]
    return rule in PROGRAM_RULES and PROGRAM_RULES[rule].__module__ in names


def _of_targets(rule: str, seen: ProgramSeen) -> Iterator[Remedy]:
    if rule == "targets_unscaled" and seen.task.kind == NUMBERS:
        t = seen.targets.double()
        std = t.std(0)
        code = "targets = (targets - mean) / std   # and predictions = outputs * std + mean"
        place = seen.batch[1].device
        std = torch.where(std > 0, std, torch.ones_like(std))
        yield changes.scaled_targets(code, t.mean(0).to(place), std.to(place))
    if rule == "imbalance" and seen.program.form == "ce" and not seen.targets.is_floating_point():
        classes = seen.outputs.shape[1]
        counts = seen.targets.flatten().clamp_min(0).bincount(minlength=classes).double()
        yield changes.weighted(counts[:classes])
    if rule == "imbalance" and seen.program.form == "bce_logits":
        yield changes.positive_weight(float(seen.targets.double().mean()))


def _of_output(rule: str, seen: ProgramSeen) -> Iterator[Remedy]:
    """Yield remedies of outputs that do not fit the loss."""
    end, form = seen.end, seen.program.form
    low, high = float(seen.targets.double().min()), float(seen.targets.double().max())
    if rule == "shapes_broadcast":
        yield changes.with_shape()
        return
    if rule == "classes_as_numbers":
        yield changes.wide_head(int(high) + 1)
        return
    if rule == "labels_out_of_range":
        code = "targets = (targets + 1) / 2" if (low, high) == (-1, 1) else f"targets - {low:g}"
        yield changes.scaled_targets(code, low, high - low)
        return
    if rule == "targets_out_of_range":
        if low >= 0:
            yield changes.scaled_targets(f"targets = targets / {high:g}", 0.0, high)
        else:
            code = f"targets = (targets - {low:g}) / {high - low:g}"
            yield changes.scaled_targets(code, low, high - low)
        return
    of_probabilities = form.endswith("bce") or form.startswith("log+")
    if end and not of_probabilities:
        yield changes.without_end(end)
    if rule == "output_out_of_range" and end in RANGES:
        least, most = RANGES[end]
        factor = (high - low) / (most - least)
        code = f"targets = (targets - {low:g}) / {factor:g}{' - 1' if least else ''}"
        yield changes.scaled_targets(code, low - least * factor, factor)
    yield from _matching(seen)


def _matching(seen: ProgramSeen) -> Iterator[Remedy]:
    """Yield the loss that matches the targets, on the outputs of the last layer."""
    end = seen.end
    kind = seen.task.kind
    if kind == CLASSES:
        code, form = "F.cross_entropy(outputs, targets)", "ce"
        given = changes.loss(code, F.cross_entropy, form)
        if end == "softmax":
            yield changes.loss("F.nll_loss(outputs.log(), targets)", _nll, "log+nll")
    elif kind == LABELS:
        code = "F.binary_cross_entropy_with_logits(outputs, targets.float().view_as(outputs))"
        given = changes.loss(code, _bce_with_logits, "bce_logits")
        if end == "sigmoid":
            own = "F.binary_cross_entropy(outputs, targets.float().view_as(outputs))"
            yield changes.loss(own, _bce, "bce")
    else:
        given = changes.loss("F.mse_loss(outputs, targets.view_as(outputs))", _mse, "mse")
    if seen.program.form == given_form(kind):
        return  # without the activation it is the same
    yield changes.both("", changes.without_end(end), given) if end else given


def given_form(kind: str) -> str:
    """Return the form of the loss that matches a kind of task."""
    return {CLASSES: "ce", LABELS: "bce_logits"}.get(kind, "mse")


def _nll(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.nll_loss(outputs.log(), targets)


def _bce(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.binary_cross_entropy(outputs, targets.to(outputs).view_as(outputs))


def _bce_with_logits(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(outputs, targets.to(outputs).view_as(outputs))


def _mse(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.mse_loss(outputs, targets.to(outputs).view_as(outputs))


def _inputs(seen: ProgramSeen) -> tuple[Tensor, Tensor, float] | None:
    """Compute mean and standard deviation of the columns or channels, and the size of all.

    None if the inputs are no numbers.
    """
    parts = [inputs for inputs, _ in seen.batches]
    if not all(isinstance(one, Tensor) and one.is_floating_point() for one in parts):
        return None
    if parts[0].dim() < 2:
        return None
    x = torch.cat([one.detach().double().cpu() for one in parts])
    axes = [0, 2, 3] if x.dim() == 4 else [0] if x.dim() == 2 else list(range(x.dim()))
    mean = x.mean(axes, keepdim=True)
    std = x.std(axes, keepdim=True, unbiased=False)
    std = torch.where(std > 1e-12 * mean.abs(), std, torch.ones_like(std))
    # of a column that is constant, 0 is left
    return (
        mean[0],
        torch.where(std > 0, std, torch.ones_like(std))[0],
        float(x.square().mean().sqrt()),
    )
