"""Stop single runs of a program before their last step, by divergence or early stopping.

Validation is judged only at the end of each epoch, and an update is refused by itself, so that no
run's end depends on the clock or on other runs. A stopped run is copied: its lanes are computed
further together with the others, and restored at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, isfinite

import torch
from torch import Tensor

from mlr.training.patience import ERROR
from mlr.training.state import LanesCopy, Stop, copy_buffers, copy_lanes, restore_lanes
from mlr.training.step import Program


class Stopping:
    """Early stopping and divergence of the R runs of a program.

    lowest: lowest validation loss of each run (R,); infinite before the first.
    best_step, best: updates (R,) and parameters (R, P) by then.
    best_buffers: buffers by then of each run; a dense network has none.
    waited: epochs since the last improvement (R,).
    judged: lowest loss, or error where that is judged, of each run (R,).
    limits: updates after which the patience of each run is spent, infinite if there is none.
    ended, frozen: ends and copies of the stopped runs, by number.
    begun_finite: whether the loss of each run was finite before the first update.
    """

    def __init__(self, program: Program) -> None:
        patience = [run.patience for run in program.runs]
        self.program, self.patience = program, patience
        self.rules = [run.stopping for run in program.runs]
        self.limits = [inf if rule.updates is None else rule.updates for rule in self.rules]
        self.patient = any(epochs is not None for epochs in patience) or min(self.limits) < inf
        self.best = program.of_runs(program.parameters).clone()
        modules = program.network.modules
        self.best_buffers = [
            copy_buffers(modules[lane]) if modules else {} for lane in program.lane_of
        ]
        self.lowest = self.best.new_full((len(patience),), torch.inf)
        self.waited = torch.zeros(len(patience), dtype=torch.int64, device=self.best.device)
        self.best_step = torch.zeros_like(self.waited)
        shares = [1 - rule.threshold for rule in self.rules]
        self.shares = self.lowest.new_tensor(shares) if any(shares) else None
        self.judged = self.lowest.clone()
        by_error = [rule.by == ERROR for rule in self.rules]
        self.by_error = torch.tensor(by_error, device=self.best.device) if any(by_error) else None
        self.ended: dict[int, Stop] = {}
        self.frozen: dict[int, LanesCopy] = {}
        self.begun_finite = [True] * len(patience)

    @property
    def all_over(self) -> bool:
        """Tell if all runs have stopped."""
        return len(self.ended) == len(self.patience)

    def watch(self, step: int, losses: Tensor, accuracies: Tensor | None = None) -> None:
        """Judge every run after `step` updates by its validation losses, or accuracies (R,)."""
        if self.patient:
            judged = losses
            if self.by_error is not None and accuracies is not None:
                judged = torch.where(self.by_error, 1 - accuracies, losses)
            self._wait(step, judged)
        self._compare(step, losses)
        if not self.patient and bool(losses.isfinite().all()):
            return
        finite, waited = losses.isfinite().tolist(), self.waited.tolist()
        for run, fine in enumerate(finite):
            if run in self.ended:
                continue
            if not fine:
                self.end(
                    run, self._diverged(run, step, "validation"), copy_lanes(self.program, run)
                )
            elif spent := self._out_of_patience(run, waited[run], step):
                self.end(run, Stop(step, "done", spent), copy_lanes(self.program, run))

    def end(self, run: int, ending: Stop, copy: LanesCopy) -> None:
        """Stop a run, which is frozen as `copy`."""
        self.ended[run], self.frozen[run] = ending, copy

    def _compare(self, step: int, losses: Tensor) -> None:
        """Copy the runs whose loss is the lowest so far."""
        better = losses < self.lowest
        for run in self.ended:
            better[run] = False
        if bool(better.any()):
            torch.where(better, losses, self.lowest, out=self.lowest)
            self.best_step.masked_fill_(better, step)
            now = self.program.of_runs(self.program.parameters)
            torch.where(better.unsqueeze(1), now, self.best, out=self.best)
            modules = self.program.network.modules
            for run in better.nonzero().flatten().tolist() if modules else ():
                self.best_buffers[run] = copy_buffers(modules[self.program.lane_of[run]])

    def _wait(self, step: int, judged: Tensor) -> None:
        """Count epochs without improvement, and raise the patience of runs with one."""
        lower = judged < self.judged
        for run in self.ended:
            lower[run] = False
        improved = lower
        if self.shares is not None:
            needed = self.judged - self.shares * self.judged.abs()
            # the first loss is an improvement: ∞ − ∞ is none
            improved = lower & ((judged < needed) | self.judged.isinf())
        self.judged = torch.where(lower, judged, self.judged)
        self.waited = torch.where(improved, 0, self.waited + 1)
        if min(self.limits) < inf:
            for run, own in enumerate(improved.tolist()):
                if own:
                    self.limits[run] = max(self.limits[run], self.rules[run].factor * step)

    def _out_of_patience(self, run: int, waited: int, step: int) -> str | None:
        patience, limit = self.patience[run], self.limits[run]
        threshold, by = self.rules[run].threshold, self.rules[run].by
        below = "" if threshold == 1 else f" below stopping.threshold={threshold:g} of the lowest"
        if patience is not None and waited >= patience:
            lower = f"no lower validation {by}" if threshold == 1 else f"no validation {by}{below}"
            return f"stopped early: {lower} for patience={patience} epochs"
        if step >= limit:
            return (
                f"stopped early: the patience of {limit:g} updates is spent, from stopping.updates="
                f"{self.rules[run].updates} and each validation {by}"
                f"{below or ' lower than before'}"
            )
        return None

    def at_last(self, run: int, steps: int, metrics: Mapping[str, float]) -> Stop:
        """Return the end of a run with these final metrics: an earlier one, or after `steps`.

        Without validation, the training loss decides if it diverged.
        """
        if run in self.ended:
            return self.ended[run]
        if "loss/val" in metrics or isfinite(metrics["loss/train"]):
            return Stop(steps, "done", "")
        return self._diverged(run, steps, "training")

    def _diverged(self, run: int, step: int, split: str) -> Stop:
        advice = ADVICE if self.begun_finite[run] else BEFORE
        reason = f"the {split} loss is not finite after {step} updates; {advice}"
        return Stop(step, "diverged", reason)

    def resume(self, run: int, ending: Stop | None, waited: int, limit: float) -> None:
        """End a restored run as it had ended; with more patience it continues.

        Args:
            run: its number.
            ending: how it had ended.
            waited: epochs without improvement.
            limit: updates after which its patience was spent.
        """
        if self.limits[run] < inf and limit < inf:
            self.limits[run] = max(self.limits[run], limit)
        spent = ending and self._out_of_patience(run, waited, ending.step)
        if ending and (ending.status == "diverged" or spent):
            self.end(run, ending, copy_lanes(self.program, run))

    def restore(self) -> None:
        """Restore the stopped runs in place."""
        for copy in self.frozen.values():
            restore_lanes(self.program, copy)


ADVICE = "try a smaller optimizer.lr"
BEFORE = "it was so before any update: look at the model and the loss"
