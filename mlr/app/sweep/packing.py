"""Train jobs as few tensor programs as memory allows: `run_chunk`, which every engine calls.

Experiments are built one after the other and wait until their program is full, so that
memory holds what is trained next and no more.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from mlr.app.config.run_spec import make_run_spec
from mlr.app.run.claiming import PreparedRun
from mlr.app.run.existing_runs import clear_unfinished, outcome_at
from mlr.app.run.job import Job
from mlr.app.run.lifecycle import train_program
from mlr.app.run.resume import run_to_continue
from mlr.app.run.signals import Signals
from mlr.app.sweep.data_cache import DataCache
from mlr.app.sweep.progress import ProgressListener
from mlr.core import durable
from mlr.records.outcome import Outcome
from mlr.records.status import FINISHED
from mlr.training import Experiment
from mlr.training.experiment import program_key
from mlr.training.memory import bytes_of_data, bytes_per_run, free_bytes

SHARE_OF_FREE_MEMORY = 0.5
"""Share of a program; the rest is for what it is built from, and for other processes."""


@dataclass
class WaitingProgram:
    """Runs that wait to be trained as one program.

    each: bytes that a run adds, its data not included.
    data: of the runs, each dataset once.
    taken: bytes of all.
    """

    each: int
    runs: list[PreparedRun] = field(default_factory=list)
    data: set[int] = field(default_factory=set)
    taken: int = 0

    def needs(self, experiment: Experiment) -> int:
        """Return the bytes that one more run adds."""
        new = id(experiment.data) not in self.data
        return self.each + (bytes_of_data(experiment.data) if new else 0)

    def add(self, run: PreparedRun) -> None:
        """Let a run wait with the others."""
        self.taken += self.needs(run.experiment)
        self.data.add(id(run.experiment.data))
        self.runs.append(run)


def run_chunk(
    jobs: Sequence[Job],
    listener: ProgressListener | None = None,
    signals: Signals | None = None,
) -> list[Outcome]:
    """Train jobs into their folders.

    May be called again after it was killed: finished runs are left as they are, others continue
    from their checkpoints or start again. No failure of a job is raised; only what is no
    `Exception` ends it early, as Ctrl-C does, and then every run that has begun says so.

    Args:
        jobs: in any order; those built alike should stand together.
        listener: is called at every job's end.
        signals: that end what is trained after its present step.

    Returns:
        One outcome a job, in order.
    """
    packing = _Packing(listener or ProgressListener(), signals)
    try:
        for job in jobs:
            packing.add(job)
        packing.train_all()
    finally:
        durable.sync_all()  # one wait, where each run alone waits for its own files
    return [packing.outcomes[job.number] for job in jobs]


class _Packing:
    """Jobs of a chunk, built and waiting for their programs."""

    def __init__(self, listener: ProgressListener, signals: Signals | None) -> None:
        self.listener, self.signals = listener, signals
        self.outcomes: dict[int, Outcome] = {}
        self.data = DataCache()
        self.waiting: dict[Hashable, WaitingProgram] = {}
        self.budget: float | None = None

    def add(self, job: Job) -> None:
        """Build a job and let it wait, once those that leave no room for it are trained."""
        built = self._built(job)
        if built is None:
            return
        run, key = built
        if key not in self.waiting:
            self.waiting[key] = WaitingProgram(bytes_per_run(run.experiment))
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
        self.waiting[key] = WaitingProgram(program.each)
        if program.runs:
            train_program(program.runs, self._report, self.listener.progress, self.signals)

    def _taken(self) -> int:
        return sum(program.taken for program in self.waiting.values())

    def _report(self, outcome: Outcome) -> None:
        self.outcomes[outcome.number] = outcome
        self.listener.ended(outcome)

    def _built(self, job: Job) -> tuple[PreparedRun, Hashable] | None:
        """Build a job, and find its program; None if it is finished or fails."""
        before = outcome_at(job.folder, job.hash, job.number)
        if before is not None and before.status in FINISHED:
            self._report(before)
            return None
        try:
            return self._build(job)
        except MemoryError:
            pass
        except Exception as error:
            self._refuse(job, error)
            return None
        self.train_all()  # makes room to try once more
        self.data.clear()
        try:
            return self._build(job)
        except Exception as error:
            self._refuse(job, error)
            return None

    def _refuse(self, job: Job, error: Exception) -> None:
        clear_unfinished(job.folder, job.hash)
        self._report(job.not_begun(error))

    def _build(self, job: Job) -> tuple[PreparedRun, Hashable]:
        spec = make_run_spec(job.config)
        experiment = spec.build(self.data.of(spec))
        before = run_to_continue(job, experiment)
        if before is None:
            clear_unfinished(job.folder, job.hash)
        done = 0 if before is None or before.state is None else before.state.step
        return PreparedRun(job, experiment, before), (program_key(experiment), done)
