"""Training loop: batches → step → probes → records."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import isnan, nan
from time import perf_counter
from typing import Any

import torch

from mlr.core.checks import InputError
from mlr.data.base import SPLITS
from mlr.records import Recorder
from mlr.training.background import Background, threads
from mlr.training.batches import Batches
from mlr.training.checkpointing import CheckpointHooks, CheckpointPolicy
from mlr.training.divergence import DivergenceGuard
from mlr.training.evaluation import Evaluation, means_of
from mlr.training.examples import Examples
from mlr.training.experiment import Experiment, check_one_program
from mlr.training.final_diagnostics import FinalDiagnostics
from mlr.training.log import StepLog
from mlr.training.network import Kind, kind_of
from mlr.training.result import Result
from mlr.training.run_snapshots import Snapshots, named_parameters
from mlr.training.step import NOTHING, Program, by_objective
from mlr.training.stopping import Stopping

Progress = Callable[[int, int], None]
"""Called with the updates done and their total, a few times a second."""

PROGRESS_SECONDS = 0.1
USUAL = (700, 10, 10)
"""Python's default thresholds of garbage collection; scripts/train.py sets others."""


def train(
    experiments: Sequence[Experiment],
    recorders: Sequence[Recorder | None] | None = None,
    progress: Progress | None = None,
    snapshots: Sequence[Sequence[int]] | None = None,
    policy: CheckpointPolicy | None = None,
) -> list[Result]:
    """Train all runs as one tensor program, R = len(experiments).

    On the CPU a run's numbers equal those of the run alone to the bit, whatever runs it is trained
    with and in whatever order.

    Point s of a series is measured after s updates: training numbers on the batch of the
    next update, validation numbers at the end of each epoch, if there is validation, and the
    last point of each series on whole splits, of training data on at most 10,000 examples.

    Args:
        experiments: runs of one `program_key`: shapes of data and model, optimizer, length.
        recorders: one a run, or None to record nothing.
        progress: called with the progress of the program.
        snapshots: of each run, the numbers of updates before its last after which its
            parameters are copied to `Result.snapshots`; None for none.
        policy: writes checkpoints, gives the states from which runs continue, and says when to
            stop; it orders runs as `experiments` does.

    Raises:
        InputError: runs that cannot share one program, or do not fit their checkpoints.
        Stopped: the policy was asked to stop; every run has a checkpoint.
    """
    started = perf_counter()
    check_one_program(experiments)
    recorders = recorders or [None] * len(experiments)
    if len(recorders) != len(experiments):
        raise InputError(f"{len(experiments)} runs need as many recorders, not {len(recorders)}.")
    with threads(1) as busy, _modes(experiments), Background(busy - 1) as background:
        order = by_objective(experiments)
        program = Program([experiments[run] for run in order], background)
        names = [name for name in SPLITS if name != "val" or experiments[0].data.validated]
        splits = {name: Examples(program, name) for name in names}
        stopping = Stopping(program)
        guard = DivergenceGuard(program, splits["train"], stopping)
        snapshots = snapshots or [()] * len(experiments)
        kept = Snapshots(program, [snapshots[run] for run in order])
        log = StepLog(program, [recorders[run] for run in order], stopping)
        diagnostics = FinalDiagnostics(program, splits["train"])
        diagnostics.begin()
        stopping.begin(program.of_runs(diagnostics.first["loss"]))
        checkpoints = CheckpointHooks(policy, order, program, log, stopping, kept, guard)
        try:
            steps = _run(program, splits, log, stopping, kept, background, progress, checkpoints)
        finally:
            log.flush()
        stopping.restore()
        metrics = _final_metrics(program, splits, diagnostics)
        results = _results(program, stopping, steps, metrics, diagnostics.reports(), started)
        results = [replace(one, snapshots=kept.of(n, one.steps)) for n, one in enumerate(results)]
    place = {run: number for number, run in enumerate(order)}
    return [results[place[run]] for run in range(len(order))]


