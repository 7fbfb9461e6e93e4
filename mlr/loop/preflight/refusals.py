"""Calls that torch refuses, and the change with which it does not: each is tried.

A change is tried on copies; the first that is accepted mends, whatever the text of torch says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from mlr.loop.preflight.batch import GivenBatch, Loss, main_output, tensors

REFUSALS = (RuntimeError, ValueError, IndexError, TypeError, AttributeError)
"""Errors of torch; others are of the program, and are passed on."""
LONGEST = 300
"""Characters of torch's text."""
Change = Callable[[Tensor], Tensor]


def _like(model: nn.Module) -> Change:
    first = next((one for one in model.parameters() if one.is_floating_point()), None)
    return lambda x: x.to(torch.float32 if first is None else first.dtype)


def of_inputs(model: nn.Module) -> dict[str, Change]:
    """Return changes of the inputs, by name; one that does not apply raises an error."""
    real = _like(model)
    return {
        "inputs_float": real,
        "inputs_long": _whole,
        "inputs_flat": lambda x: real(x).flatten(1),
        "channels_first": lambda x: real(x).permute(0, 3, 1, 2),
        "channel_added": lambda x: real(x).unsqueeze(1),
    }


def _whole(values: Tensor) -> Tensor:
    if not bool((values == values.round()).all()):
        raise ValueError("numbers are no indices")
    return values.long()


def _column(targets: Tensor) -> Tensor:
    if targets.dim() < 2 or targets.shape[-1] != 1:
        raise ValueError("no column")
    return targets.squeeze(-1)


def _one_hot(outputs: Tensor, targets: Tensor) -> Tensor:
    if targets.dim() != outputs.dim() - 1 or outputs.shape[-1] < 2:
        raise ValueError("no class numbers")
    return nn.functional.one_hot(_whole(targets), outputs.shape[-1]).to(outputs)


def _within(targets: Tensor) -> Tensor:
    low, high = targets.min(), targets.max()
    if low >= 0 and high <= 1:
        raise ValueError("within already")
    return (targets - low) / (high - low)


def _from_zero(outputs: Tensor, targets: Tensor) -> Tensor:
    if not int(targets.min()) > 0:
        raise ValueError("they begin at 0")
    return _whole(targets - targets.min())


TARGETS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "targets_long": lambda y, t: _whole(t),
    "targets_float": lambda y, t: t.to(y.dtype),
    "targets_column": lambda y, t: _column(t),
    "targets_column_long": lambda y, t: _whole(_column(t)),
    "targets_flat": lambda y, t: t.flatten(),
    "targets_view": lambda y, t: t.view_as(y),
    "targets_view_float": lambda y, t: t.view_as(y).to(y.dtype),
    "targets_one_hot": _one_hot,
    "classes_from_zero": _from_zero,
    "targets_within": lambda y, t: _within(t),
}
"""Changes of the targets (…), given the outputs; one that does not apply raises an error."""


@dataclass(frozen=True)
class Called:
    """A call of model and loss, after the change that torch accepts.

    Attributes:
        batch: with the change of inputs or targets.
        loss: with the change of the outputs.
        given: what the model returns; None if it refused.
        outputs: the tensor of it that the loss is most likely about; None if there is none.
        value: the loss; None if it was refused.
        single: True if the loss is a function of one tensor.
        refused: entries of `Rehearsal`; empty if nothing was refused.
        error: of torch.
    """

    batch: GivenBatch
    loss: Loss | None
    given: Any = None
    outputs: Tensor | None = None
    value: Any = None
    single: bool = True
    refused: Mapping[str, Any] | None = None
    error: Exception | None = None


def called(
    model: nn.Module, loss: Loss | None, batch: GivenBatch, rewind: Callable[[], object]
) -> Called:
    """Call model and loss, and try changes if torch refuses.

    Raises:
        Exception: of the program, which is none of torch.
    """
    refused: dict[str, Any] = {}
    error: Exception | None = None
    try:
        given = batch.copy().outputs(model, loss)
    except REFUSALS as raised:
        refused = {"refused_by": "model", "error": text(raised)}
        error = raised
        for name, change in of_inputs(model).items():
            rewind()
            try:
                changed = batch.with_inputs(change)
                given = changed.copy().outputs(model, loss)
            except REFUSALS:
                continue
            batch, refused = changed, {**refused, "mended_by": name}
            break
        else:
            return Called(batch, loss, refused=refused, error=error)
    outputs = main_output(given)
    try:
        value = _value(batch, given, loss, outputs)
        return Called(batch, loss, given, outputs, value, isinstance(given, Tensor), refused, error)
    except REFUSALS as raised:
        if not refused:
            kind = type(given).__name__
            refused = {"refused_by": "loss", "error": text(raised), "output_kind": kind}
        error = error or raised
    for name, other, through in _changes(batch, given, loss, outputs):
        try:
            value = _value(other, given, through, outputs)
        except REFUSALS:
            continue
        if isinstance(value, Tensor) and bool(value.isfinite().all()):
            refused.setdefault("mended_by", name)
            return Called(other, through, given, outputs, value, True, refused, error)
    return Called(batch, loss, given, outputs, refused=refused, error=error)


def _value(batch: GivenBatch, given: Any, loss: Loss | None, outputs: Tensor | None) -> Any:
    value = batch.value(given, loss)
    tensor = isinstance(value, Tensor) and value.numel() == 1 and value.requires_grad
    if tensor and outputs is not None and outputs.requires_grad:  # some refuse only here
        torch.autograd.grad(value, outputs, retain_graph=True, allow_unused=True)
    return value


def _changes(
    batch: GivenBatch, given: Any, loss: Loss | None, outputs: Tensor | None
) -> Iterator[tuple[str, GivenBatch, Loss]]:
    """Yield changes of targets and outputs that apply."""
    if loss is None or outputs is None:
        return
    if not isinstance(given, Tensor):
        yield "first_output", batch, lambda y, t: loss(main_output(y), t)
        return
    if outputs.dim() > 2:  # before one-hot targets, which a wrong axis takes too
        yield "class_axis", batch, _after(lambda y: y.movedim(-1, 1), loss)
    targets = batch.targets
    if isinstance(targets, Tensor):
        for name, change in TARGETS.items():
            try:
                yield name, replace(batch, targets=change(outputs, targets)), loss
            except REFUSALS:
                continue
    yield "sigmoid", batch, _after(torch.sigmoid, loss)


def _after(change: Change, loss: Loss) -> Loss:
    return lambda outputs, targets: loss(change(outputs), targets)


def devices(model: nn.Module, batch: GivenBatch) -> list[str]:
    """Return the devices of parameters and batch, without doubles."""
    every = [*model.parameters(), *tensors((batch.arguments, batch.named, batch.targets))]
    return list(dict.fromkeys(str(one.device) for one in every))


def text(error: BaseException) -> str:
    """Return the first line of an error."""
    line = str(error).strip().partition("\n")[0][:LONGEST]
    return f"{type(error).__name__}: {line}"
