"""Train jobs as few tensor programs as memory allows: `run_chunk`, which every engine calls.

Experiments are built one after the other and wait until memory or their program is full, so that
memory holds what is trained next and no more.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import inf

from mlr.app.config.run_spec import RunSpec, make_run_spec
from mlr.app.run.existing_runs import clear_unfinished, outcome_at
from mlr.app.run.job import Job, ProgressReport, Report
from mlr.app.run.lifecycle import PreparedRun, train_program
from mlr.app.run.resume import run_to_continue
from mlr.app.run.signals import Signals
from mlr.core import durable
from mlr.data import Dataset
from mlr.records.identity import data_key
from mlr.records.status import FINISHED
from mlr.training import Experiment
from mlr.training.experiment import program_key
from mlr.training.memory import bytes_of_data, bytes_per_run, free_bytes

SHARE_OF_FREE_MEMORY = 0.5
"""Share of the programs that wait; the rest is for what they are built from, and for others."""
MOST_BYTES = 8 << 30
"""Most bytes of data cached for runs to come, as `bytes_of_data` counts; waiting runs hold more."""


def run_chunk(
    jobs: Sequence[Job],
    report: Report,
    progress: ProgressReport | None = None,
    signals: Signals | None = None,
    cache: DataCache | None = None,
    processes: int = 1,
) -> None:
    """Train jobs into their folders; those built alike should stand together.

    May be called again after it was killed: finished runs are left as they are, others continue
    from their checkpoints or start again. No failure of a job is raised; only what is no
    `Exception` ends it early, as Ctrl-C does, and then every run that has begun says so.

    Args:
        jobs: of one chunk.
        report: called with each outcome.
        progress: called as a program proceeds.
        signals: that end a program after its present step.
        cache: data that were read for other chunks.
        processes: that share the memory of this machine.
    """
    packing = _Packing(report, progress, signals, cache or DataCache(), processes)
    try:
        for job in jobs:
            packing.add(job)
        packing.train_all()
    finally:
        durable.sync_all()  # one wait, where each run alone waits for its own files


class _Packing:
    """Runs of a chunk, built and waiting to be trained, by program."""

    def __init__(
        self,
        report: Report,
        progress: ProgressReport | None,
        signals: Signals | None,
        cache: DataCache,
        processes: int,
    ) -> None:
        self.report, self.progress, self.signals = report, progress, signals
        self.cache, self.processes = cache, processes
        self.waiting: dict[Hashable, list[PreparedRun]] = {}
        self.each: dict[Hashable, int] = {}  # bytes that a run adds, its data not included
        self.taken, self.data = 0, set[int]()  # bytes of what waits, and its datasets
        self.budget = inf  # until a run says on which device

    def add(self, job: Job) -> None:
        """Build a job and let it wait, once those that leave no room for it are trained."""
        there = job.folder.exists()
        before = outcome_at(job.folder, job.hash, job.number) if there else None
        if before is not None and before.status in FINISHED:
            self.report(before)
            return
        run = self._built(job, there)
        if run is None:
            return
        done = 0 if run.before is None or run.before.state is None else run.before.state.step
        key = (program_key(run.experiment), done)
        if key not in self.each:
            self.each[key] = bytes_per_run(run.experiment)
        if self.budget == inf:
            free = free_bytes(run.experiment.device)
            self.budget = SHARE_OF_FREE_MEMORY * free / self.processes
        if self.taken + self._needs(key, run.experiment) > self.budget:
            self.train_all()
        self.taken += self._needs(key, run.experiment)
        self.data.add(id(run.experiment.data))
        program = self.waiting.setdefault(key, [])
        program.append(run)
        if len(program) == job.config["sweep"]["max_runs_per_batch"]:
            self._train(key)

    def train_all(self) -> None:
        """Train what is waiting."""
        for key in list(self.waiting):
            self._train(key)

    def _train(self, key: Hashable) -> None:
        runs = self.waiting.pop(key)
        self.taken -= self.each[key] * len(runs)
        if not self.waiting:
            self.taken, self.data = 0, set()
        train_program(runs, self.report, self.progress, self.signals)

    def _needs(self, key: Hashable, experiment: Experiment) -> int:
        """Return the bytes that one more run adds."""
        new = id(experiment.data) not in self.data
        return self.each[key] + (bytes_of_data(experiment.data) if new else 0)

    def _built(self, job: Job, there: bool) -> PreparedRun | None:
        """Build a job, whose folder may be `there`; None if it fails."""
        try:
            spec = make_run_spec(job.config)
            experiment = spec.build(self.cache.of(spec))
        except Exception as error:
            clear_unfinished(job.folder, job.hash)
            self.report(job.not_begun(error))
            return None
        before = run_to_continue(job, experiment) if there else None
        if there and before is None:
            clear_unfinished(job.folder, job.hash)
        return PreparedRun(job, experiment, before)


class DataCache:
    """Datasets by their source, its options and their seed: one object wherever they are equal."""

    def __init__(self) -> None:
        self._cached: dict[str, Dataset] = {}
        self._equal: dict[tuple[str, str], Dataset] = {}  # by options and content
        self._bytes = 0

    def of(self, spec: RunSpec) -> Dataset:
        """Return the data of a run."""
        key = data_key(spec.config["data"], spec.seed_of_data)
        if key not in self._cached:
            if self._bytes > MOST_BYTES:
                self._cached, self._equal, self._bytes = {}, {}, 0
            data = spec.load()
            # users' own sources may not depend on the seed
            content = str(sorted(spec.config["data"].items(), key=str)), data.fingerprint
            if content not in self._equal:
                self._equal[content] = data
                self._bytes += bytes_of_data(data)
            self._cached[key] = self._equal[content]
        return self._cached[key]
