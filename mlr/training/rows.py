"""Copies of what runs are between two updates, to put them back there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from mlr.training.network import Kind

if TYPE_CHECKING:
    from mlr.training.step import Program


class Row(NamedTuple):
    """What one run is, copied."""

    parameters: Tensor
    """(P,)"""
    moments: dict[str, Tensor]
    """of the optimizer, each (P,)"""
    buffers: dict[str, Tensor]
    """of the module"""


class Whole(NamedTuple):
    """What all lanes are, copied."""

    parameters: Tensor
    """(L, P)"""
    moments: dict[str, Tensor]
    """each (L, P)"""
    buffers: list[dict[str, Tensor]]


def row_of(program: Program, run: int) -> Row:
    """What a run is now."""
    lane = program.lane_of[run]
    moments = {name: own[lane].clone() for name, own in program.stepper.state.items()}
    return Row(program.parameters[lane].clone(), moments, program.network.buffers(lane))


def put(program: Program, run: int, row: Row) -> None:
    """Make a run what it was."""
    lane = program.lane_of[run]
    program.parameters[lane] = row.parameters
    for name, own in row.moments.items():
        program.stepper.state[name][lane] = own
    program.network.load_buffers(lane, row.buffers)


def whole_of(program: Program) -> Whole:
    """What all lanes are now."""
    moments = {name: own.clone() for name, own in program.stepper.state.items()}
    # of dense layers there are none, and lanes are many
    lanes = range(len(program.lanes)) if program.kind is Kind.MODULE else ()
    buffers = [program.network.buffers(lane) for lane in lanes]
    return Whole(program.parameters.clone(), moments, buffers)


def put_whole(program: Program, whole: Whole) -> None:
    """Make all lanes what they were."""
    program.parameters.copy_(whole.parameters)
    for name, own in whole.moments.items():
        program.stepper.state[name].copy_(own)
    for lane, buffers in enumerate(whole.buffers):
        program.network.load_buffers(lane, buffers)
