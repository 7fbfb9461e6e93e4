"""Carry runs that share a tensor program through their life: claim, train, checkpoint, record, end.

A single run is a program of one; each run of a program leaves what it would leave alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any

import torch

from mlr.app.config.run_names import pair_of
from mlr.app.run.existing_runs import clear, clear_unfinished, hold_folder, outcome_of
from mlr.app.run.job import Job, ProgressReport, Report
from mlr.app.run.resume import EarlierRun, conditions
from mlr.app.run.signals import Signals
from mlr.core import console, durable
from mlr.core.checks import InputError
from mlr.core.durable import WriteError, atomic_write, create_exclusive
from mlr.data.base import Dataset
from mlr.data.inputs import Description
from mlr.figures.record import moments_before_end, record_figures
from mlr.records import Recorder, RunFolder
from mlr.records.checksums import checksum
from mlr.records.outcome import cause
from mlr.records.recorder import RunEnd, failing_alone, finish_all, raise_if_none_left
from mlr.records.run_folder import HYDRA, INPUTS, LOCK, STATUS
from mlr.records.status import FINISHED
from mlr.training import Experiment, Result, train
from mlr.training.checkpoint import save_checkpoint
from mlr.training.checkpointing import CheckpointPolicy
from mlr.training.log import run_tags
from mlr.training.state import State


@dataclass
class PreparedRun:
    """A job that was checked and built, and the records of its run once its folder is claimed.

    job: what was composed.
    experiment: what is trained.
    before: the run that continues, or that a new one replaces; None for a new run in a new folder.
    single: True for a run of its own, whose folder is locked; a sweep locks the folder of all.
    lock: released when the run is over.
    """

    job: Job
    experiment: Experiment
    before: EarlierRun | None = None
    single: bool = False
    recorder: Recorder = field(init=False)
    lock: ExitStack = field(init=False, default_factory=ExitStack)


def train_program(
    runs: Sequence[PreparedRun],
    report: Report,
    progress: ProgressReport | None = None,
    signals: Signals | None = None,
) -> None:
    """Train runs as one program; a run that fails does not end the others.

    A program that fails is tried again in halves, until only the runs at fault are left.

    Args:
        runs: that can share a program (`program_key`), fit into memory, and have done equally
            many updates before.
        report: called with the outcome of each, exactly once.
        progress: called as the program proceeds.
        signals: that end the program after its present step; its runs can continue from there.
    """
    waiting = [list(runs)]
    while waiting:
        attempt = _Attempt(report, progress, signals)
        failed = attempt.run(waiting.pop())
        half = (len(failed) + 1) // 2
        waiting += [part for part in (failed[half:], failed[:half]) if part]


class _Attempt:
    """One attempt to train runs as one program."""

    def __init__(
        self, report: Report, progress: ProgressReport | None, signals: Signals | None
    ) -> None:
        self.report, self.progress, self.signals = report, progress, signals
        self.claimed: list[PreparedRun] = []  # begun and not ended

    def run(self, runs: Sequence[PreparedRun]) -> list[PreparedRun]:
        """Train the runs; return those to try again, in smaller programs."""
        try:
            tags = run_tags(runs[0].experiment)  # equal for all that share a program
            for run in runs:
                self._begin(run, tags)
            if self.claimed:
                self._train()
        except WriteError as error:  # no recorder is left that can write: halves fare no better
            self._end_all(error)
        except Exception as error:
            if len(self.claimed) > 1:
                for run in self.claimed:
                    clear(run.job.folder)
                return [replace(run, before=None) for run in self.claimed]
            self._end_all(error)
        except BaseException as error:
            self._end_all(error, "interrupted")
            raise
        return []

    def _begin(self, run: PreparedRun, tags: Sequence[str]) -> None:
        """Claim the folder of a run; a run that cannot begin fails alone."""
        try:
            claim(run, tags)
        except BaseException as error:
            run.lock.close()
            # an InputError says that the folder holds another run, or cannot be made
            if run.before is None and not isinstance(error, InputError):
                clear_unfinished(run.job.folder, run.job.hash)
            if not isinstance(error, Exception):
                raise
            self.report(run.job.failed(error, folder=run.job.folder))
        else:
            self.claimed.append(run)

    def _train(self) -> None:
        runs = self.claimed
        with self._deferred():
            results = train(
                [run.experiment for run in runs],
                [run.recorder for run in runs],
                self._progress,
                [moments_before_end(run.experiment) if run.job.drawn else () for run in runs],
                checkpoint_policy(runs, self.signals),
            )
        for run, result in zip(runs, results, strict=True):
            if run.job.drawn and run.recorder.error is None:
                record_figures(run.recorder, run.experiment, result)
        with self._deferred():
            self._finish(results)

    def _finish(self, results: Sequence[Result]) -> None:
        """Record the last numbers; runs that cannot write them fail alone."""
        runs = self.claimed
        ends = [
            RunEnd(
                result.status,
                result.metrics,
                result.reason,
                _last_entries(run.experiment, result),
                result.point,
            )
            for run, result in zip(runs, results, strict=True)
        ]
        with suppress(WriteError):  # of all of them; each holds its own
            finish_all([run.recorder for run in runs], ends, sync=len(runs) == 1)
        for result in results:
            run = runs[0]
            if run.recorder.error is not None:
                self._end(run, run.recorder.error)
            else:
                outcome = run.job.outcome(
                    result.status,
                    result.reason,
                    folder=run.job.folder,
                    metrics=result.metrics,
                    settings=run.job.settings,
                    seconds=result.seconds,
                    entries=run.recorder.folder.status,
                    series=run.recorder.series(),
                )
                self.report(outcome)
            runs.pop(0).lock.close()

    def _end_all(self, error: BaseException, status: str = "failed") -> None:
        while self.claimed:
            run = self.claimed.pop(0)
            folder = run.recorder.folder
            if folder.status["status"] in FINISHED:  # a moment before
                self.report(outcome_of(folder.path, folder.status, run.job.number))
            else:
                self._end(run, run.recorder.error or error, status)

    def _end(self, run: PreparedRun, error: BaseException, status: str = "failed") -> None:
        """End a run that has no result; its records until then are complete."""
        outcome = run.job.failed(error, status, run.job.folder)
        try:
            run.recorder.finish(status, reason=outcome.reason, sync=run.single)
        except OSError:  # the first error is the reason
            with suppress(OSError):
                run.recorder.folder.write_status(status, run.single, reason=outcome.reason)
        self.report(outcome)
        run.lock.close()

    def _progress(self, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(len(self.claimed) * done / total)

    def _deferred(self) -> AbstractContextManager[None]:
        return nullcontext() if self.signals is None else self.signals.deferred()


def _last_entries(experiment: Experiment, result: Result) -> dict[str, Any]:
    """Return the entries of status.json on how a run was trained."""
    return {
        "steps": result.steps,
        # products of wide networks are split by threads: another count rounds otherwise
        "threads": torch.get_num_threads(),
        "device": experiment.device,
        "data": experiment.data.fingerprint,
        "anatomy": result.anatomy,
        **({"calibration": result.calibration} if result.calibration else {}),
        **({"refused": dict(result.refused)} if result.refused else {}),
    }


def claim(run: PreparedRun, tags: Sequence[str]) -> None:
    """Claim the folder of a run, lock it if the run is a single one, and open records of `tags`.

    Raises:
        InputError: it holds another run, another process trains one there, or it cannot be made.
        DataError: what was recorded before is damaged.
        WriteError: it cannot be written.
    """
    job, before = run.job, run.before
    if run.single and before is not None:
        job.folder.mkdir(parents=True, exist_ok=True)
        run.lock.callback(os.close, hold_folder(job.folder))
    folder = _claimed_folder(run)
    try:
        # at once: a run that was killed goes on as was asked last
        _write_files(folder, job.files)
        write_inputs(folder, run.experiment)
        if before is None or before.state is None:
            run.recorder = Recorder(folder, tags, job.settings)
        else:
            records, step = before.about["records"], before.state.step
            run.recorder = Recorder.resume(folder, tags, records, step)
    except BaseException as error:
        status = "failed" if isinstance(error, Exception) else "interrupted"
        with suppress(OSError):  # the first error is the reason
            folder.write_status(status, reason=cause(error))
        raise
    if run.single and before is None:  # no lock is left in the folder of another run
        run.lock.callback(os.close, hold_folder(job.folder))
    if run.single and before is not None and before.about:
        console.say(before.continues(run.experiment.total_steps))


def _claimed_folder(run: PreparedRun) -> RunFolder:
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


def _write_files(folder: RunFolder, files: Mapping[str, str]) -> None:
    """Write files of a run's `.hydra`; the WriteError names what could not be written."""
    target = folder.path / HYDRA
    try:
        target.mkdir()
        write = create_exclusive  # nothing there to replace, nor anybody who reads
    except FileExistsError:
        write = partial(atomic_write, sync=False)
    except OSError as error:
        raise WriteError(target, error) from error
    for name, text in files.items():
        content = text.encode()
        write(target / name, content)
        folder.files[f"{HYDRA}/{name}"] = checksum(content)


