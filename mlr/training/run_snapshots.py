"""Copies of runs in memory: of everything an update changes, and of parameters at given steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from mlr.training.network import Kind
from mlr.training.step import Program

Snapshot = tuple[int, dict[str, Tensor]]
"""Updates done, and θ by name, on the CPU."""


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
        """Return the snapshots of a run taken before it stopped.

        Args:
            run: its number in the program.
            end: number of updates of its final parameters.
        """
        return tuple(
            (step, named_parameters(self.program, row))
            for step, row in self.taken[run]
            if step < end
        )
