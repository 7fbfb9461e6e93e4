"""No update that would make a run's parameters infinite or NaN is left standing.

To look at every update costs a tenth of a small run. So parameters are looked at now and
then: after some updates, at the end of each epoch, and before anything is recorded or kept.
Where some are not finite, all is gone back to where they were, and the updates since are done
once more, each judged; then all is put to where it was, so that no sibling notices.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from torch import Tensor

from mlr.training.batches import Batches
from mlr.training.endings import ADVICE, BEFORE, Ending, Endings
from mlr.training.examples import Examples
from mlr.training.orders import orders_of
from mlr.training.rows import Row, put_whole, row_of, whole_of
from mlr.training.run_objectives import Targets
from mlr.training.step import Program


class Guard:
    """Judges the updates of a program.

    Args:
        program: at the step where `begin` is called.
        examples: the training split.
        endings: learn of the runs that end.
    """

    def __init__(self, program: Program, examples: Examples, endings: Endings) -> None:
        self.program, self.examples, self.endings = program, examples, endings
        self.step = 0

    def begin(self, step: int) -> None:
        """All is finite after `step` updates."""
        self.step, self.whole = step, whole_of(self.program)

    def judge(self, step: int) -> None:
        """End the runs that an update since the last time made diverge, before that update."""
        if step == self.step:
            return
        # one number to look at; it is not finite wherever any of them is not
        if not isfinite(float(self.program.parameters.sum())):
            lost = self._lost(range(len(self.program.runs)))
            if lost:
                self._go_back(lost, step)
        self.begin(step)

    def _lost(self, runs: range | list[int]) -> list[int]:
        """Which of some runs have parameters that are not finite, and did not end before."""
        fine = self.program.of_runs(self.program.parameters).isfinite().all(1).tolist()
        return [run for run in runs if not fine[run] and run not in self.endings.ended]

    def _go_back(self, lost: list[int], step: int) -> None:
        program = self.program
        now, previous = whole_of(program), program.capture.previous
        put_whole(program, self.whole)
        first = {run: row_of(program, run) for run in lost}
        for at, (inputs, targets) in enumerate(self._batches(), self.step):
            if not lost or at == step:
                break
            before = {run: row_of(program, run) for run in lost}
            done = program.differentiate(inputs, targets, at)
            logits, logit_grads = program.joined(done)
            gradients = program.gradients.clone()
            program.advance(at)
            for run in self._lost(lost):
                lane = program.lane_of[run]
                tensor = self._first(logits[lane], logit_grads[lane], gradients[lane], lane)
                self._refuse(run, at, tensor, before[run])
            lost = [run for run in lost if run not in self.endings.ended]
        for run in lost:
            # devices that add in any order may do otherwise the second time
            reason = f"the parameters are not finite after {step} updates; {ADVICE}"
            refused = {"update": step, "tensor": "a parameter", "examples": []}
            self.endings.end(run, Ending(self.step, "diverged", reason, refused), first[run])
        put_whole(program, now)
        program.capture.previous = previous

    def _batches(self) -> Iterator[tuple[Tensor, Targets]]:
        """Those of the updates after the last time, and of more."""
        for chunk, _ in Batches(self.examples, self.program).chunks(self.step):
            yield from chunk

    def _first(self, logits: Tensor, logit_grads: Tensor, gradients: Tensor, lane: int) -> str:
        """The first tensor of an update that is not finite, in the order of its computation."""
        layout = self.program.layout
        if not logits.isfinite().all():
            return "a logit"
        if not logit_grads.isfinite().all():
            return "the gradient at a logit"
        for name, own in reversed(layout.views(gradients[None]).items()):
            if not own.isfinite().all():
                return f"the gradient of {name}"
        updated = layout.views(self.program.parameters[lane : lane + 1]).items()
        return f"the updated {next(name for name, own in updated if not own.isfinite().all())}"

    def _refuse(self, run: int, at: int, tensor: str, row: Row) -> None:
        """End a run before the update that follows `at` others."""
        refused = {"update": at + 1, "tensor": tensor, "examples": self._numbers(run, at)}
        # what is lost before any update is not the rate's doing
        advice = ADVICE if at or tensor.startswith("the updated") else BEFORE
        reason = f"update {at + 1} was refused: {tensor} is not finite; {advice}"
        self.endings.end(run, Ending(at, "diverged", reason, refused), row)

    def _numbers(self, run: int, at: int) -> list[int]:
        """Of the training examples in the batch of an update."""
        own = self.program.runs[run]
        epoch, batch = divmod(at, own.steps_per_epoch)
        order = orders_of(own.shuffle, [own.seed], self.examples.count).epoch(epoch)[0]
        return order[batch * own.batch_size :][: own.batch_size].tolist()
