"""States of runs between two updates, from which training continues to the bit.

They hold no state of a random generator: shuffling, dropout and initial weights are functions of
the seed, the epoch and the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from mlr.core.checks import DataError
from mlr.training.step import Kind, Program

if TYPE_CHECKING:
    from mlr.training.stopping import Stop, Stopping

Snapshot = tuple[int, dict[str, Tensor]]
"""Updates done, and θ by name, on the CPU."""
MODEL, MOMENT, SNAPSHOT, BEST = "model.", "optimizer.", "snapshot.", "best."
PREVIOUS = "previous_gradient"


class LanesCopy(NamedTuple):
    """Copy of everything that updates change in n lanes of a program."""

    lanes: slice
    parameters: Tensor
    """(n, P)"""
    moments: dict[str, Tensor]
    """of the optimizer, each (n, P)"""
    buffers: list[dict[str, Tensor]]
    """of each lane's module; empty for dense networks, which have none"""


def copy_lanes(program: Program, run: int | None = None) -> LanesCopy:
    """Copy the lane of a run, or all lanes."""
    lane = slice(None) if run is None else slice(program.lane_of[run], program.lane_of[run] + 1)
    moments = {name: own[lane].clone() for name, own in program.stepper.state.items()}
    buffers = [program.network.buffers(number) for number in _with_buffers(program, lane)]
    return LanesCopy(lane, program.parameters[lane].clone(), moments, buffers)


def restore_lanes(program: Program, copy: LanesCopy) -> None:
    """Write a copy back to its lanes."""
    program.parameters[copy.lanes] = copy.parameters
    for name, own in copy.moments.items():
        program.stepper.state[name][copy.lanes] = own
    for number, buffers in zip(_with_buffers(program, copy.lanes), copy.buffers, strict=True):
        program.network.load_buffers(number, buffers)


def _with_buffers(program: Program, lanes: slice) -> range:
    """Select the lanes whose networks can have buffers."""
    every = range(len(program.lanes))
    return every[lanes] if program.kind is Kind.MODULE else range(0)


def named_parameters(program: Program, row: Tensor) -> dict[str, Tensor]:
    """Copy a run's parameters (P,) to the CPU, by name."""
    views = program.layout.views(row.cpu().unsqueeze(0))
    return {name: own[0].contiguous().clone() for name, own in views.items()}


class Snapshots:
    """Parameters of single runs at requested steps; other steps cost a look-up.

    Args:
        program: with the runs.
        steps: for each run, numbers of updates after which its parameters are copied.
    """

    def __init__(self, program: Program, steps: Sequence[Sequence[int]]) -> None:
        self.program = program
        self.due: dict[int, list[int]] = {}
        for run, own in enumerate(steps):
            for step in own:
                self.due.setdefault(step, []).append(run)
        self.taken: list[list[tuple[int, Tensor]]] = [[] for _ in steps]

    def take(self, step: int) -> None:
        """Copy the parameters due after `step` updates."""
        for run in self.due.get(step, ()):
            row = self.program.parameters[self.program.lane_of[run]]
            self.taken[run].append((step, row.to("cpu", copy=True).contiguous()))

    def of(self, run: int, end: int) -> tuple[Snapshot, ...]:
        """Return the snapshots of a run taken before its last update, of number `end`."""
        taken = self.taken[run]
        return tuple(
            (step, named_parameters(self.program, row)) for step, row in taken if step < end
        )


