"""`run_chunk`: jobs in, outcomes out; what every engine calls, here or on a machine of a cluster.

Experiments are built one after the other and wait until their program is full, so that
memory holds what is trained next and no more.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from mlr.app.batch import Ready, train_batch
from mlr.app.datacache import DataCache
from mlr.app.identity import config_hash
from mlr.app.live import Watch
from mlr.app.outcome import FINISHED, Outcome, unmade
from mlr.app.plan import make_plan
from mlr.app.programs import bytes_per_run, free_bytes, program_key
from mlr.app.runs_begun import make_way, outcome_at
from mlr.app.sweepjob import SweepJob
from mlr.checks import InputError
from mlr.training import Experiment

SHARE_OF_FREE_MEMORY = 0.5
"""What a batch may take; the rest is for what it is built from, and for others."""


class Program(NamedTuple):
    """Runs that wait to be trained together."""

    runs: list[Ready]
    room: int
    """How many fit."""


def run_chunk(jobs: Sequence[SweepJob], watch: Watch | None = None) -> list[Outcome]:
    """Train jobs into their folders, as few tensor programs as memory and differences allow.

    May be called again after it was killed: runs that it finished are kept, others begun
    anew. No failure of a job is raised; only what is no `Exception` ends it early, as
    Ctrl-C does, and then every begun run says so.

    Args:
        jobs: in any order; those built alike should stand together.
        watch: is told of every job's end as it comes.

    Returns:
        One outcome a job, in order.
    """
    chunk = _Chunk(watch or Watch())
    try:
        for job in jobs:
            chunk.take(job)
        chunk.train_all()
    finally:
        os.sync()  # one wait for all files, where each run alone waits for its own
    return [chunk.outcomes[job.number] for job in jobs]


class _Chunk:
    """The state of `run_chunk`."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.outcomes: dict[int, Outcome] = {}
        self.data = DataCache()
        self.waiting: dict[Hashable, Program] = {}

    def take(self, job: SweepJob) -> None:
        """Build a job, and train those waiting with it once there is no room for more."""
        ready = self._built(job)
        if ready is None:
            return
        key = program_key(ready.experiment)
        if key not in self.waiting:
            self.waiting[key] = Program([], self._room(job, ready.experiment))
        program = self.waiting[key]
        program.runs.append(ready)
        if len(program.runs) >= program.room:
            self._train(key)

    def train_all(self) -> None:
        """Train what is still waiting."""
        for key in list(self.waiting):
            self._train(key)

    def _train(self, key: Hashable) -> None:
        train_batch(self.waiting.pop(key).runs, self._tell, self.watch.progress)

    def _tell(self, outcome: Outcome) -> None:
        self.outcomes[outcome.number] = outcome
        self.watch.ended(outcome)

    def _built(self, job: SweepJob) -> Ready | None:
        """The job as objects; None where it is at its end already."""
        expected = config_hash(job.config)
        before = outcome_at(job.folder, expected, job.number)
        if before is not None and before.status in FINISHED:
            self._tell(before)
            return None
        make_way(job.folder, expected)
        error: Exception
        try:
            return self._build(job)
        except MemoryError as scarce:
            error = scarce
        except Exception as other:
            self._tell(unmade(job, "refused" if isinstance(other, InputError) else "failed", other))
            return None
        self.train_all()  # makes room to try once more
        self.data.forget()
        try:
            return self._build(job)
        except Exception as other:
            error = other
        self._tell(unmade(job, "failed", error))
        return None

    def _build(self, job: SweepJob) -> Ready:
        plan = make_plan(job.config)
        return Ready(job, plan, plan.build(self.data.of(plan)))

    def _room(self, job: SweepJob, experiment: Experiment) -> int:
        """How many runs like this one a batch may hold; always one."""
        budget = SHARE_OF_FREE_MEMORY * free_bytes(experiment.device)
        budget /= 1 + len(self.waiting)  # others wait beside it
        fits = int(budget // bytes_per_run(experiment))
        most = job.config["sweep"]["max_runs_per_batch"]
        return max(1, fits if most is None else min(fits, most))
