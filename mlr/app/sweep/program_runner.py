"""Runs trained as one tensor program, each recorded in its own folder as if it were alone.

What fails is halved and tried again until only the runs at fault are left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from typing import NamedTuple

from mlr.analysis.figures.record import moments_before_end, record_figures
from mlr.app.run.checkpointing import keeper_of
from mlr.app.run.existing_runs import clear, make_way, outcome_of
from mlr.app.run.job import last_entries, pair_name
from mlr.app.run.job_files import write_files
from mlr.app.run.signals import Signals
from mlr.app.sweep.prepared_run import Claimed, Ready, claim
from mlr.core.checks import DataError, InputError
from mlr.core.durable import WriteError
from mlr.records.identity import identity
from mlr.records.outcome import Outcome, cause, trace_of
from mlr.records.recorder import RunEnd, finish_all
from mlr.records.status import FINISHED
from mlr.training import Result, train
from mlr.training.checkpoint import final_state, save_checkpoint

Tell = Callable[[Outcome], None]
Progress = Callable[[float], None]


class Problem(NamedTuple):
    """An error without its traceback, whose frames would keep every tensor alive."""

    reason: str
    trace: str


def train_batch(
    runs: Sequence[Ready], tell: Tell, progress: Progress, signals: Signals | None = None
) -> None:
    """Train all runs, whatever becomes of some of them.

    Args:
        runs: that can share a program (`program_key`), fit into memory, and have done equally
            many updates before.
        tell: called with the outcome of each, exactly once.
        progress: called with how many runs' worth of the batch is done.
        signals: that end the batch after its present step; its runs can go on from there.
    """
    left = [list(runs)]
    while left:
        batch = left.pop()
        damaged: list[Ready] = []
        begun: list[Claimed] = []
        problem = _attempt(batch, begun, damaged, tell, progress, signals)
        if damaged:
            left.append([_anew(ready) for ready in damaged])
        if problem is None:
            continue
        if len(begun) == 1:
            _close(begun[0], "failed", problem.reason, tell, problem.trace)
            continue
        again = [_anew(run.ready) for run in begun]
        half = (len(again) + 1) // 2
        left += [again[half:], again[:half]]


def _anew(ready: Ready) -> Ready:
    clear(ready.job.folder)
    return ready._replace(before=None)


def _attempt(
    batch: Sequence[Ready],
    begun: list[Claimed],
    damaged: list[Ready],
    tell: Tell,
    progress: Progress,
    signals: Signals | None,
) -> Problem | None:
    """Begin, train and finish the runs; `begun` then holds those not told of yet.

    Those whose records are damaged, so that they cannot go on, are left in `damaged`.
    """
    beginning: Ready | None = None
    try:
        for ready in batch:
            beginning = ready
            _begin(ready, begun, damaged, tell)
        beginning = None
        if begun:
            with nullcontext() if signals is None else signals.deferred():
                _finish(begun, _train(begun, progress, signals), tell)
    except WriteError as error:  # no recorder is left that can write: halves would fare no better
        for run in begun:
            _close(run, "failed", str(run.recorder.error or error), tell)
    except Exception as error:
        return Problem(cause(error), trace_of(error))
    except BaseException as error:
        for run in begun:
            folder = run.recorder.folder
            if folder.status["status"] in FINISHED:  # a moment before
                tell(outcome_of(folder.path, folder.status, run.ready.job.number))
            else:
                _close(run, "interrupted", cause(error), tell)
        if beginning is not None and all(run.ready is not beginning for run in begun):
            # interrupted in the midst of its claim
            make_way(beginning.job.folder, beginning.job.hash)
        raise
    return None


def _begin(ready: Ready, begun: list[Claimed], damaged: list[Ready], tell: Tell) -> None:
    job = ready.job
    try:
        begun.append(claim(ready))
        write_files(begun[-1].recorder.folder, job.files)
    except DataError:
        damaged.append(ready)
    except InputError as error:  # the folder holds another run, or cannot be made
        tell(ready.outcome("failed", str(error)))
    except Exception as error:  # the others can still begin
        if begun and begun[-1].ready is ready:
            _close(begun.pop(), "failed", cause(error), tell, trace_of(error))
            return
        make_way(job.folder, job.hash)
        tell(ready.outcome("failed", cause(error), trace_of(error)))


def _train(
    begun: Sequence[Claimed], progress: Progress, signals: Signals | None
) -> Sequence[Result]:
    built = [run.ready for run in begun]
    return train(
        [one.experiment for one in built],
        [run.recorder for run in begun],
        lambda done, total: progress(len(begun) * done / total),
        [moments_before_end(one.experiment) if one.job.drawn else () for one in built],
        keeper_of([run.kept for run in begun], signals),
    )


def _finish(begun: list[Claimed], results: Sequence[Result], tell: Tell) -> None:
    """Checkpoints, figures, last numbers and outcomes; runs that cannot write them fail alone."""
    for run, result in zip(begun, results, strict=True):
        config, recorder = identity(run.ready.plan.config), run.recorder
        try:
            about = {"config": config}
            save_checkpoint(recorder.folder, final_state(result), about, sync=False)
        except WriteError as error:
            recorder.error = recorder.error or error
        if run.ready.job.drawn and recorder.error is None:
            record_figures(recorder, run.ready.experiment, result)
    endings = [
        RunEnd(
            one.status,
            one.metrics,
            one.reason,
            last_entries(run.ready.experiment, one),
            one.point,
        )
        for run, one in zip(begun, results, strict=True)
    ]
    with suppress(WriteError):  # of all of them; each holds its own
        finish_all([run.recorder for run in begun], endings)
    for result in results:
        run = begun[0]
        if run.recorder.error is not None:
            _close(run, "failed", str(run.recorder.error), tell)
        else:
            tell(_outcome(run, result))
        del begun[0]


def _outcome(run: Claimed, result: Result) -> Outcome:
    job = run.ready.job
    return Outcome(
        job.folder.name,
        job.overrides,
        result.status,
        result.reason,
        job.folder,
        result.metrics,
        run.settings,
        result.seconds,
        pair_name(run.settings),
        job.number,
    )


def _close(run: Claimed, status: str, reason: str, tell: Tell, trace: str = "") -> None:
    """End a run that has no result; what was recorded until then is kept."""
    try:
        run.recorder.finish(status, reason=reason, sync=False)
    except OSError:  # the reason to tell is the first one
        with suppress(OSError):
            run.recorder.folder.write_status(status, sync=False, reason=reason)
    tell(run.ready.outcome(status, reason, trace))
