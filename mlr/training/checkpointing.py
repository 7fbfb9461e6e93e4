"""Decide when the runs of a program are checkpointed or stopped, and hooks of the loop for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter

from mlr.training.divergence import DivergenceGuard
from mlr.training.log import StepLog
from mlr.training.run_snapshots import Snapshots
from mlr.training.state import State, restore, states_of
from mlr.training.step import Program
from mlr.training.stopping import Stopping

SHARE = 0.01
"""Largest share of the time for writing: with slow disks or large models it is done less often."""


class Stopped(KeyboardInterrupt):
    """Training was asked to stop, and has written a checkpoint."""


class CheckpointPolicy:
    """Times, contents and writer of the checkpoints of one program.

    Args:
        write: writes the state of every run.
        seconds: minimum time between two checkpoints.
        asked: tells if the program is to stop after the present step.
        start: state from which each run continues; None starts new runs.
    """

    def __init__(
        self,
        write: Callable[[Sequence[State]], None],
        seconds: float,
        asked: Callable[[], bool],
        start: Sequence[State] | None = None,
    ) -> None:
        self._write, self.seconds, self.asked = write, seconds, asked
        self.start = start
        self._saved_at, self._took = perf_counter(), 0.0

    def due(self) -> bool:
        """Tell if enough time has passed."""
        waited = perf_counter() - self._saved_at
        return waited > max(self.seconds, self._took / SHARE)

    def save(self, states: Sequence[State]) -> None:
        """Write the states.

        Raises:
            WriteError: naming the file.
        """
        began = perf_counter()
        self._write(states)
        self._saved_at = perf_counter()
        self._took = self._saved_at - began


class CheckpointHooks:
    """Calls of the loop to a checkpoint policy; without one they do nothing.

    Args:
        policy: of the runs in their callers' order.
        order: number of each run of the program in that order.
        program: with the runs.
        log: of the program.
        stopping: of the program.
        snapshots: of the program.
        guard: of the program.
    """

    def __init__(
        self,
        policy: CheckpointPolicy | None,
        order: Sequence[int],
        program: Program,
        log: StepLog,
        stopping: Stopping,
        snapshots: Snapshots,
        guard: DivergenceGuard,
    ) -> None:
        self.policy, self.order, self.program = policy, order, program
        self.log, self.stopping, self.snapshots, self.guard = log, stopping, snapshots, guard
        self.began, self.saved = 0, -1
        self.asked = policy.asked if policy is not None else never

    def begin(self) -> int:
        """Restore runs that continue; returns the number of updates done."""
        if self.policy is not None and self.policy.start is not None:
            states = [self.policy.start[run] for run in self.order]
            self.began = restore(states, self.program, self.stopping, self.snapshots)
        self.guard.begin(self.began)
        return self.began

    def recorded(self, step: int) -> bool:
        """Tell if the validation after `step` updates, at an epoch's or the run's end, is recorded.

        Within an epoch only the end of a run is validated. Its checkpoint is written before, so
        that a longer run continues from there.
        """
        if step % self.program.runs[0].steps_per_epoch:
            self.save(step)
            return False
        return step == self.began and step > 0

    def due(self, over: bool = False) -> bool:
        """Tell if it is time for a checkpoint; `over` says that all runs are at their end."""
        return self.policy is not None and (over or self.policy.due())

    def save(self, step: int) -> None:
        """Flush the log, then checkpoint every run after `step` updates."""
        if self.policy is None or self.saved == step:
            return
        self.guard.judge(step)
        self.log.flush()
        states = states_of(self.program, step, self.stopping, self.snapshots)
        place = {run: number for number, run in enumerate(self.order)}
        self.policy.save([states[place[run]] for run in range(len(states))])
        self.saved = step

    def stop(self, step: int) -> None:
        """Checkpoint the runs and end training.

        Raises:
            Stopped: always.
        """
        self.save(step)
        raise Stopped(f"stopped after {step} updates")


def never() -> bool:
    """Ask for no stop."""
    return False
