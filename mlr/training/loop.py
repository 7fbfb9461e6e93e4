"""The loop: batches → step → probes → records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

import torch
from torch import Tensor

from mlr.checks import InputError
from mlr.records import Recorder
from mlr.seeds import derive_seed
from mlr.training.backprop import dense_structure
from mlr.training.batches import Batches
from mlr.training.endings import Ending, Endings
from mlr.training.evaluate import SplitTensors, evaluate
from mlr.training.experiment import Experiment, check_one_program
from mlr.training.log import StepLog
from mlr.training.result import Result
from mlr.training.step import Program

Progress = Callable[[int, int], None]
"""Called with updates done and updates in all, a few times a second."""

PROGRESS_SECONDS = 0.1


def train(
    experiments: Sequence[Experiment],
    recorders: Sequence[Recorder | None] | None = None,
    progress: Progress | None = None,
) -> list[Result]:
    """Train all runs as one tensor program, R = len(experiments).

    Point s of a series is measured after s updates: training numbers on the batch of the
    next update, validation numbers at the end of each epoch, and the last point of each
    series on whole splits, of training data on at most 10,000 examples.

    Args:
        experiments: runs that share data, model shape, optimizer kind and length.
        recorders: one a run, or None to record nothing.
        progress: told how far the program is.

    Raises:
        InputError: runs that cannot share one program.
    """
    started = perf_counter()
    check_one_program(experiments)
    first = experiments[0]
    recorders = recorders or [None] * len(experiments)
    if len(recorders) != len(experiments):
        raise InputError(f"{len(experiments)} runs need as many recorders, not {len(recorders)}.")
    with _modes(first):
        program = Program(experiments)
        splits = {
            name: SplitTensors.of(getattr(first.data, name), first.data.classes, program)
            for name in ("train", "val", "test")
        }
        endings = Endings([experiment.patience for experiment in experiments])
        log = StepLog(program, experiments, recorders, endings)
        try:
            steps = _run(program, experiments, splits, log, endings, progress)
        finally:
            log.flush()
        endings.restore(program.parameters, program.stepper.state)
        metrics = _final_metrics(program, splits, first.data.classes is not None)
    seconds = perf_counter() - started
    return [
        _result(run, program, endings.ended.get(run), steps, metrics[run], seconds)
        for run in range(len(experiments))
    ]


def _run(
    program: Program,
    experiments: Sequence[Experiment],
    splits: dict[str, SplitTensors],
    log: StepLog,
    endings: Endings,
    progress: Progress | None,
) -> int:
    """Every update of the program; returns how many were done."""
    first = experiments[0]
    total = first.total_steps
    logged = set(first.probes.steps(total))
    seeds = [experiment.seed for experiment in experiments]
    batches = Batches(splits["train"].features, splits["train"].targets, first.batch_size, seeds)
    step, epoch, told_at = 0, 0, perf_counter()
    while step < total and not endings.all_over:
        for inputs, targets in batches.epoch(epoch):
            if step == total:
                break
            kept = program.update(inputs, targets, step, logged=step in logged)
            if kept is not None:
                log.keep(kept)
            step += 1
            if perf_counter() - told_at > PROGRESS_SECONDS:
                told_at = perf_counter()
                if progress is not None:
                    progress(step, total)
                if log.due():
                    log.flush()
        epoch += 1
        means = evaluate(program, splits["val"], log.classification)
        log.keep_validation(step, means)
        endings.watch(step, means["loss"], program.parameters, program.stepper.state)
    if progress is not None:
        progress(step, total)
    return step


def _final_metrics(
    program: Program, splits: dict[str, SplitTensors], classification: bool
) -> list[dict[str, float]]:
    """By run, the tags of the last point of each series."""
    found: dict[str, Tensor] = {}
    for split, tensors in splits.items():
        if split == "train":
            tensors = tensors.thinned(program)
        means = evaluate(program, tensors, classification, gradients=split == "train")
        for name, values in means.items():
            tag = f"logit_grad/{name}" if name in ("wrong", "right") else f"{name}/{split}"
            found[tag] = values
    columns = {tag: values.tolist() for tag, values in found.items()}
    runs = range(len(program.parameters))
    return [{tag: values[run] for tag, values in columns.items()} for run in runs]


def _result(
    run: int,
    program: Program,
    ending: Ending | None,
    steps: int,
    metrics: dict[str, float],
    seconds: float,
) -> Result:
    ending = ending or Ending(steps, "done", "")
    views = program.layout.views(program.parameters[run : run + 1])
    parameters = {name: value[0].detach().cpu().clone() for name, value in views.items()}
    state = program.stepper.state
    return Result(
        status=ending.status,
        reason=ending.reason or None,
        steps=ending.step,
        metrics=metrics,
        parameters=parameters,
        state_dict=program.network.state_dict(parameters),
        optimizer_state={name: moment[run].cpu().clone() for name, moment in state.items()},
        seconds=seconds,
    )


@contextmanager
def _modes(experiment: Experiment) -> Iterator[None]:
    """Which of torch's modes a program runs in.

    Dense networks need no autograd at all; leaving even its bookkeeping out saves a fifth
    of a small step. Other modules may draw random numbers, as dropout does: those come
    from the run's seed, and the caller's generator is left untouched.
    """
    if dense_structure(experiment.module, experiment.data.feature_shape) is not None:
        with torch.inference_mode():
            yield
        return
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(derive_seed(experiment.seed, "dropout"))
        yield
