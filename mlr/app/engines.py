"""Where chunks of a sweep are trained: here, or by the machines of a cluster."""

from __future__ import annotations

from collections.abc import Sequence

from mlr.app.live import Watch
from mlr.app.outcome import Outcome, unmade
from mlr.app.sweepjob import Engine, SweepJob
from mlr.checks import InputError


def run_chunks(chunks: Sequence[Sequence[SweepJob]], engine: Engine | None, watch: Watch) -> None:
    """Train all chunks; every job's outcome is told to `watch`, once.

    Raises:
        InputError: an engine that is not known.
    """
    if engine is not None:
        raise InputError(f"engine={engine.name} is not known.")
    if chunks:
        from mlr.app.chunk import run_chunk  # torch: not before there is something to train

        for chunk in chunks:
            told = _Told(watch)
            try:
                run_chunk(chunk, told)
            except Exception as error:  # a mistake of ours: the other chunks go on
                told.rest(chunk, error)


class _Told(Watch):
    """Knows which jobs of a chunk are still to be told of."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.numbers: set[int] = set()
        self.progress = watch.progress  # type: ignore[method-assign]

    def ended(self, outcome: Outcome) -> None:
        self.numbers.add(outcome.number)
        self.watch.ended(outcome)

    def rest(self, jobs: Sequence[SweepJob], error: Exception) -> None:
        """Tell that the jobs not told of failed by `error`."""
        for job in jobs:
            if job.number not in self.numbers:
                self.watch.ended(unmade(job, "failed", error))