@dataclass(frozen=True)
class State:
    """One run after `step` updates, on the CPU.

    step: updates done; if that ends an epoch, its validation is recorded.
    tensors: by their names in a checkpoint: `model.<name>` of the module's state_dict,
        `optimizer.<name>` a moment (P,), `snapshot.<step>` the parameters (P,) of that step,
        `best.<name>` a parameter when the validation loss was lowest, unless that is now, and
        `previous_gradient` (P,) if the next step compares its own.
    lowest: lowest validation loss so far.
    waited: epochs since then.
    best_step: updates by then.
    ending: its end, if it stopped before other runs; its numbers are those it had then.
    threads: number of threads that its products are split by; None if none are.
    """

    step: int
    tensors: dict[str, Tensor]
    lowest: float = inf
    waited: int = 0
    best_step: int = 0
    ending: Stop | None = None
    threads: int | None = None

    def named(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors whose names begin with `prefix`, without it."""
        return {
            name.removeprefix(prefix): own
            for name, own in self.tensors.items()
            if name.startswith(prefix)
        }

    @property
    def state_dict(self) -> dict[str, Tensor]:
        """The module's state_dict."""
        return self.named(MODEL)

    @property
    def snapshots(self) -> list[tuple[int, Tensor]]:
        """Updates done, and parameters by then."""
        return sorted((int(step), row) for step, row in self.named(SNAPSHOT).items())


def states_of(program: Program, step: int, stopping: Stopping, snapshots: Snapshots) -> list[State]:
    """Copy the state of every run after `step` updates."""
    previous = program.statistics.previous
    if previous is not None:
        previous = program.of_runs(previous).cpu().contiguous()
    best, best_steps = stopping.best.cpu(), stopping.best_step.tolist()
    lowest, waited = stopping.lowest.tolist(), stopping.waited.tolist()
    found = []
    for run, lane in enumerate(program.lane_of):
        ending = stopping.ended.get(run)
        copy = stopping.frozen.get(run) or copy_lanes(program, run)
        model = program.network.state_dict(lane, named_parameters(program, copy.parameters[0]))
        for buffers in copy.buffers:
            model |= {name: own.cpu() for name, own in buffers.items()}
        tensors = {MODEL + name: own for name, own in model.items()}
        tensors |= {MOMENT + name: own[0].cpu() for name, own in copy.moments.items()}
        tensors |= {f"{SNAPSHOT}{at}": row for at, row in snapshots.taken[run]}
        if best_steps[run] not in (0, step if ending is None else ending.step):
            own_best = named_parameters(program, best[run])
            tensors |= {BEST + name: own for name, own in own_best.items()}
        if previous is not None:
            tensors[PREVIOUS] = previous[run].clone()
        threads = program.busy if program.all_threads else None
        found.append(
            State(step, tensors, lowest[run], waited[run], best_steps[run], ending, threads)
        )
    return found


def restore(
    states: Sequence[State], program: Program, stopping: Stopping, snapshots: Snapshots
) -> int:
    """Restore every run of a new program; returns the updates done.

    Raises:
        DataError: a state is of another model or optimizer.
    """
    for run, (lane, state) in enumerate(zip(program.lane_of, states, strict=True)):
        views = program.layout.views(program.parameters[lane : lane + 1])
        own = {name: view[0] for name, view in views.items()}
        model, best = state.state_dict, state.named(BEST)
        _check_shapes(program, lane, state, own)
        for name, parameter in own.items():
            parameter.copy_(model[name])
        for name, moment in program.stepper.state.items():
            moment[lane] = state.tensors[MOMENT + name]
        program.network.load_buffers(lane, model)
        stopping.lowest[run], stopping.waited[run] = state.lowest, state.waited
        stopping.best_step[run] = state.best_step
        stopping.best[run] = program.parameters[lane]
        for name, view in program.layout.views(stopping.best[run : run + 1]).items():
            view[0].copy_(best.get(name, view[0]))
        stopping.resume(run, state.ending, state.waited)
        snapshots.taken[run] = state.snapshots
    # spare lanes are those of the runs that they repeat
    lanes = torch.tensor(
        [program.lane_of[run] for run in program.run_of], device=program.parameters.device
    )
    for tensor in (program.parameters, *program.stepper.state.values()):
        tensor.copy_(tensor[lanes])
    before = [state.tensors[PREVIOUS] for state in states if PREVIOUS in state.tensors]
    if before:
        gradients = torch.empty_like(program.gradients)
        program.statistics.previous = gradients.copy_(
            torch.stack(before)[torch.tensor(program.run_of)]
        )
    return states[0].step


def _check_shapes(program: Program, lane: int, state: State, own: dict[str, Tensor]) -> None:
    """Check the names, shapes and types of a state's tensors, given parameters of a lane."""
    row = program.parameters[lane]
    expected = {MODEL + name: like for name, like in program.network.state_dict(lane, own).items()}
    expected |= {MOMENT + name: row for name in program.stepper.state}
    for name in state.tensors:
        if name == PREVIOUS or name.startswith(SNAPSHOT):
            expected[name] = row
    if state.named(BEST):
        expected |= {BEST + name: like for name, like in own.items()}
    wanted, given = (
        {(name, one.shape, one.dtype) for name, one in tensors.items()}
        for tensors in (expected, state.tensors)
    )
    if wanted != given:
        names = sorted({name for name, *_ in wanted ^ given})
        raise DataError(
            f"the checkpoint is of another model or optimizer: {', '.join(names)} do not fit."
        )
