"""Training loop: batches → step → probes → records."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isnan, nan
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from mlr.core.checks import InputError
from mlr.data.base import SPLITS
from mlr.records import Recorder
from mlr.training.background import Background, threads
from mlr.training.batches import Batches
from mlr.training.checkpointing import CheckpointPolicy, Stopped, restore, states_of
from mlr.training.divergence import DivergenceGuard
from mlr.training.evaluation import Evaluation, means_of
from mlr.training.examples import Examples
from mlr.training.experiment import Experiment, check_one_program
from mlr.training.final_calibration import FinalCalibration
from mlr.training.final_diagnostics import FinalDiagnostics
from mlr.training.log import StepLog
from mlr.training.own_updates import OwnOptimizer
from mlr.training.state import (
    Snapshot,
    Snapshots,
    buffers_of,
    named_parameters,
    state_dict_of,
)
from mlr.training.step import NOTHING, Kind, Program, by_objective, kind_of
from mlr.training.stopping import Stopping
from mlr.training.trial import try_parts

Progress = Callable[[int, int], None]
"""Called with the updates done and their total, a few times a second."""

PROGRESS_SECONDS = 0.1
USUAL = (700, 10, 10)
"""Python's default thresholds of garbage collection; scripts/train.py sets others."""


@dataclass(frozen=True)
class Result:
    """Outcome of one run.

    status: done or diverged.
    reason: why it ended before its last step, or None.
    steps: updates of the returned parameters.
    metrics: final numbers by tag (`loss/test`, `logit_grad/wrong`, …), over whole splits; of
        training data over `judged_examples` of them.
    anatomy: diagnostics of the training examples, see `mlr.training.final_diagnostics`; plain
        values for JSON.
    calibration: of the held-out splits, see `mlr.training.final_calibration`; {} for none.
    parameters: θ by name, on the CPU, without frozen ones.
    buffers: those of the module by name, as running statistics, on the CPU.
    state_dict: the module's state_dict with these parameters, on the CPU.
    seconds: wall time of the program that the run was part of.
    snapshots: updates done, and θ and buffers by then, on the CPU, if `train` was asked for them.
    refused: for an update that would have made it diverge: its number, the first tensor that is
        not finite, the training examples of its batch; its final numbers are then NaN.
    point: updates and epochs of the final numbers.
    """

    status: str
    reason: str | None
    steps: int
    metrics: dict[str, float]
    anatomy: dict[str, Any]
    calibration: dict[str, Any]
    parameters: dict[str, Tensor]
    buffers: dict[str, Tensor]
    state_dict: dict[str, Tensor]
    seconds: float
    snapshots: tuple[Snapshot, ...]
    refused: Mapping[str, Any]
    point: tuple[int, float]


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
    last point of each series on whole splits, of training data on `judged_examples` of them.

    Args:
        experiments: runs of one `program_key`: shapes of data and model, optimizer, length.
        recorders: one a run, or None to record nothing.
        progress: called with the progress of the program.
        snapshots: of each run, the numbers of updates before its last after which its
            parameters and buffers are copied to `Result.snapshots`; None for none.
        policy: writes checkpoints, gives the states from which runs continue, and says when to
            stop; it orders runs as `experiments` does.

    Raises:
        InputError: runs that cannot share one program, or do not fit their checkpoints.
        Stopped: the policy was asked to stop; every run has a checkpoint.
    """
    started = perf_counter()
    recorders = recorders or [None] * len(experiments)
    snapshots = snapshots or [()] * len(experiments)
    if len(recorders) != len(experiments):
        raise InputError(f"{len(experiments)} runs need as many recorders, not {len(recorders)}.")
    with threads(1) as busy, _modes(experiments), Background(busy - 1) as background:
        check_one_program(experiments)
        for one in {own.function: own for own in reversed(experiments)}.values():
            try_parts(one)
        order = by_objective(experiments)
        loop = TrainingLoop(
            Program([experiments[run] for run in order], background),
            [recorders[run] for run in order],
            [snapshots[run] for run in order],
            order,
            policy,
        )
        try:
            loop.run(progress)
        finally:
            loop.log.flush()
        return loop.in_callers_order(loop.results(started))


class TrainingLoop:
    """Updates of one program, and evaluation, recording and checkpoints between them.

    Arguments are those of `train`, in the order of the program's runs; `policy` is in the callers'
    order, in which runs have the numbers `order`.
    """

    def __init__(
        self,
        program: Program,
        recorders: Sequence[Recorder | None],
        snapshots: Sequence[Sequence[int]],
        order: Sequence[int],
        policy: CheckpointPolicy | None,
    ) -> None:
        first = program.runs[0]
        self.program, self.order, self.policy = program, order, policy
        self.total, self.epoch_steps = first.total_steps, first.steps_per_epoch
        names = [name for name in SPLITS if name != "val" or first.data.validated]
        self.splits = {name: Examples(program, name) for name in names}
        self.stopping = Stopping(program)
        self.guard = DivergenceGuard(program, self.splits["train"], self.stopping)
        self.snapshots = Snapshots(program, snapshots)
        self.log = StepLog(program, recorders, self.stopping)
        self.diagnostics = FinalDiagnostics(program, self.splits["train"])
        self.diagnostics.begin()
        losses = program.of_runs(self.diagnostics.first["loss"])
        self.stopping.begun_finite = losses.isfinite().tolist()
        self.step = self.began = 0
        """updates done, and those of them before this training"""
        self.saved = -1
        if policy is not None and policy.start is not None:
            states = [policy.start[run] for run in order]
            self.step = self.began = restore(states, program, self.stopping, self.snapshots)
        self.guard.begin(self.step)

    def run(self, progress: Progress | None) -> None:
        """Do every update of the program that is not done yet."""
        program, first = self.program, self.program.runs[0]
        due = first.probes.due(self.total)
        batches = Batches(self.splits["train"], program)
        judged = ("val", "test") if first.test_every_epoch else ("val",)
        evaluations = {
            name: Evaluation(own, program) for name, own in self.splits.items() if name in judged
        }
        coming = program.background.ahead(batches.chunks(self.step), batches.worth_a_thread)
        over = (self.step >= self.total or self.stopping.all_over) and self.end_epoch(evaluations)
        reported_at = perf_counter()
        while not over:
            chunk, ends_epoch = next(coming)
            for inputs, targets in chunk[: self.total - self.step]:
                step = self.step
                self.snapshots.take(step)
                measured = program.update(
                    inputs, targets, step, due.get(step, NOTHING), due.get(step + 1, NOTHING)
                )
                if measured is not None:
                    self.log.keep(measured)
                self.step = step + 1
                midst = self.step % self.epoch_steps != 0 and self.step < self.total
                if midst:
                    self.stop_if_asked()
                if perf_counter() - reported_at > PROGRESS_SECONDS:
                    reported_at = perf_counter()
                    if progress is not None:
                        progress(self.step, self.total)
                    if self.log.measurements.due():
                        self.guard.judge(self.step)
                        self.log.flush()
                    if midst and self.policy is not None and self.policy.due():
                        self.save()
            if ends_epoch or self.step == self.total:
                over = self.end_epoch(evaluations)
        if progress is not None:
            progress(self.step, self.total)

    def end_epoch(self, evaluations: Mapping[str, Evaluation]) -> bool:
        """Validate and checkpoint at the end of an epoch or of the run; tells if it is over."""
        self.guard.judge(self.step)
        midst = self.step % self.epoch_steps != 0
        if midst:
            self.save()  # before the validation, which a longer run does not have here
        if midst or self.step > self.began:  # else it is recorded already
            means = means_of(evaluations)
            self.log.keep_means(self.step, means)
            if "loss/val" in means:
                self.stopping.watch(self.step, means["loss/val"], means.get("accuracy/val"))
        over = self.step == self.total or self.stopping.all_over
        if over or (self.policy is not None and self.policy.due()):
            self.save()
        self.stop_if_asked()
        return over

    def save(self) -> None:
        """Flush the log, then checkpoint every run, unless that was done after this update."""
        if self.policy is None or self.saved == self.step:
            return
        self.guard.judge(self.step)
        self.log.flush()
        states = states_of(self.program, self.step, self.stopping, self.snapshots)
        self.policy.save(self.in_callers_order(states))
        self.saved = self.step

    def stop_if_asked(self) -> None:
        """Checkpoint the runs and raise `Stopped` if the policy is asked to."""
        if self.policy is not None and self.policy.asked():
            self.save()
            raise Stopped(f"stopped after {self.step} updates")

    def in_callers_order(self, items: Sequence[Any]) -> list[Any]:
        """Order items of the runs as `train` was given these."""
        place = {run: number for number, run in enumerate(self.order)}
        return [items[place[run]] for run in range(len(items))]

    def results(self, started: float) -> list[Result]:
        """Evaluate all splits; returns the results of a training that began at `started`."""
        program = self.program
        self.stopping.restore()
        metrics = self.diagnostics.end()
        evaluations = {
            name: Evaluation(own, program) for name, own in self.splits.items() if name != "train"
        }
        calibration = FinalCalibration(program)
        for split, evaluation in evaluations.items():
            calibration.begin(split)
            means = evaluation.means(errors=True, watch=calibration.add)
            calibration.end(split)
            metrics |= {f"{name}/{split}": own for name, own in means.items()}
        lists = {tag: values.tolist() for tag, values in metrics.items()}
        # there is no mean output for a target that no example has
        outputs = [tag for tag in lists if tag.startswith("prediction/")]
        reports, calibrated = self.diagnostics.reports(), calibration.reports()
        parameters = named_parameters(program, program.of_runs(program.parameters))
        results = []
        rows = zip(*lists.values(), strict=True)
        for run, (own, row) in enumerate(zip(program.runs, rows, strict=True)):
            numbers = dict(zip(lists, row, strict=True))
            ending = self.stopping.at_last(run, self.step, numbers)
            if ending.refused:
                numbers = dict.fromkeys(numbers, nan)
            else:
                for tag in outputs:
                    if isnan(numbers[tag]):
                        del numbers[tag]
            results.append(
                Result(
                    status=ending.status,
                    reason=ending.reason or None,
                    steps=ending.step,
                    metrics=numbers,
                    anatomy=reports[run],
                    calibration={} if ending.refused else calibrated[run],
                    parameters=parameters[run],
                    buffers=buffers_of(program, program.lane_of[run]),
                    state_dict=state_dict_of(program, program.lane_of[run], parameters[run]),
                    seconds=perf_counter() - started,
                    snapshots=self.snapshots.of(run, ending.step),
                    refused=ending.refused,
                    point=(ending.batches, ending.batches / own.steps_per_epoch),
                )
            )
        return results


@contextmanager
def _modes(experiments: Sequence[Experiment]) -> Iterator[None]:
    """Set torch's modes and Python's garbage collection for a program.

    Dense networks need no autograd; leaving out its bookkeeping saves a fifth of a small step.
    Other modules, and optimizers of torch, may draw random numbers, as dropout does; the caller's
    generator is restored.

    Autograd, and torch.func for composed objectives, make cycles that hold tensors: they are
    collected at least as often as by default. Otherwise collection is off, which saves a tenth of
    a small sweep, and half of it in a process with many objects.
    """
    module = any(
        kind_of(one) is Kind.MODULE or isinstance(one.optimizer, OwnOptimizer)
        for one in experiments[:1]
    )
    enabled, thresholds = gc.isenabled(), gc.get_threshold()
    if not module and all(one.objective.exact for one in experiments):
        gc.disable()
    elif thresholds[0] > USUAL[0]:
        gc.set_threshold(*USUAL)
    # without a list fork_rng warns of several GPUs
    used = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    try:
        with (
            torch.no_grad() if module else torch.inference_mode(),
            torch.random.fork_rng(used, enabled=module),
        ):
            yield
    finally:
        gc.set_threshold(*thresholds)
        if enabled:
            gc.enable()