def _run(
    program: Program,
    splits: dict[str, Examples],
    log: StepLog,
    stopping: Stopping,
    snapshots: Snapshots,
    background: Background,
    progress: Progress | None,
    checkpoints: CheckpointHooks,
) -> int:
    """Do every update of the program that is not done yet; returns how many were done in all."""
    first = program.runs[0]
    total = first.total_steps
    due = first.probes.due(total)
    batches = Batches(splits["train"], program)
    judged = [
        name for name in splits if name == "val" or (name == "test" and first.test_every_epoch)
    ]
    evaluations = {name: Evaluation(splits[name], program) for name in judged}
    step, reported_at = checkpoints.begin(), perf_counter()

    def end_epoch() -> bool:
        """Validate and checkpoint after `step` updates; tells if the program is at its end."""
        checkpoints.guard.judge(step)
        if not checkpoints.recorded(step):
            means = means_of(evaluations)
            log.keep_means(step, means)
            if "loss/val" in means:
                stopping.watch(step, means["loss/val"])
        over = step == total or stopping.all_over
        if checkpoints.due(over):
            checkpoints.save(step)
        if checkpoints.asked():
            checkpoints.stop(step)
        return over

    coming = background.ahead(batches.chunks(step), batches.worth_a_thread)
    over = (step >= total or stopping.all_over) and end_epoch()
    while not over:
        chunk, ends_epoch = next(coming)
        for inputs, targets in chunk[: total - step]:
            snapshots.take(step)
            kept = program.update(
                inputs, targets, step, due.get(step, NOTHING), due.get(step + 1, NOTHING)
            )
            if kept is not None:
                log.keep(kept)
            step += 1
            midst = step % first.steps_per_epoch != 0 and step < total
            if midst and checkpoints.asked():
                checkpoints.stop(step)
            if perf_counter() - reported_at > PROGRESS_SECONDS:
                reported_at = perf_counter()
                if progress is not None:
                    progress(step, total)
                if log.due():
                    checkpoints.guard.judge(step)
                    log.flush()
                if midst and checkpoints.due():
                    checkpoints.save(step)
        if ends_epoch or step == total:
            over = end_epoch()
    if progress is not None:
        progress(step, total)
    return step


def _final_metrics(
    program: Program, splits: dict[str, Examples], diagnostics: FinalDiagnostics
) -> dict[str, list[float]]:
    """Compute the last point of each series, by tag, for every run."""
    found = diagnostics.end()
    judged = {name: Evaluation(own, program) for name, own in splits.items() if name != "train"}
    found |= means_of(judged)
    for split, evaluation in judged.items():
        found |= {f"{name}/{split}": values for name, values in evaluation.errors().items()}
    return {tag: values.tolist() for tag, values in found.items()}


def _results(
    program: Program,
    stopping: Stopping,
    steps: int,
    metrics: dict[str, list[float]],
    reports: Sequence[dict[str, Any]],
    started: float,
) -> list[Result]:
    views = program.layout.views(program.of_runs(program.parameters).cpu().contiguous())
    moments = {
        name: program.of_runs(value).cpu().contiguous()
        for name, value in program.stepper.state.items()
    }
    results, best_steps = [], stopping.best_step.tolist()
    for run, own in enumerate(program.runs):
        best = best_steps[run]
        numbers = {tag: values[run] for tag, values in metrics.items()}
        ending = stopping.at_last(run, steps, numbers)
        # copies: a result must not keep the tensors of all runs alive
        parameters = {name: value[run].contiguous().clone() for name, value in views.items()}
        results.append(
            Result(
                status=ending.status,
                reason=ending.reason or None,
                steps=ending.step,
                metrics=dict.fromkeys(numbers, nan) if ending.refused else _there(numbers),
                anatomy=reports[run],
                parameters=parameters,
                state_dict=program.network.state_dict(program.lane_of[run], parameters),
                optimizer_state={name: moment[run].clone() for name, moment in moments.items()},
                seconds=perf_counter() - started,
                best=(
                    best,
                    {}
                    if best in (0, ending.step)
                    else named_parameters(program, stopping.best[run]),
                ),
                refused=ending.refused,
                point=(ending.batches, ending.batches / own.steps_per_epoch),
            )
        )
    return results


def _there(numbers: dict[str, float]) -> dict[str, float]:
    """Leave out mean outputs for a target that no example has."""
    return {
        tag: value
        for tag, value in numbers.items()
        if not (tag.startswith("prediction/") and isnan(value))
    }


@contextmanager
def _modes(experiments: Sequence[Experiment]) -> Iterator[None]:
    """Set torch's modes and Python's garbage collection for a program.

    Dense networks need no autograd; leaving out its bookkeeping saves a fifth of a small step.
    Other modules may draw random numbers, as dropout does; the caller's generator is restored.
    """
    if kind_of(experiments[0]) is Kind.MODULE:
        # without a list fork_rng warns of several GPUs
        used = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
        with torch.no_grad(), torch.random.fork_rng(used), _search_for_cycles(True):
            yield
    else:
        # torch.func, which differentiates composed objectives, makes cycles at every update
        composed = not all(one.objective.exact for one in experiments)
        with torch.inference_mode(), _search_for_cycles(composed):
            yield


@contextmanager
def _search_for_cycles(made: bool) -> Iterator[None]:
    """Collect cycles at least as often as by default if any are made, because they hold tensors.

    Otherwise collection is off: that saves a tenth of a small sweep, and half of it in a process
    with many objects.
    """
    enabled, thresholds = gc.isenabled(), gc.get_threshold()
    if not made:
        gc.disable()
    elif thresholds[0] > USUAL[0]:
        gc.set_threshold(*USUAL)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        if enabled:
            gc.enable()
