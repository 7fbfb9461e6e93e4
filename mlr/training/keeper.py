"""When the runs of a program are kept on the disk while they are trained, and what stops them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter

from mlr.training.state import State

SHARE = 0.01
"""Of the time, what writing may take: slow disks and large models are kept less often."""


class Stopped(KeyboardInterrupt):
    """Training was told to stop, and has kept where it was."""


class Keeper:
    """Keeps the runs of one program, and hears whether it is to stop.

    Args:
        keep: writes the state of every run.
        seconds: between two times, at least.
        asked: whether the program is to stop after the present step.
        start: of every run, where it goes on; None begins anew.
        at_end: whether the end of the program is kept too.
    """

    def __init__(
        self,
        keep: Callable[[Sequence[State]], None],
        seconds: float,
        asked: Callable[[], bool],
        start: Sequence[State] | None = None,
        at_end: bool = True,
    ) -> None:
        self._keep, self.seconds, self.asked = keep, seconds, asked
        self.start, self.at_end = start, at_end
        self._kept_at, self._took = perf_counter(), 0.0

    def due(self) -> bool:
        """Tell if enough time has gone by."""
        waited = perf_counter() - self._kept_at
        return waited > max(self.seconds, self._took / SHARE)

    def keep(self, states: Sequence[State]) -> None:
        """Write them.

        Raises:
            WriteError: naming the file.
        """
        began = perf_counter()
        self._keep(states)
        self._kept_at = perf_counter()
        self._took = self._kept_at - began
