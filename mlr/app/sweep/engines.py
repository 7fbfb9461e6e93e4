"""Train chunks of a sweep in this process, or by the machines of a cluster."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from mlr.app.run.existing_runs import outcome_at
from mlr.app.run.job import Job
from mlr.app.run.signals import Signals
from mlr.app.sweep.progress import ProgressListener
from mlr.core.checks import InputError, known
from mlr.records.outcome import Outcome
from mlr.records.status import FINISHED

Chunk = Sequence[Job]
Run = Callable[[Sequence[Chunk], Mapping[str, Any], Path, "OutcomeCollector"], None]
"""Trains chunks as options say; logs of its own go below the sweep's folder."""

# engine → its module, and the package that has to be installed
ENGINES = {
    "ray": ("mlr.app.sweep.engine_ray", "ray"),
    "slurm": ("mlr.app.sweep.engine_slurm", "submitit"),
}


@dataclass(frozen=True)
class Engine:
    """The cluster that trains a sweep's chunks, as the launcher's configuration says.

    name: `ray` or `slurm`; without an engine it is this process.
    options: the other fields of `hydra/launcher=batched_<name>`, plain.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


class OutcomeCollector(ProgressListener):
    """Listener that collects each job's outcome once, though a worker may be lost after some.

    An interruption loses none of them.

    Args:
        listener: called at each end, too.
        outcomes: to be filled, by number of the job.
    """

    def __init__(self, listener: ProgressListener, outcomes: dict[int, Outcome]) -> None:
        self.listener, self.outcomes = listener, outcomes

    def ended(self, outcome: Outcome) -> None:
        """Collect an outcome, unless the job has one."""
        if outcome.number not in self.outcomes:
            self.outcomes[outcome.number] = outcome
            self.listener.ended(outcome)

    def progress(self, runs: float) -> None:
        """Pass progress on."""
        self.listener.progress(runs)

    def lost(self, chunk: Chunk, error: Exception) -> None:
        """Handle the loss of a worker: finished folders are trusted, the other jobs failed."""
        for job in chunk:
            found = outcome_at(job.folder, job.hash, job.number)
            ended = found is not None and found.status in (*FINISHED, "failed")
            self.ended(found if found and ended else job.failed(error))

    def stopped(self, chunk: Chunk) -> None:
        """Handle a chunk that was given up: report the runs that have begun."""
        for job in chunk:
            found = outcome_at(job.folder, job.hash, job.number)
            if found is not None:
                self.ended(found)


def run_chunks(
    groups: Sequence[Chunk],
    engine: Engine | None,
    folder: Path,
    collector: OutcomeCollector,
    signals: Signals | None = None,
) -> None:
    """Train all jobs, and collect every outcome.

    Args:
        groups: jobs that are likely to share a program.
        engine: of a cluster; None trains here.
        folder: the sweep's.
        collector: of the outcomes.
        signals: that end what is trained here after its present step.

    Raises:
        InputError: an engine that is not known or not installed.
    """
    if not groups:
        return
    if engine is None:
        _here(groups, collector, signals)
        return
    module, package = ENGINES[known("hydra.launcher.engine", engine.name, ENGINES)]
    try:
        run: Run = import_module(module).run
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise InputError(
            f"hydra/launcher=batched_{engine.name} needs {package}, which is not installed; "
            f"run pip install '.[{engine.name}]' in mlr's folder."
        ) from error
    run(groups, engine.options, folder, collector)


def split(groups: Sequence[Chunk], workers: int, most: int | None = None) -> list[Chunk]:
    """Split groups into the chunks of `workers`, of `most` jobs at most."""
    chunks = []
    for group in groups:
        size = most or -(-len(group) // max(1, workers))
        chunks += [group[start : start + size] for start in range(0, len(group), size)]
    return chunks


def run_task(chunk: Chunk, threads: int, place: str) -> list[Outcome]:
    """Train a chunk as a cluster's worker; called again after it was lost, it continues.

    A signal ends it after its present step, and is then raised again for whoever started the
    worker, who may submit it again.

    Args:
        chunk: jobs.
        threads: its share of the machine's cores.
        place: the person's working directory; relative paths of data start there.
    """
    os.chdir(place)
    import torch

    from mlr.app.sweep.packing import run_chunk

    torch.set_num_threads(threads)
    signals = Signals()
    try:
        with signals:
            return run_chunk(chunk, signals=signals)
    except KeyboardInterrupt:
        if signals.received is not None:
            signal.raise_signal(getattr(signal, signals.received))
        raise


def _here(groups: Sequence[Chunk], collector: OutcomeCollector, signals: Signals | None) -> None:
    from mlr.app.sweep.packing import run_chunk  # torch: not before there is something to train

    for chunk in groups:
        try:
            run_chunk(chunk, collector, signals)
        except Exception as error:  # a mistake of ours: the other chunks go on
            collector.lost(chunk, error)
