"""Helpers for the tests of a user's own program, under pytest or any other runner."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

from mlr.analysis.check import check
from mlr.analysis.explain.command import written
from mlr.analysis.explain.diagnose import PROGRAM_RULES
from mlr.core.checks import known
from mlr.loop.preflight.rehearsal import SEED, seed_all
from mlr.loop.preflight.untouched import untouched

STEPS = 200
"""Steps in which a copy learns one batch."""


def assert_learns(
    model: nn.Module,
    loss: Callable[..., Any] | None,
    batch: Any,
    optimizer: Optimizer | Sequence[Optimizer] | None = None,
    *,
    validation: Any = None,
    steps: int = STEPS,
    ignore: Collection[str] = (),
) -> None:
    """Assert that `mlr.check` finds no fault, and that a copy of the model learns one batch.

    Nothing of the user's is changed, and the result is the same each time.

    Args:
        model: as of `mlr.check`.
        loss: as of `mlr.check`.
        batch: as of `mlr.check`; 16 to 64 examples are enough.
        optimizer: as of `mlr.check`; without one, Adam at a rate of 0.001 trains the copy.
        validation: examples that should be none of the batch's.
        steps: in which the copy has to learn the batch; 0 for none.
        ignore: rules that are meant to be so, as `frozen`.

    Raises:
        AssertionError: with sentence, evidence and mending line of the first fault, and the names
            of the others; from the error of torch, if it refused a call.
        InputError: the batch has none of the forms, or the model cannot be copied.
    """
    __tracebackhide__ = True
    for name in ignore:
        known("rule", name, PROGRAM_RULES)
    with untouched():
        seed_all(SEED)
        found = check(model, loss, batch, optimizer, validation=validation, overfit_steps=steps)
    faults = [one for one in found if one.rule not in ignore]
    if faults:
        lines = written([found.run], faults[0])
        if len(faults) > 1:
            lines.append(f"  also      {', '.join(one.rule for one in faults[1:])}")
        raise AssertionError("\n".join(lines)) from found.error
