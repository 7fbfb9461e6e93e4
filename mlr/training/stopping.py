"""Runs that end before their last step: early stopping, run by run."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from torch import Tensor


class EarlyStopping:
    """Keeps the best parameters of each run that has a patience; the engine never waits for it.

    A stopped run's slots in the tensors go on being computed beside its siblings; what
    counts is the copy kept here.
    """

    def __init__(self, patience: Sequence[int | None]) -> None:
        self.patience = patience
        self.best_loss = [inf] * len(patience)
        self.best_step = [0] * len(patience)
        self.best: dict[int, tuple[Tensor, dict[str, Tensor]]] = {}
        self.waited = [0] * len(patience)
        self.stopped: dict[int, str] = {}
        """run → why it was stopped"""

    @property
    def active(self) -> bool:
        """Whether any run may be stopped early."""
        return any(patience is not None for patience in self.patience)

    def update(
        self, step: int, losses: Tensor, parameters: Tensor, state: dict[str, Tensor]
    ) -> None:
        """Look at the validation losses (R,) after `step` updates."""
        for run, loss in enumerate(losses.tolist()):
            patience = self.patience[run]
            if patience is None or run in self.stopped:
                continue
            if loss < self.best_loss[run]:
                self.best_loss[run], self.best_step[run], self.waited[run] = loss, step, 0
                moments = {name: moment[run].clone() for name, moment in state.items()}
                self.best[run] = (parameters[run].clone(), moments)
                continue
            self.waited[run] += 1
            if self.waited[run] >= patience:
                self.stopped[run] = (
                    f"no lower validation loss in {patience} epochs; "
                    f"kept the parameters of step {self.best_step[run]}"
                )

    def restore(self, parameters: Tensor, state: dict[str, Tensor]) -> None:
        """Put the best parameters and moments of each watched run back in place."""
        for run, (best, moments) in self.best.items():
            parameters[run] = best
            for name, moment in moments.items():
                state[name][run] = moment
