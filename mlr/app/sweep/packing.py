"""`run_chunk`: jobs in, outcomes out; what every engine calls, here or on a machine of a cluster.

Experiments are built one after the other and wait until their program is full, so that
memory holds what is trained next and no more.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from mlr.app.config.run_spec import make_plan
from mlr.app.run.data_cache import DataCache
from mlr.app.run.existing_runs import make_way, outcome_at
from mlr.app.run.resume import begun_before
from mlr.app.run.signals import Signals
from mlr.app.sweep.prepared_run import Ready
from mlr.app.sweep.program_runner import train_batch
from mlr.app.sweep.progress import Watch
from mlr.app.sweep.sweep_job import SweepJob, unmade
from mlr.core import durable
from mlr.core.checks import InputError
from mlr.records.outcome import Outcome
from mlr.records.status import FINISHED
from mlr.training import Experiment
from mlr.training.experiment import program_key
from mlr.training.memory import bytes_of_data, bytes_per_run, free_bytes

SHARE_OF_FREE_MEMORY = 0.5
"""What a batch may take; the rest is for what it is built from, and for others."""


@dataclass
class Waiting:
    """Runs that wait to be trained together.

    each: bytes that a run adds, its data not included.
    data: of the runs, each dataset once.
    taken: bytes of all.
    """

    each: int
    runs: list[Ready] = field(default_factory=list)
    data: set[int] = field(default_factory=set)
    taken: int = 0

    def needs(self, experiment: Experiment) -> int:
        """Bytes that one more run adds."""
        new = id(experiment.data) not in self.data
        return self.each + (bytes_of_data(experiment.data) if new else 0)

    def add(self, run: Ready) -> None:
        """Let a run wait with the others."""
        self.taken += self.needs(run.experiment)
        self.data.add(id(run.experiment.data))
        self.runs.append(run)


def run_chunk(
    jobs: Sequence[SweepJob], watch: Watch | None = None, signals: Signals | None = None
) -> list[Outcome]:
    """Train jobs into their folders, as few tensor programs as memory and differences allow.

    May be called again after it was killed: runs that it finished are kept, others go on from
    their checkpoints, or are begun anew. No failure of a job is raised; only what is no
    `Exception` ends it early, as Ctrl-C does, and then every begun run says so.

    Args:
        jobs: in any order; those built alike should stand together.
        watch: is told of every job's end as it comes.
        signals: that end what is trained after its present step.

    Returns:
        One outcome a job, in order.
    """
    chunk = _Chunk(watch or Watch(), signals)
    try:
        for job in jobs:
            chunk.take(job)
        chunk.train_all()
    finally:
        durable.sync_all()  # one wait, where each run alone waits for its own files
    return [chunk.outcomes[job.number] for job in jobs]


class _Chunk:
    """The state of `run_chunk`."""

    def __init__(self, watch: Watch, signals: Signals | None) -> None:
        self.watch, self.signals = watch, signals
        self.outcomes: dict[int, Outcome] = {}
        self.data = DataCache()
        self.waiting: dict[Hashable, Waiting] = {}
        self.budget: float | None = None

    def take(self, job: SweepJob) -> None:
        """Build a job and let it wait, once those that leave no room for it are trained."""
        built = self._built(job)
        if built is None:
            return
        run, key = built
        if key not in self.waiting:
            self.waiting[key] = Waiting(bytes_per_run(run.experiment))
        if self.budget is None:
            self.budget = SHARE_OF_FREE_MEMORY * free_bytes(run.experiment.device)
        while self._taken() + self.waiting[key].needs(run.experiment) > self.budget:
            largest = max(self.waiting, key=lambda one: self.waiting[one].taken)
            if not self.waiting[largest].runs:
                break  # nothing waits: it is tried alone
            self._train(largest)
        self.waiting[key].add(run)
        if len(self.waiting[key].runs) == job.config["sweep"]["max_runs_per_batch"]:
            self._train(key)

    def train_all(self) -> None:
        """Train what is still waiting."""
        for key in list(self.waiting):
            self._train(key)

    def _train(self, key: Hashable) -> None:
        program = self.waiting[key]
        self.waiting[key] = Waiting(program.each)
        if program.runs:
            train_batch(program.runs, self._tell, self.watch.progress, self.signals)

    def _taken(self) -> int:
        return sum(program.taken for program in self.waiting.values())

    def _tell(self, outcome: Outcome) -> None:
        self.outcomes[outcome.number] = outcome
        self.watch.ended(outcome)

    def _built(self, job: SweepJob) -> tuple[Ready, Hashable] | None:
        """The job as objects, and its program; None where it is at its end already."""
        expected = job.hash
        before = outcome_at(job.folder, expected, job.number)
        if before is not None and before.status in FINISHED:
            self._tell(before)
            return None
        error: Exception
        try:
            return self._build(job)
        except MemoryError as scarce:
            error = scarce
        except Exception as other:
            make_way(job.folder, expected)
            self._tell(unmade(job, "refused" if isinstance(other, InputError) else "failed", other))
            return None
        self.train_all()  # makes room to try once more
        self.data.forget()
        try:
            return self._build(job)
        except Exception as other:
            error = other
        make_way(job.folder, expected)
        self._tell(unmade(job, "failed", error))
        return None

    def _build(self, job: SweepJob) -> tuple[Ready, Hashable]:
        plan = make_plan(job.config)
        experiment = plan.build(self.data.of(plan))
        before = begun_before(job.folder, plan.config, job.hash, experiment)
        if before is None:
            make_way(job.folder, job.hash)
        done = 0 if before is None or before.state is None else before.state.step
        return Ready(job, plan, experiment, before), (program_key(experiment), done)
