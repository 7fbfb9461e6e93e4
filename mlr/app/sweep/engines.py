"""Train chunks of a sweep on this machine, or by those of a cluster.

`hydra/launcher=batched_ray` makes each chunk a task of Ray, `batched_slurm` a job of SLURM by
submitit. A chunk whose worker is lost, preempted or out of time is tried again and continues where
it was; run folders must lie where all machines see them. Options, as in `hydra.launcher.workers=8`,
stand in `hydra_plugins.mlr_batched.launcher`.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlr.app.run.existing_runs import outcome_at
from mlr.app.run.job import Job, ProgressReport, Report
from mlr.app.run.signals import Signals
from mlr.app.sweep.local import Workers
from mlr.core.checks import InputError, known
from mlr.records.outcome import Outcome
from mlr.records.status import FINISHED

if TYPE_CHECKING:
    import submitit

Chunk = Sequence[Job]
LOGS = ".submitit"
SECONDS = 0.5
"""Between two polls of SLURM's jobs; submitit asks SLURM itself less often."""
PATIENCE = 30.0
"""Seconds in which interrupted tasks of Ray write so into their folders."""


def run_chunks(
    groups: Sequence[Chunk],
    options: Mapping[str, Any] | None,
    folder: Path,
    report: Report,
    progress: ProgressReport,
    signals: Signals | None = None,
    workers: Workers | None = None,
) -> None:
    """Train all jobs of a sweep.

    Args:
        groups: jobs that are likely to share a program.
        options: of the launcher, the name of its `engine` among them; None trains here.
        folder: the sweep's.
        report: called with each outcome, a second time perhaps if a worker was lost.
        progress: called as a program proceeds that is trained on this machine.
        signals: that end what is trained here after its present step.
        workers: processes that train next to this one.

    Raises:
        InputError: an engine that is not known or not installed.
    """
    if not groups:
        return
    if options is not None:
        name = options["engine"]
        run, package = ENGINES[known("hydra.launcher.engine", name, ENGINES)]
        try:
            return run(groups, options, folder, report)
        except ModuleNotFoundError as error:
            if error.name != package:
                raise
            raise InputError(
                f"hydra/launcher=batched_{name} needs {package}, which is not installed; "
                f"run pip install '.[{name}]' in mlr's folder."
            ) from error
    (workers or Workers()).train(groups, report, progress, signals)


def run_task(chunk: Chunk, threads: int, place: str) -> list[Outcome]:
    """Train a chunk as a cluster's worker does; called again after it was lost, it continues.

    A signal ends it after its present step, and is then raised again for whoever started the
    worker, who may submit it again. Relative paths of data start at `place`.
    """
    os.chdir(place)
    import torch

    from mlr.app.sweep.packing import run_chunk

    torch.set_num_threads(threads)
    signals, outcomes = Signals(), list[Outcome]()
    try:
        with signals:
            run_chunk(chunk, outcomes.append, signals=signals)
    except KeyboardInterrupt:
        if signals.received is not None:
            signal.raise_signal(getattr(signal, signals.received))
        raise
    return outcomes


