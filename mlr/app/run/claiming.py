"""Claim the folder of a run, or reopen it if the run continues."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from mlr.app.config.run_names import pair_of
from mlr.app.run.existing_runs import clear
from mlr.app.run.hydra_files import write_files
from mlr.app.run.job import Job, part_names
from mlr.app.run.resume import EarlierRun
from mlr.core import console
from mlr.core.checks import InputError
from mlr.core.locks import hold
from mlr.records import Recorder, RunFolder
from mlr.records.outcome import cause
from mlr.records.run_folder import HYDRA, LOCK, STATUS
from mlr.records.settings import hyperparameters
from mlr.training import Experiment
from mlr.training.log import run_tags


class PreparedRun(NamedTuple):
    """A job that was checked and built.

    job: what was composed.
    experiment: what is trained.
    before: the run that continues, or that a new one replaces; None for a new run in a new folder.
    single: True for a run of its own, whose folder is locked; a sweep locks the folder of all.
    """

    job: Job
    experiment: Experiment
    before: EarlierRun | None = None
    single: bool = False


class ClaimedRun(NamedTuple):
    """A run whose folder no other run can have.

    settings: the configuration as flat scalars.
    lock: released when the run is over.
    """

    prepared: PreparedRun
    recorder: Recorder
    settings: Mapping[str, Any]
    lock: ExitStack


def claim(run: PreparedRun) -> ClaimedRun:
    """Claim the folder of a run, lock it if the run is a single one, and open its records.

    Raises:
        InputError: it holds another run, another process trains one there, or it cannot be made.
        DataError: what was recorded before is damaged.
        WriteError: it cannot be written.
    """
    job, before = run.job, run.before
    tags, settings = run_tags(run.experiment), hyperparameters(job.config, part_names(job.config))
    with ExitStack() as lock:
        if run.single and before is not None:
            job.folder.mkdir(parents=True, exist_ok=True)
            lock.enter_context(hold_run(job.folder))
        folder = _folder(run)
        with _ended_by_errors(folder):
            # at once: a run that was killed goes on as was asked last
            write_files(folder, job.files)
            if before is None or before.state is None:
                recorder = Recorder(folder, tags, settings)
            else:
                recorder = Recorder.resume(folder, tags, before.about["records"], before.state.step)
        if run.single and before is None:  # no lock is left in the folder of another run
            lock.enter_context(hold_run(job.folder))
        if run.single and before is not None and before.about:
            console.say(before.continues(run.experiment.total_steps))
        return ClaimedRun(run, recorder, settings, lock.pop_all())


def _folder(run: PreparedRun) -> RunFolder:
    """Claim the folder of a new run, or reopen that of an earlier one."""
    job, before = run.job, run.before
    entries: dict[str, Any] = {
        "seed": job.config["seed"],
        "pair": pair_of(job.config),
        "overrides": list(job.overrides),
        "config_hash": job.hash,
    }
    if before is None:
        return RunFolder.claim(job.folder, **entries)
    if before.state is None:
        clear(job.folder, but=(LOCK, HYDRA, STATUS) if before.status else (LOCK,))
        if not before.status:
            return RunFolder.claim(job.folder, **entries)
    if run.single:  # its first command stays in its status.json
        entries["overrides"] = before.status.get("overrides", [])
    return RunFolder.reopen(job.folder, **entries)


@contextmanager
def _ended_by_errors(folder: RunFolder) -> Iterator[None]:
    """Record in status.json that an error ended the run, so that it does not say "running"."""
    try:
        yield
    except BaseException as error:
        status = "failed" if isinstance(error, Exception) else "interrupted"
        with suppress(OSError):  # the first error is the reason
            folder.write_status(status, reason=cause(error))
        raise


def hold_run(folder: Path) -> ExitStack:
    """Keep others from the run of a folder until what is returned is left.

    Raises:
        InputError: another process trains it.
        WriteError: the folder cannot be written.
    """
    try:
        lock = hold(folder / LOCK, f"process {os.getpid()} on {socket.gethostname()}")
    except BlockingIOError as error:
        raise InputError(f"{folder} is trained by {error}; wait for its end, or end it.") from error
    held = ExitStack()
    held.callback(os.close, lock)
    return held
