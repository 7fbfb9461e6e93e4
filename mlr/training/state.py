"""State of a run between two updates, from which training continues to the bit.

It holds no state of a random generator: shuffling, dropout and initial weights are functions of
the seed, the epoch and the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

import torch
from torch import Tensor

from mlr.core.checks import DataError
from mlr.training.run_snapshots import LanesCopy, Snapshots, named_parameters
from mlr.training.step import Program
from mlr.training.stopping import Stop, Stopping


@dataclass(frozen=True)
class State:
    """One run after `step` updates, on the CPU.

    step: updates done; if that ends an epoch, its validation is recorded.
    state_dict: of its module.
    moments: of the optimizer, by name (P,).
    previous: the gradient of the last update (P,), if the next step compares its own.
    snapshots: updates done and parameters by then (P,).
    lowest: lowest validation loss so far.
    waited: epochs since then.
    best_step: updates by then.
    best: parameters by then, by name; empty if they are those of the module.
    ending: its end, if it stopped before other runs; its numbers are those it had then.
    threads: number of threads that its products are split by; None if none are.
    """

    step: int
    state_dict: dict[str, Tensor]
    moments: dict[str, Tensor]
    previous: Tensor | None = None
    snapshots: list[tuple[int, Tensor]] = field(default_factory=list)
    lowest: float = inf
    waited: int = 0
    best_step: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)
    ending: Stop | None = None
    threads: int | None = None


def states_of(
    program: Program, step: int, stopping: Stopping, snapshots: Snapshots
) -> Sequence[State]:
    """Copy the state of every run after `step` updates."""
    now = program.of_runs(program.parameters).cpu().contiguous()
    moments = {
        name: program.of_runs(own).cpu().contiguous() for name, own in program.stepper.state.items()
    }
    previous = program.statistics.previous
    if previous is not None:
        previous = program.of_runs(previous).cpu().contiguous()
    best = stopping.best.cpu()
    lowest, waited = stopping.lowest.tolist(), stopping.waited.tolist()
    best_steps = stopping.best_step.tolist()
    found = []
    for run, lane in enumerate(program.lane_of):
        ending, own = stopping.ended.get(run), slice(run, run + 1)
        here = LanesCopy(own, now[own], {name: rows[own] for name, rows in moments.items()}, [])
        copy = stopping.frozen.get(run, here)
        parameters = named_parameters(program, copy.parameters[0])
        buffers = copy.buffers[0] if copy.buffers else {}
        done = step if ending is None else ending.step
        found.append(
            State(
                step=step,
                state_dict=program.network.state_dict(lane, parameters) | _cpu(buffers),
                moments=_cpu({name: rows[0] for name, rows in copy.moments.items()}),
                previous=None if previous is None else previous[run].clone(),
                snapshots=list(snapshots.taken[run]),
                lowest=lowest[run],
                waited=waited[run],
                best_step=best_steps[run],
                best={} if best_steps[run] in (0, done) else named_parameters(program, best[run]),
                ending=ending,
                threads=program.busy if program.all_threads else None,
            )
        )
    return found


def _cpu(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: own.to("cpu", copy=True) for name, own in tensors.items()}


def restore(
    states: Sequence[State], program: Program, stopping: Stopping, snapshots: Snapshots
) -> int:
    """Restore every run of a new program; returns the updates done.

    Raises:
        DataError: a state is of another model or optimizer.
    """
    for run, (lane, state) in enumerate(zip(program.lane_of, states, strict=True)):
        views = program.layout.views(program.parameters[lane : lane + 1])
        like = {name: own[0] for name, own in views.items()}
        expected = program.network.state_dict(lane, like)
        moments = program.stepper.state
        _check("parameters", state.state_dict, expected)
        _check("moments", state.moments, {name: own[lane] for name, own in moments.items()})
        rows = {f"snapshot {step}": row for step, row in state.snapshots}
        if state.previous is not None:
            rows["previous gradient"] = state.previous
        _check("snapshots", rows, dict.fromkeys(rows, program.parameters[lane]))
        if state.best:
            _check("best parameters", state.best, like)
        for name, own in like.items():
            own.copy_(state.state_dict[name])
        for name, moment in moments.items():
            moment[lane] = state.moments[name]
        program.network.load_buffers(lane, state.state_dict)
        _resume(run, state, program, stopping)
        snapshots.taken[run] = list(state.snapshots)
    # spare lanes are those of the runs that they repeat
    lanes = torch.tensor(
        [program.lane_of[run] for run in program.run_of], device=program.parameters.device
    )
    for tensor in (program.parameters, *program.stepper.state.values()):
        tensor.copy_(tensor[lanes])
    before = [state.previous for state in states if state.previous is not None]
    if before:
        gradients = torch.empty_like(program.gradients)
        program.statistics.previous = gradients.copy_(
            torch.stack(before)[torch.tensor(program.run_of)]
        )
    return states[0].step


def _resume(run: int, state: State, program: Program, stopping: Stopping) -> None:
    """Restore the early stopping of a run whose parameters are restored."""
    stopping.lowest[run], stopping.waited[run] = state.lowest, state.waited
    stopping.best_step[run] = state.best_step
    stopping.best[run] = program.parameters[program.lane_of[run]]
    for name, view in program.layout.views(stopping.best[run : run + 1]).items():
        if state.best:
            view[0].copy_(state.best[name])
    stopping.resume(run, state.ending, state.waited)


def _check(what: str, found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    shapes = {name: (own.shape, own.dtype) for name, own in expected.items()}
    if {name: (own.shape, own.dtype) for name, own in found.items()} != shapes:
        raise DataError(
            f"the checkpoint's {what} are of another model or optimizer: "
            f"{', '.join(sorted(found))} instead of {', '.join(sorted(shapes))}, or other shapes."
        )
