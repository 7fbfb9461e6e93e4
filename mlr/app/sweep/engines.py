"""Where chunks of a sweep are trained: in this process, or by the machines of a cluster."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from mlr.app.run.existing_runs import outcome_at
from mlr.app.run.signals import Signals
from mlr.app.sweep.progress import Watch
from mlr.app.sweep.sweep_job import Engine, SweepJob, unmade
from mlr.core.checks import InputError, known
from mlr.records.outcome import Outcome
from mlr.records.status import FINISHED

Chunk = Sequence[SweepJob]
Run = Callable[[Sequence[Chunk], Mapping[str, Any], Path, "Told"], None]
"""Trains chunks as options say; logs of its own go below the sweep's folder."""

# engine → its module, and the package that has to be installed
ENGINES = {
    "ray": ("mlr.app.sweep.engine_ray", "ray"),
    "slurm": ("mlr.app.sweep.engine_slurm", "submitit"),
}


class Told(Watch):
    """Tells of each job once, though a worker may be lost after it finished some."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.numbers: set[int] = set()

    def ended(self, outcome: Outcome) -> None:
        """Pass it on, unless it was told before."""
        if outcome.number not in self.numbers:
            self.numbers.add(outcome.number)
            self.watch.ended(outcome)

    def progress(self, runs: float) -> None:
        """Pass it on."""
        self.watch.progress(runs)

    def lost(self, chunk: Chunk, error: Exception) -> None:
        """A chunk came to no end: what its runs' folders say holds, the rest failed."""
        for job in chunk:
            there = outcome_at(job.folder, job.hash, job.number)
            ended = there is not None and there.status in (*FINISHED, "failed")
            self.ended(there if there and ended else unmade(job, "failed", error))

    def stopped(self, chunk: Chunk) -> None:
        """A chunk was given up: what was begun is told of, the rest was never tried."""
        for job in chunk:
            there = outcome_at(job.folder, job.hash, job.number)
            if there is not None:
                self.ended(there)


def run_chunks(
    groups: Sequence[Chunk],
    engine: Engine | None,
    folder: Path,
    watch: Watch,
    signals: Signals | None = None,
) -> None:
    """Train all jobs; every outcome is told to `watch`, once.

    Args:
        groups: jobs that are likely to share a program.
        engine: of a cluster; None trains here.
        folder: the sweep's.
        watch: is told of every job's end.
        signals: that end what is trained here after its present step.

    Raises:
        InputError: an engine that is not known or not installed.
    """
    if not groups:
        return
    if engine is None:
        _here(groups, Told(watch), signals)
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
    run(groups, engine.options, folder, Told(watch))


def split(groups: Sequence[Chunk], workers: int, most: int | None = None) -> list[Chunk]:
    """Groups as the chunks of `workers`, of `most` jobs at most."""
    chunks = []
    for group in groups:
        size = most or -(-len(group) // max(1, workers))
        chunks += [group[start : start + size] for start in range(0, len(group), size)]
    return chunks


def run_task(chunk: Chunk, threads: int, place: str) -> list[Outcome]:
    """What a cluster's worker does; called again after it was lost, it goes on.

    A signal ends it after its present step, and is then handed on to whoever started the worker,
    who may let it come again.

    Args:
        chunk: jobs.
        threads: its share of the machine's cores.
        place: where the person stands; relative paths of data start there.
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


def _here(groups: Sequence[Chunk], told: Told, signals: Signals | None) -> None:
    from mlr.app.sweep.packing import run_chunk  # torch: not before there is something to train

    for chunk in groups:
        try:
            run_chunk(chunk, told, signals)
        except Exception as error:  # a mistake of ours: the other chunks go on
            told.lost(chunk, error)
