"""A keeper beside the program whose runs it keeps: what is logged first, then the states."""

from __future__ import annotations

from collections.abc import Sequence

from mlr.training.endings import Endings
from mlr.training.guard import Guard
from mlr.training.keeper import Keeper, Stopped
from mlr.training.log import StepLog
from mlr.training.snapshots import Snapshots
from mlr.training.state import restore, states_of
from mlr.training.step import Program


class Keeping:
    """What the loop asks of a keeper; without one it does nothing.

    Args:
        keeper: of the runs in their callers' order.
        order: number of each run of the program in that order.
        program: whose runs they are.
        log: of the program.
        endings: likewise.
        snapshots: likewise.
        guard: likewise.
    """

    def __init__(
        self,
        keeper: Keeper | None,
        order: Sequence[int],
        program: Program,
        log: StepLog,
        endings: Endings,
        snapshots: Snapshots,
        guard: Guard,
    ) -> None:
        self.keeper, self.order, self.program = keeper, order, program
        self.log, self.endings, self.snapshots, self.guard = log, endings, snapshots, guard
        self.began, self.kept = 0, -1
        self.asked = keeper.asked if keeper is not None else _never

    def begin(self) -> int:
        """Put the runs where they go on; returns the updates done, 0 for new ones."""
        if self.keeper is not None and self.keeper.start is not None:
            states = [self.keeper.start[run] for run in self.order]
            self.began = restore(states, self.program, self.endings, self.snapshots)
        self.guard.begin(self.began)
        return self.began

    def recorded(self, step: int) -> bool:
        """Tell if the validation after `step` updates, where an epoch or the run ends, is recorded.

        In the midst of an epoch only the end of a run is validated: it is kept as it was before,
        so that more steps, if they are asked for later, go on from there.
        """
        if step % self.program.runs[0].steps_per_epoch:
            self.keep(step)
            return False
        return step == self.began and step > 0

    def due(self, over: bool = False) -> bool:
        """Tell if it is time to keep the runs, which may be at their end."""
        return self.keeper is not None and (self.keeper.due() or (over and self.keeper.at_end))

    def keep(self, step: int) -> None:
        """Record what is logged, then keep every run after `step` updates."""
        if self.keeper is None or self.kept == step:
            return
        self.guard.judge(step)
        self.log.flush()
        states = states_of(self.program, step, self.endings, self.snapshots)
        place = {run: number for number, run in enumerate(self.order)}
        self.keeper.keep([states[place[run]] for run in range(len(states))])
        self.kept = step

    def stop(self, step: int) -> None:
        """Keep the runs, and go no further.

        Raises:
            Stopped: always.
        """
        self.keep(step)
        raise Stopped(f"stopped after {step} updates")


def _never() -> bool:
    return False
