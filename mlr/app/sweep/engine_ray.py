"""`hydra/launcher=batched_ray`: each chunk is a task of Ray, repeated if its worker is lost.

Run folders must lie where all machines see them. Options, as in `hydra.launcher.workers=8`,
stand in `hydra_plugins.mlr_batched.launcher.RayConf`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ray

from mlr.app.sweep.engines import Chunk, OutcomeCollector, run_task, split
from mlr.core.checks import InputError

PATIENCE = 30.0
"""Seconds in which interrupted tasks write so into their folders."""


def run(
    groups: Sequence[Chunk], options: Mapping[str, Any], folder: Path, collector: OutcomeCollector
) -> None:
    """Train all groups on a cluster: the one at `address`, or one of this machine alone."""
    del folder  # Ray keeps its logs in its own
    here = not ray.is_initialized()
    if here:
        _connect(options["address"], options["num_cpus"])
    try:
        _run(groups, options, collector)
    finally:
        if here:
            ray.shutdown()


def _connect(address: str | None, cpus: int | None) -> None:
    own = {"num_cpus": cpus, "include_dashboard": False} if address is None else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except (ConnectionError, ValueError) as error:
        raise InputError(
            f"hydra.launcher.address={address} cannot be reached: {str(error).partition('. ')[0]}; "
            "leave it out to use this machine alone."
        ) from error


def _run(groups: Sequence[Chunk], options: Mapping[str, Any], collector: OutcomeCollector) -> None:
    cpus = options["cpus_per_task"]
    task = ray.remote(run_task).options(
        num_cpus=cpus, num_gpus=options["gpus_per_task"], max_retries=options["retries"]
    )
    workers = options["workers"] or int(ray.cluster_resources().get("CPU", 1) // cpus)
    chunks = split(groups, workers, options["runs_per_task"])
    place = str(Path.cwd())
    running = {task.remote(chunk, max(1, int(cpus)), place): chunk for chunk in chunks}
    try:
        while running:
            ended, _ = ray.wait(list(running), num_returns=1)
            for reference in ended:
                _collect(reference, running[reference], collector)
                del running[reference]
    except BaseException:
        for reference in running:
            ray.cancel(reference)  # Ctrl-C for the task
        ray.wait(list(running), num_returns=len(running), timeout=PATIENCE)
        for chunk in running.values():
            collector.stopped(chunk)
        raise


def _collect(reference: Any, chunk: Chunk, collector: OutcomeCollector) -> None:
    try:
        outcomes = ray.get(reference)
    except ray.exceptions.RayError as error:  # lost more often than it is repeated
        collector.lost(chunk, error)
        return
    for outcome in outcomes:
        collector.ended(outcome)
