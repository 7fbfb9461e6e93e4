"""`hydra/launcher=batched_slurm`: each chunk is a job of SLURM, by submitit.

A chunk that was preempted, ran out of time, or lost its machine is submitted again and goes
on where it was. Run folders must lie where all machines see them. Options, as in
`hydra.launcher.partition=gpu`, stand in `hydra_plugins.mlr_batched.launcher.SlurmConf`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import submitit

from mlr.app.sweep.engines import Chunk, OutcomeCollector, run_task, split
from mlr.core.checks import InputError
from mlr.records.outcome import Outcome

LOGS = ".submitit"
SECONDS = 0.5
"""Between two polls of the jobs; submitit asks SLURM itself less often."""


class ChunkTask:
    """`run_task` for submitit; it is submitted again when its time is over."""

    def __call__(self, chunk: Chunk, threads: int, place: str) -> list[Outcome]:
        """Train a chunk."""
        return run_task(chunk, threads, place)

    def checkpoint(self, *arguments: Any) -> submitit.helpers.DelayedSubmission:
        """Return what is submitted in place of this call: itself, as finished runs are left."""
        return submitit.helpers.DelayedSubmission(self, *arguments)


def run(
    groups: Sequence[Chunk], options: Mapping[str, Any], folder: Path, collector: OutcomeCollector
) -> None:
    """Train all groups as jobs, as many at once as SLURM allows."""
    executor = _executor(options, folder / LOGS)
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
                    collector.ended(outcome)
            except Exception as error:  # lost with its machine, most often
                if retries:
                    again = executor.submit(ChunkTask(), chunk, *arguments)
                    running.append((again, chunk, retries - 1))
                else:
                    collector.lost(chunk, error)
    except BaseException:
        for job, chunk, _ in running:
            job.cancel()
            collector.stopped(chunk)
        raise


def _executor(options: Mapping[str, Any], logs: Path) -> submitit.AutoExecutor:
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