class ChunkTask:
    """`run_task` for submitit; it is submitted again when its time is over."""

    def __call__(self, *arguments: Any) -> list[Outcome]:
        """Train a chunk."""
        return run_task(*arguments)

    def checkpoint(self, *arguments: Any) -> submitit.helpers.DelayedSubmission:
        """Return what is submitted in place of this call: itself, as finished runs are left."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, *arguments)


def split(groups: Sequence[Chunk], workers: int, most: int | None = None) -> list[Chunk]:
    """Split groups into the chunks of `workers`, of `most` jobs at most."""
    chunks = []
    for group in groups:
        size = most or -(-len(group) // max(1, workers))
        chunks += [group[start : start + size] for start in range(0, len(group), size)]
    return chunks


def _run_on_slurm(
    groups: Sequence[Chunk], options: Mapping[str, Any], folder: Path, report: Report
) -> None:
    """Train all groups as jobs of SLURM, as many at once as it allows."""
    executor = _slurm(options, folder / LOGS)
    arguments = (options["cpus_per_task"], str(Path.cwd()))
    with executor.batch():  # one array of jobs
        running = [
            (executor.submit(ChunkTask(), chunk, *arguments), chunk, options["retries"])
            for chunk in split(groups, options["workers"], options["runs_per_task"])
        ]
    try:
        while running:
            job, chunk, retries = running.pop(0)
            if not job.done():
                running.append((job, chunk, retries))
                time.sleep(SECONDS / len(running))
                continue
            try:
                for outcome in job.result():
                    report(outcome)
            except Exception as error:  # lost with its machine, most often
                if retries:
                    again = executor.submit(ChunkTask(), chunk, *arguments)
                    running.append((again, chunk, retries - 1))
                else:
                    _report_lost(chunk, error, report)
    except BaseException:
        for job, chunk, _ in running:
            job.cancel()
            _report_lost(chunk, None, report)
        raise


def _slurm(options: Mapping[str, Any], logs: Path) -> submitit.AutoExecutor:
    import submitit

    cluster = options["cluster"]
    try:
        executor = submitit.AutoExecutor(folder=logs, cluster=cluster)
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"hydra.launcher.cluster={cluster} cannot be used: {error}; "
            "use hydra.launcher.cluster=local to try it on this machine."
        ) from error
    settings = {
        "name": "mlr",
        "timeout_min": options["timeout_min"],
        "cpus_per_task": options["cpus_per_task"],
        "mem_gb": options["mem_gb"],
        "gpus_per_node": options["gpus_per_task"],
        "slurm_partition": options["partition"],
        "slurm_additional_parameters": dict(options["additional"]) or None,
    }
    executor.update_parameters(**{key: value for key, value in settings.items() if value})
    return executor


def _run_on_ray(
    groups: Sequence[Chunk], options: Mapping[str, Any], folder: Path, report: Report
) -> None:
    """Train all groups by Ray: the cluster at `address`, or one of this machine alone."""
    import ray

    address, cpus = options["address"], options["cpus_per_task"]
    here = not ray.is_initialized()
    own = {"num_cpus": options["num_cpus"], "include_dashboard": False} if address is None else {}
    try:
        if here:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except (ConnectionError, ValueError) as error:
        raise InputError(
            f"hydra.launcher.address={address} cannot be reached: {str(error).partition('. ')[0]}; "
            "leave it out to use this machine alone."
        ) from error
    running: dict[Any, Chunk] = {}
    try:
        task = ray.remote(run_task).options(
            num_cpus=cpus, num_gpus=options["gpus_per_task"], max_retries=options["retries"]
        )
        workers = options["workers"] or int(ray.cluster_resources().get("CPU", 1) // cpus)
        for chunk in split(groups, workers, options["runs_per_task"]):
            running[task.remote(chunk, max(1, int(cpus)), str(Path.cwd()))] = chunk
        while running:
            for reference in ray.wait(list(running), num_returns=1)[0]:
                try:
                    for outcome in ray.get(reference):
                        report(outcome)
                except ray.exceptions.RayError as error:  # lost more often than it is repeated
                    _report_lost(running[reference], error, report)
                del running[reference]
    except BaseException:
        for reference in running:
            ray.cancel(reference)  # Ctrl-C for the task
        if running:
            ray.wait(list(running), num_returns=len(running), timeout=PATIENCE)
        for chunk in running.values():
            _report_lost(chunk, None, report)
        raise
    finally:
        if here:
            ray.shutdown()


def _report_lost(chunk: Chunk, error: Exception | None, report: Report) -> None:
    """Report the jobs of a lost worker by their folders: those that have not ended failed.

    Without an error the chunk was given up: those that have begun are reported as they are.
    """
    for job in chunk:
        found = outcome_at(job.folder, job.hash, job.number)
        if error is not None and (found is None or found.status not in (*FINISHED, "failed")):
            found = job.failed(error)
        if found is not None:
            report(found)


ENGINES = {"ray": (_run_on_ray, "ray"), "slurm": (_run_on_slurm, "submitit")}
"""By `hydra.launcher.engine`: how its chunks are trained, and the package that it needs."""
