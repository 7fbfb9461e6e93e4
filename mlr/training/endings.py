"""Runs that end before their last step, by divergence or early stopping.

Decided at the end of each epoch and nowhere else, so that no run's end depends on the
clock or on its siblings. What a run has then is kept aside: its slots in the tensors go
on being computed beside its siblings, and put back at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite

from torch import Tensor


@dataclass(frozen=True)
class Ending:
    """How and when a run ended: `step` updates were done, status is done or diverged."""

    step: int
    status: str
    reason: str


class Endings:
    """Watches R runs.

    Args:
        patience: of each run, epochs without a lower validation loss; None never stops it.
    """

    def __init__(self, patience: Sequence[int | None]) -> None:
        self.patience = patience
        self.patient = any(epochs is not None for epochs in patience)
        self.lowest = [inf] * len(patience)
        self.waited = [0] * len(patience)
        self.ended: dict[int, Ending] = {}
        self.kept: dict[int, tuple[Tensor, dict[str, Tensor]]] = {}

    @property
    def all_over(self) -> bool:
        """Whether no run is left to train."""
        return len(self.ended) == len(self.patience)

    def watch(
        self, step: int, losses: Tensor, parameters: Tensor, state: dict[str, Tensor]
    ) -> None:
        """Judge every run after `step` updates.

        Args:
            step: updates done.
            losses: over the validation split (R,).
            parameters: (R, P).
            state: the optimizer's moments, each (R, P).
        """
        fine = losses.isfinite() & parameters.isfinite().all(1)
        if not self.patient and bool(fine.all()):
            return
        finite = fine.tolist()
        for run, loss in enumerate(losses.tolist()):
            if run in self.ended:
                continue
            reason = self._reason(run, loss) if finite[run] else ""
            if reason is None:
                continue
            status = "done" if finite[run] else "diverged"
            if not finite[run]:
                what = "parameters are" if isfinite(loss) else "validation loss is"
                reason = f"the {what} not finite after {step} updates; try a smaller optimizer.lr"
            self.ended[run] = Ending(step, status, reason)
            moments = {name: moment[run].clone() for name, moment in state.items()}
            self.kept[run] = (parameters[run].clone(), moments)

    def _reason(self, run: int, loss: float) -> str | None:
        """Why a run with a finite loss is to stop now, None if it goes on."""
        patience = self.patience[run]
        if patience is None:
            return None
        if loss < self.lowest[run]:
            self.lowest[run], self.waited[run] = loss, 0
            return None
        self.waited[run] += 1
        return self._out_of_patience(run)

    def _out_of_patience(self, run: int) -> str | None:
        patience = self.patience[run]
        if patience is None or self.waited[run] < patience:
            return None
        return f"stopped early: no lower validation loss for patience={patience} epochs"

    def take_up(
        self,
        run: int,
        step: int,
        lowest: float,
        waited: int,
        row: Tensor,
        moments: dict[str, Tensor],
    ) -> None:
        """Judge a run that goes on as if it had been watched from its start.

        Args:
            run: its number.
            step: updates done.
            lowest: validation loss so far.
            waited: epochs since.
            row: its parameters (P,).
            moments: of the optimizer, each (P,).
        """
        self.lowest[run], self.waited[run] = lowest, waited
        reason = self._out_of_patience(run)
        if reason is not None:
            self.ended[run] = Ending(step, "done", reason)
            self.kept[run] = (row.clone(), {name: own.clone() for name, own in moments.items()})

    def restore(self, parameters: Tensor, state: dict[str, Tensor], lane_of: Sequence[int]) -> None:
        """Put back, in place, what the ended runs had when they ended.

        Args:
            parameters: (L, P).
            state: the optimizer's moments, each (L, P).
            lane_of: the row of each run.
        """
        for run, (row, moments) in self.kept.items():
            parameters[lane_of[run]] = row
            for name, moment in moments.items():
                state[name][lane_of[run]] = moment
