"""Roll back updates that give non-finite parameters.

Checking every update costs a tenth of a small run. So parameters are checked after some updates,
at the end of each epoch, and before anything is recorded or checkpointed. If some are not finite,
the program is restored to the last check and its updates are repeated, each checked; then
everything is restored, so that other runs are not affected.
"""

from __future__ import annotations

from itertools import chain
from math import isfinite

from torch import Tensor

from mlr.training.batches import Batches
from mlr.training.examples import Examples
from mlr.training.shuffling import orders_of
from mlr.training.state import LanesCopy, Stop, copy_lanes, restore_lanes
from mlr.training.step import Program
from mlr.training.stopping import ADVICE, BEFORE, Stopping


class DivergenceGuard:
    """Checks of the updates of a program, on these training examples."""

    def __init__(self, program: Program, examples: Examples, stopping: Stopping) -> None:
        self.program, self.examples, self.stopping = program, examples, stopping
        self.step = 0

    def begin(self, step: int) -> None:
        """Start at `step` updates, after which all parameters are finite."""
        self.step, self.copy = step, copy_lanes(self.program)

    def judge(self, step: int) -> None:
        """Stop runs that diverged since the last check, before the update that did it."""
        if step == self.step:
            return
        # one number to look at; it is not finite wherever any of them is not
        if not isfinite(float(self.program.parameters.sum())):
            lost = self._lost(range(len(self.program.runs)))
            if lost:
                self._repeat(lost, step)
        self.begin(step)

    def _lost(self, runs: range | list[int]) -> list[int]:
        """Select the runs with non-finite parameters that have not stopped before."""
        fine = self.program.of_runs(self.program.parameters).isfinite().all(1).tolist()
        return [run for run in runs if not fine[run] and run not in self.stopping.ended]

    def _repeat(self, lost: list[int], step: int) -> None:
        program = self.program
        now, previous = copy_lanes(program), program.statistics.previous
        restore_lanes(program, self.copy)
        first = {run: copy_lanes(program, run) for run in lost}
        chunks = Batches(self.examples, program).chunks(self.step)
        batches = chain.from_iterable(chunk for chunk, _ in chunks)
        for at, (inputs, targets) in enumerate(batches, self.step):
            if not lost or at == step:
                break
            before = {run: copy_lanes(program, run) for run in lost}
            done = program.differentiate(inputs, targets, at)
            logits, logit_grads = program.joined(done)
            gradients = program.gradients.clone()
            program.advance(at)
            for run in self._lost(lost):
                lane = program.lane_of[run]
                tensor = self._first(logits[lane], logit_grads[lane], gradients[lane], lane)
                self._refuse(run, at, tensor, before[run])
            lost = [run for run in lost if run not in self.stopping.ended]
        for run in lost:
            # on devices that sum in any order the repetition may differ
            reason = f"the parameters are not finite after {step} updates; {ADVICE}"
            refused = {"update": step, "tensor": "a parameter", "examples": []}
            self.stopping.end(run, Stop(self.step, "diverged", reason, refused), first[run])
        restore_lanes(program, now)
        program.statistics.previous = previous

    def _first(self, logits: Tensor, logit_grads: Tensor, gradients: Tensor, lane: int) -> str:
        """Name the first non-finite tensor of an update, in the order of computation."""
        layout, updated = self.program.layout, self.program.parameters[lane : lane + 1]
        found = [("a logit", logits), ("the gradient at a logit", logit_grads)]
        views = reversed(layout.views(gradients[None]).items())
        found += [(f"the gradient of {name}", own) for name, own in views]
        found += [(f"the updated {name}", own) for name, own in layout.views(updated).items()]
        return next(name for name, own in found if not own.isfinite().all())

    def _refuse(self, run: int, at: int, tensor: str, copy: LanesCopy) -> None:
        """Stop a run before the update that follows `at` others."""
        own = self.program.runs[run]
        epoch, batch = divmod(at, own.steps_per_epoch)
        order = orders_of(own.shuffle, [own.seed], self.examples.count).epoch(epoch)[0]
        examples = order[batch * own.batch_size :][: own.batch_size].tolist()
        refused = {"update": at + 1, "tensor": tensor, "examples": examples}
        # before any update the learning rate is not the cause
        advice = ADVICE if at or tensor.startswith("the updated") else BEFORE
        reason = f"update {at + 1} was refused: {tensor} is not finite; {advice}"
        self.stopping.end(run, Stop(at, "diverged", reason, refused), copy)
