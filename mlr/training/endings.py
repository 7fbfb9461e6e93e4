"""Runs that end before their last step, by divergence or early stopping.

Validation, if there is any, is judged at the end of each epoch and nowhere else, and an update
is refused by itself, so that no run's end depends on the clock or on its siblings. What a run
has then is kept aside: its slots in the tensors go on being computed beside its siblings, and
put back at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from mlr.training.rows import Row, put, row_of
from mlr.training.step import Program


@dataclass(frozen=True)
class Ending:
    """How and when a run ended.

    step: updates done.
    status: done or diverged.
    reason: one sentence.
    refused: of an update that would have made it diverge: its number, the first tensor that is
        not finite, and the training examples of its batch; empty for any other end.
    """

    step: int
    status: str
    reason: str
    refused: dict[str, Any] = field(default_factory=dict)

    @property
    def batches(self) -> int:
        """How many batches it has seen."""
        return self.step + bool(self.refused)


class Endings:
    """Watches the R runs of a program.

    lowest: validation loss of each so far (R,); infinite before the first.
    waited: epochs since (R,).
    best_step: updates by then (R,); 0 before the first.
    best: parameters by then (R, P).
    ended: how runs ended that did, by number.
    kept: what they were then.
    begun_finite: whether the loss of each was finite before the first update.
    """

    def __init__(self, program: Program) -> None:
        patience = [run.patience for run in program.runs]
        self.program, self.patience = program, patience
        self.patient = any(epochs is not None for epochs in patience)
        self.best = program.of_runs(program.parameters).clone()
        self.lowest = self.best.new_full((len(patience),), torch.inf)
        self.waited = torch.zeros(len(patience), dtype=torch.int64, device=self.best.device)
        self.best_step = torch.zeros_like(self.waited)
        self.ended: dict[int, Ending] = {}
        self.kept: dict[int, Row] = {}
        self.begun_finite = [True] * len(patience)

    def begin(self, losses: Tensor) -> None:
        """Learn of the mean training losses (R,) before the first update."""
        self.begun_finite = losses.isfinite().tolist()

    @property
    def all_over(self) -> bool:
        """Tell if no run is left to train."""
        return len(self.ended) == len(self.patience)

    def watch(self, step: int, losses: Tensor) -> None:
        """Judge every run after `step` updates by its losses (R,) over the validation split."""
        self._compare(step, losses)
        if not self.patient and bool(losses.isfinite().all()):
            return
        finite, waited = losses.isfinite().tolist(), self.waited.tolist()
        for run, fine in enumerate(finite):
            if run in self.ended:
                continue
            if not fine:
                advice = ADVICE if self.begun_finite[run] else BEFORE
                reason = f"the validation loss is not finite after {step} updates; {advice}"
                self.end(run, Ending(step, "diverged", reason), row_of(self.program, run))
            elif spent := self._out_of_patience(run, waited[run]):
                self.end(run, Ending(step, "done", spent), row_of(self.program, run))

    def end(self, run: int, ending: Ending, row: Row) -> None:
        """A run has come to its end, as `row`."""
        self.ended[run], self.kept[run] = ending, row

    def _compare(self, step: int, losses: Tensor) -> None:
        """Keep the runs that were never better."""
        better = losses < self.lowest
        for run in self.ended:
            better[run] = False
        if self.patient:
            self.waited = torch.where(better, 0, self.waited + 1)
        if bool(better.any()):
            torch.where(better, losses, self.lowest, out=self.lowest)
            self.best_step.masked_fill_(better, step)
            now = self.program.of_runs(self.program.parameters)
            torch.where(better.unsqueeze(1), now, self.best, out=self.best)

    def _out_of_patience(self, run: int, waited: int) -> str | None:
        patience = self.patience[run]
        if patience is None or waited < patience:
            return None
        return f"stopped early: no lower validation loss for patience={patience} epochs"

    def at_last(self, run: int, steps: int, metrics: Mapping[str, float]) -> Ending:
        """How a run ended: before, or with all its updates done.

        Args:
            run: its number.
            steps: updates done.
            metrics: its final numbers by tag; without validation, its last loss decides.
        """
        if run in self.ended:
            return self.ended[run]
        if "loss/val" in metrics or isfinite(metrics["loss/train"]):
            return Ending(steps, "done", "")
        advice = ADVICE if self.begun_finite[run] else BEFORE
        reason = f"the training loss is not finite after {steps} updates; {advice}"
        return Ending(steps, "diverged", reason)

    def take_up(self, run: int, ending: Ending | None, waited: int) -> None:
        """Judge a run that goes on, and is in its place again.

        Args:
            run: its number.
            ending: how it ended before; with more patience it goes on.
            waited: epochs since its lowest validation loss.
        """
        if ending and (ending.status == "diverged" or self._out_of_patience(run, waited)):
            self.end(run, ending, row_of(self.program, run))

    def restore(self) -> None:
        """Put back, in place, what the ended runs had when they ended."""
        for run, row in self.kept.items():
            put(self.program, run, row)


ADVICE = "try a smaller optimizer.lr"
BEFORE = "it was so before any update: look at the model and the loss"