def write_inputs(folder: RunFolder, experiment: Experiment) -> None:
    """Write what predictions need to know of a run's data; of a continued run it is the same."""
    pos_weight, log_prior = experiment.objective.pos_weight, experiment.objective.log_prior
    content = _described(
        experiment.data,
        class_weights=experiment.class_weights,
        pos_weight=None if pos_weight is None else tuple(pos_weight.tolist()),
        prior=None if log_prior is None else tuple(log_prior.exp().tolist()),
    )
    atomic_write(folder.path / INPUTS, content, sync=False)
    folder.files[INPUTS] = checksum(content)


@lru_cache(maxsize=1)  # runs of a sweep share their data, and these their description
def _described(data: Dataset, **numbers: tuple[float, ...] | None) -> bytes:
    return Description.of(data, **numbers).encode()


def checkpoint_policy(runs: Sequence[PreparedRun], signals: Signals | None) -> CheckpointPolicy:
    """Return the hooks by which the loop writes checkpoints of the runs and stops them."""
    before = [run.before for run in runs]
    starts = [one.state for one in before if one is not None and one.state is not None]
    return CheckpointPolicy(
        CheckpointWriter(runs).write,
        min(run.job.config["checkpoint"]["seconds"] for run in runs),
        signals.asked if signals is not None else lambda: False,
        starts or None,
    )


