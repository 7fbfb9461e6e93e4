"""Carry runs that share a tensor program through their life: claim, train, record, end.

A single run is a program of one; each run of a program leaves what it would leave alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

import torch

from mlr.analysis.figures.record import moments_before_end, record_figures
from mlr.app.run.checkpointing import checkpoint_policy
from mlr.app.run.claiming import ClaimedRun, PreparedRun, claim
from mlr.app.run.existing_runs import clear, clear_unfinished, outcome_of
from mlr.app.run.signals import Signals
from mlr.core.checks import InputError
from mlr.core.durable import WriteError
from mlr.records.outcome import Outcome
from mlr.records.recorder import RunEnd, finish_all
from mlr.records.status import FINISHED
from mlr.training import Experiment, Result, train

Report = Callable[[Outcome], None]
"""Called with the outcome of each run, exactly once."""
ProgressReport = Callable[[float], None]
"""Called with how many runs' worth of the program is done."""


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
        report: called with the outcome of each.
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
    """One attempt to train runs as one program.

    claimed: runs that have begun and not ended.
    """

    def __init__(
        self, report: Report, progress: ProgressReport | None, signals: Signals | None
    ) -> None:
        self.report, self.progress, self.signals = report, progress, signals
        self.claimed: list[ClaimedRun] = []

    def run(self, runs: Sequence[PreparedRun]) -> list[PreparedRun]:
        """Train the runs; return those to try again, in smaller programs."""
        try:
            for run in runs:
                self._begin(run)
            if self.claimed:
                self._train()
        except WriteError as error:  # no recorder is left that can write: halves fare no better
            self._end_all(error)
        except Exception as error:
            if len(self.claimed) > 1:
                return self._withdraw()
            self._end_all(error)
        except BaseException as error:
            self._end_all(error, "interrupted")
            raise
        return []

    def _begin(self, run: PreparedRun) -> None:
        """Claim the folder of a run; a run that cannot begin fails alone."""
        try:
            self.claimed.append(claim(run))
        except InputError as error:  # the folder holds another run, or cannot be made
            self.report(run.job.failed(error, folder=run.job.folder))
        except BaseException as error:
            if run.before is None:
                clear_unfinished(run.job.folder, run.job.hash)
            if not isinstance(error, Exception):
                raise
            self.report(run.job.failed(error, folder=run.job.folder))

    def _train(self) -> None:
        runs = self.claimed
        experiments = [run.prepared.experiment for run in runs]
        with self._deferred():
            results = train(
                experiments,
                [run.recorder for run in runs],
                self._progress,
                [_moments(run.prepared) for run in runs],
                checkpoint_policy(runs, self.signals),
            )
        for run, result in zip(runs, results, strict=True):
            if run.prepared.job.drawn and run.recorder.error is None:
                record_figures(run.recorder, run.prepared.experiment, result)
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
                _last_entries(run.prepared.experiment, result),
                result.point,
            )
            for run, result in zip(runs, results, strict=True)
        ]
        with suppress(WriteError):  # of all of them; each holds its own
            finish_all([run.recorder for run in runs], ends, sync=len(runs) == 1)
        for result in results:
            if runs[0].recorder.error is not None:
                self._end(runs[0], runs[0].recorder.error)
            else:
                self.report(_outcome(runs[0], result))
            runs.pop(0).lock.close()

    def _end_all(self, error: BaseException, status: str = "failed") -> None:
        while self.claimed:
            run = self.claimed.pop(0)
            folder = run.recorder.folder
            if folder.status["status"] in FINISHED:  # a moment before
                found = outcome_of(folder.path, folder.status, run.prepared.job.number)
                self.report(found)
            else:
                self._end(run, run.recorder.error or error, status)

    def _end(self, run: ClaimedRun, error: BaseException, status: str = "failed") -> None:
        """End a run that has no result; its records until then are complete."""
        outcome = run.prepared.job.failed(error, status, run.prepared.job.folder)
        sync = run.prepared.single
        try:
            run.recorder.finish(status, reason=outcome.reason, sync=sync)
        except OSError:  # the first error is the reason
            with suppress(OSError):
                run.recorder.folder.write_status(status, sync, reason=outcome.reason)
        self.report(outcome)
        run.lock.close()

    def _withdraw(self) -> list[PreparedRun]:
        """Give up the runs that have begun; return them as new ones."""
        for run in self.claimed:
            clear(run.prepared.job.folder)
        return [run.prepared._replace(before=None) for run in self.claimed]

    def _progress(self, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(len(self.claimed) * done / total)

    def _deferred(self) -> AbstractContextManager[None]:
        return nullcontext() if self.signals is None else self.signals.deferred()


def _moments(run: PreparedRun) -> tuple[int, ...]:
    """Return the numbers of updates before the end after which the run is drawn."""
    return moments_before_end(run.experiment) if run.job.drawn else ()


def _outcome(run: ClaimedRun, result: Result) -> Outcome:
    job = run.prepared.job
    return job.outcome(
        result.status,
        result.reason,
        folder=job.folder,
        metrics=result.metrics,
        settings=run.settings,
        seconds=result.seconds,
    )


def _last_entries(experiment: Experiment, result: Result) -> dict[str, Any]:
    """Return the entries of status.json on how a run was trained."""
    return {
        "steps": result.steps,
        # products of wide networks are split by threads: another count rounds otherwise
        "threads": torch.get_num_threads(),
        "device": experiment.device,
        "data": experiment.data.fingerprint,
        "anatomy": result.anatomy,
    } | ({"refused": dict(result.refused)} if result.refused else {})
