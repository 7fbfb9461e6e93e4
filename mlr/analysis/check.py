"""Preflight of a program: faults that one batch shows, found without changing anything."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import nan
from pathlib import Path
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from mlr.analysis.explain.command import written
from mlr.analysis.explain.diagnose import every_diagnosis
from mlr.core.checks import InputError
from mlr.diagnosis import preflight
from mlr.diagnosis.findings import Diagnosis
from mlr.diagnosis.program import WatchedProgram
from mlr.loop.evidence import recomputed
from mlr.loop.evidence.observer import Observer
from mlr.loop.model_hooks import unwrapped
from mlr.loop.preflight import examples, rehearsal
from mlr.loop.preflight.batch import GivenBatch, Loss
from mlr.loop.preflight.refusals import Called, called, devices
from mlr.loop.preflight.untouched import Restore, untouched
from mlr.records.evidence import Evidence, Rehearsal
from mlr.records.reading import Recorded
from mlr.records.run_folder import METRICS

POINTS = 6
"""Points at which the loss is computed, to recognise it."""
NOTHING = "No fault seen in one batch; probe a training with GradientProbe, and explain it."


@dataclass(frozen=True, repr=False)
class Checked(Sequence[Diagnosis]):
    """Faults that were found, the most important first; it prints and displays itself.

    Attributes:
        diagnoses: the faults.
        run: the evidence.
        error: of torch, where it refused the model's call or the loss's; `raise found.error` shows
            the place.
    """

    diagnoses: Sequence[Diagnosis]
    run: Recorded
    error: Exception | None = None

    @overload
    def __getitem__(self, at: int) -> Diagnosis: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Diagnosis]: ...
    def __getitem__(self, at: int | slice) -> Diagnosis | Sequence[Diagnosis]:
        return self.diagnoses[at]

    def __len__(self) -> int:
        return len(self.diagnoses)

    def __repr__(self) -> str:
        lines = [line for one in self.diagnoses for line in written([self.run], one)]
        return "\n".join(lines) or NOTHING

    def _repr_html_(self) -> str:
        from mlr.analysis.notebook import markup
        from mlr.analysis.notebook.displays import DiagnosisDisplay

        if not self.diagnoses:
            return markup.display(markup.paragraph(NOTHING))
        return DiagnosisDisplay([self.run], self.diagnoses)._repr_html_()


def check(
    model: nn.Module,
    loss: Callable[..., Any] | None,
    batch: Any,
    optimizer: Optimizer | Sequence[Optimizer] | None = None,
    *,
    validation: Any = None,
    overfit_steps: int = 0,
) -> Checked:
    """Look at a model, a loss and a batch before the training, and name what is wrong.

    Example::

        print(mlr.check(model, nn.CrossEntropyLoss(), next(iter(loader)), optimizer))

    The model is called in the mode it is in, and a copy of its parameters and optimizer makes one
    step. Parameters, gradients, buffers, optimizer, random states and modes are afterwards as they
    were.

    Args:
        model: its forward gives the outputs that the loss takes.
        loss: function of outputs and targets; gives the loss () of the batch. None for a model that
            returns its loss, as those of transformers do.
        batch: (inputs, targets), (inputs, more inputs, targets), or a mapping with the targets
            under `labels`; inputs are a tensor, a tuple of them, or a mapping.
        optimizer: one or several; None leaves out what concerns them.
        validation: examples in the same form, which should be none of the batch's.
        overfit_steps: steps of a copy that must learn this batch; 0 for none, 200 are a good test.

    Raises:
        InputError: the batch has none of these forms, or the loss is no tensor.
    """
    example = GivenBatch.of(batch)
    optimizers = [optimizer] if isinstance(optimizer, Optimizer) else list(optimizer or [])
    _refuse_lazy(model)
    entries = _before(model, optimizers, example)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of what becomes a finding
        with untouched(model, loss) as rewind, torch.enable_grad():
            found, error = _seen(model, loss, example, optimizers, rewind, overfit_steps, entries)
    if validation is not None:
        compared = examples.of_validation(example.inputs, GivenBatch.of(validation).inputs)
        found = replace(found, rehearsal=replace(found.rehearsal, **compared))
    # not a folder: nothing is read of it
    run = Recorded(Path("check"), {"status": "done", "program": found.encode()}, (METRICS,))
    return Checked(every_diagnosis(run), run, error)


def _refuse_lazy(model: nn.Module) -> None:
    if any(is_lazy(own) for own in model.parameters()):
        raise InputError(
            "The model has parameters that its first call makes, as nn.LazyLinear's: call it once, "
            "make the optimizer, and then check."
        )


def _seen(
    model: nn.Module,
    loss: Loss | None,
    example: GivenBatch,
    optimizers: Sequence[Optimizer],
    rewind: Restore,
    steps: int,
    entries: dict[str, Any],
) -> tuple[Evidence, Exception | None]:
    """Gather the evidence; returns it with the error of torch, if it refused something."""
    observer = Observer(unwrapped(model), optimizers, listen=False)
    call = called(unwrapped(model), loss, example, rewind)
    entries |= call.refused or {}
    outputs, value, targets = call.outputs, call.value, call.batch.targets
    entries |= _described("target", example.targets) | _described("output", outputs)
    if value is None and call.error is not None:
        return _evidence(observer, entries), call.error
    if value is None and loss is None:
        raise InputError(
            "The model returns no loss: give one as the second argument, as nn.CrossEntropyLoss()."
        )
    if not isinstance(value, Tensor) or outputs is None:
        which, kind = ("output", call.given) if outputs is None else ("loss", value)
        raise InputError(f"The {which} must be a tensor, and is {type(kind).__name__}.")
    if not isinstance(targets, Tensor):
        targets = torch.empty(0)
    observer.look(0, outputs, targets, value)
    observer.targets.add(targets)
    evidence = _recognised(observer.evidence(), outputs, targets, call)
    if value.numel() != 1:
        entries["loss_shape"] = list(value.shape)
        return _evidence(observer, entries, evidence), call.error
    again = partial(_again, call, rewind)
    entries |= rehearsal.first_step(
        model, value, optimizers, again, preflight.wild(WatchedProgram(evidence))
    )
    look = replace(evidence.looks[0], after=entries.get("gradient", nan))
    evidence = replace(evidence, looks=[look])
    if steps:
        entries |= rehearsal.learned(model, call.loss, call.batch, optimizers, steps)
    return _evidence(observer, entries, evidence), call.error


def _again(call: Called, rewind: Restore, model: Callable[..., Any]) -> Any:
    rewind()
    here = call.batch.copy()
    return here.value(here.outputs(model, call.loss), call.loss)


def _before(
    model: nn.Module, optimizers: Sequence[Optimizer], example: GivenBatch
) -> dict[str, Any]:
    """Describe what is there before the first call."""
    grads = [own.grad for own in model.parameters() if own.grad is not None]
    groups = [group for one in optimizers for group in one.param_groups]
    inputs = example.inputs
    found: dict[str, Any] = {
        "kept_gradient": rehearsal.norm(grads) if grads else 0.0,
        "fresh_state": any(_keeps_state(one) and not one.state for one in optimizers),
        "warming": any(group.get("initial_lr", 0) > group.get("lr", 0) for group in groups),
        "devices": devices(model, example),
        **examples.of_columns(inputs),
    }
    return found | _described("input", inputs[0] if inputs else None)


def _keeps_state(optimizer: Optimizer) -> bool:
    plain = isinstance(optimizer, torch.optim.SGD)
    return not plain or any(group["momentum"] for group in optimizer.param_groups)


def _described(name: str, value: Any) -> dict[str, Any]:
    """Return type, shape and range of a tensor."""
    if not isinstance(value, Tensor):
        return {} if value is None else {f"{name}_type": type(value).__name__}
    found: dict[str, Any] = {
        f"{name}_type": str(value.dtype).removeprefix("torch."),
        f"{name}_shape": list(value.shape),
    }
    if name != "output" and value.numel() and not value.is_meta and not value.is_complex():
        low, high = (value.byte() if value.dtype == torch.bool else value.detach()).aminmax()
        found |= {f"{name}_low": float(low), f"{name}_high": float(high)}
    if name == "target":
        found["target_whole"] = not value.is_floating_point() or bool(
            (value == value.round()).all()
        )
    return found


def _evidence(
    observer: Observer, entries: dict[str, Any], seen: Evidence | None = None
) -> Evidence:
    """Join the evidence of the batch and of the rehearsal."""
    found = seen or replace(observer.evidence(), preflight=True, calls=1)
    return replace(found, rehearsal=Rehearsal(**entries))


def _recognised(seen: Evidence, outputs: Tensor, targets: Tensor, call: Called) -> Evidence:
    """Leave the forms that the loss has at several points."""
    names = [form.rpartition(":")[0] for form in seen.looks[0].forms]
    found = dict(form.rpartition(":")[::2] for form in seen.looks[0].forms)
    loss = call.loss if call.single and len(outputs) > 1 and names else None
    if loss is not None:
        with torch.no_grad():
            for shift in range(1, POINTS):
                moved = outputs.detach().roll(shift, 0)  # in the range of the outputs
                own = recomputed.forms(moved, targets, loss(moved, targets), names)
                found = {name: how for name, how in found.items() if own.get(name) == how}
    look = replace(seen.looks[0], forms=[f"{name}:{how}" for name, how in found.items()])
    return replace(seen, preflight=True, calls=1, looks=[look])