class CheckpointWriter:
    """Writes the checkpoints of runs.

    A single run waits for each of its files; many share one wait for all that the system has
    to write, and one that cannot be written fails alone: its recorder holds the error.
    """

    def __init__(self, runs: Sequence[PreparedRun]) -> None:
        self.runs, self.alone = runs, len(runs) == 1
        self.claims_wait = self.alone  # to be on the disk, with all folders above

    def write(self, states: Sequence[State]) -> None:
        """Write records first, so that no checkpoint refers to records that are not there.

        Raises:
            WriteError: no run is left that can be written.
        """
        positions: dict[int, dict[str, Any]] = {}
        for number, run in enumerate(self.runs):
            if run.recorder.error is None:
                with failing_alone(run.recorder):
                    positions[number] = run.recorder.position(self.alone)
        if self.claims_wait:
            durable.sync_path(self.runs[0].recorder.folder.path / STATUS)
            self.claims_wait = False
        self._wait()
        for number, records in positions.items():
            run = self.runs[number]
            with failing_alone(run.recorder):
                about = conditions(run.job.config, run.experiment) | {"records": records}
                save_checkpoint(run.recorder.folder, states[number], about, self.alone)
        self._wait()
        raise_if_none_left([run.recorder for run in self.runs])

    def _wait(self) -> None:
        if not self.alone:
            durable.sync_all()
