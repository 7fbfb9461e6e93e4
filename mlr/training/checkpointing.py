"""Decide when the runs of a program are checkpointed, or stopped from outside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter

from mlr.training.state import State

SHARE = 0.01
"""Largest share of the time for writing: with slow disks or large models it is done less often."""


class Stopped(KeyboardInterrupt):
    """Training was asked to stop, and has written a checkpoint."""


class CheckpointPolicy:
    """Times, contents and writer of the checkpoints of one program.

    Args:
        write: writes the state of every run, in their callers' order.
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
