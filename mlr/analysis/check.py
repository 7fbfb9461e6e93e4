"""Preflight of a program: faults that one batch shows, found without changing anything."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mlr.analysis.explain.command import written
from mlr.analysis.explain.diagnose import every_diagnosis
from mlr.core.checks import InputError
from mlr.diagnosis.findings import Diagnosis
from mlr.loop.evidence import recomputed
from mlr.loop.evidence.observer import Observer
from mlr.records.evidence import Evidence
from mlr.records.reading import Recorded
from mlr.records.run_folder import METRICS

POINTS = 6
"""Points at which the loss is computed, to recognise it."""
NOTHING = "No fault seen in one batch; probe a training with GradientProbe, and explain it."


@dataclass(frozen=True, repr=False)
class Checked(Sequence[Diagnosis]):
    """Faults that were found, the most important first; it prints and displays itself."""

    diagnoses: Sequence[Diagnosis]
    run: Recorded

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
    loss: Callable[[Tensor, Tensor], Tensor],
    batch: tuple[Any, Tensor],
    optimizer: Optimizer | Sequence[Optimizer] | None = None,
) -> Checked:
    """Look at a model, a loss and a batch before the training, and name what is wrong.

    Example::

        print(mlr.check(model, nn.CrossEntropyLoss(), next(iter(loader)), optimizer))

    The model is called once, in the mode it is in. Parameters, gradients, buffers, random states
    and the mode are afterwards as they were.

    Args:
        model: its forward gives the outputs that the loss takes.
        loss: function of outputs and targets; gives the loss () of the batch.
        batch: inputs and targets; a tuple of inputs becomes several arguments of the model.
        optimizer: one or several; None leaves out what concerns them.

    Raises:
        InputError: the batch is no pair, or outputs or loss are no tensors.
    """
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise InputError("batch must be a pair of inputs and targets, as (inputs, targets).")
    inputs, targets = batch
    optimizers = [optimizer] if isinstance(optimizer, Optimizer) else list(optimizer or [])
    with unchanged(model), torch.enable_grad():
        outputs = model(*inputs) if isinstance(inputs, (tuple, list)) else model(inputs)
        value = loss(outputs, targets) if isinstance(outputs, Tensor) else None
        if not isinstance(outputs, Tensor) or not isinstance(value, Tensor):
            kind = type(value if isinstance(outputs, Tensor) else outputs).__name__
            which = "loss" if isinstance(outputs, Tensor) else "output"
            raise InputError(f"The {which} must be a tensor, and is {kind}.")
        evidence = _evidence(model, optimizers, outputs, targets, value, loss)
    # not a folder: nothing is read of it
    run = Recorded(Path("check"), {"status": "done", "program": evidence.encode()}, (METRICS,))
    return Checked(every_diagnosis(run), run)


def _evidence(
    model: nn.Module,
    optimizers: Sequence[Optimizer],
    outputs: Tensor,
    targets: Tensor,
    value: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
) -> Evidence:
    observer = Observer(model, optimizers, listen=False)
    observer.look(0, outputs, targets, value)
    observer.targets.add(targets)
    seen = replace(observer.evidence(), preflight=True, calls=1)
    names = [form.rpartition(":")[0] for form in seen.looks[0].forms]
    found = dict(form.rpartition(":")[::2] for form in seen.looks[0].forms)
    with torch.no_grad():
        for shift in range(1, POINTS if len(outputs) > 1 and names else 1):
            moved = outputs.detach().roll(shift, 0)  # in the range of the outputs
            own = recomputed.forms(moved, targets, loss(moved, targets), names)
            found = {name: how for name, how in found.items() if own.get(name) == how}
    look = replace(seen.looks[0], forms=[f"{name}:{how}" for name, how in found.items()])
    return replace(seen, looks=[look])


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Restore buffers, modes and random states afterwards."""
    buffers = [(own, own.detach().clone()) for own in model.buffers()]
    modes = [(part, part.training) for part in model.modules()]
    states = random.getstate(), np.random.get_state()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        with torch.no_grad():
            for own, before in buffers:
                if not torch.equal(own, before):
                    own.copy_(before)
        for part, training in modes:
            part.training = training
        random.setstate(states[0])
        np.random.set_state(states[1])
