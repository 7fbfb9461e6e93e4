"""States of runs between two updates, from which training continues to the bit.

They hold no state of a random generator: shuffling, dropout and initial weights are functions of
the seed, the epoch and the step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mlr.training.step import Program

Buffers = dict[str, Tensor]
MODEL, MOMENT, SNAPSHOT, BEST = "model.", "optimizer.", "snapshot.", "best."
PREVIOUS = "previous_gradient"


class Snapshot(NamedTuple):
    """A run's module after `step` updates: θ and buffers by name, on the CPU."""

    step: int
    parameters: dict[str, Tensor]
    buffers: Buffers


class LanesCopy(NamedTuple):
    """Copy of everything that updates change in n lanes: parameters and moments (n, P), buffers.

    Dense networks have no buffers, frozen parameters do not change, and only optimizers of torch
    hold more than moments.
    """

    lanes: slice
    parameters: Tensor
    moments: dict[str, Tensor]
    buffers: list[Buffers]
    held: list[dict[str, Tensor]]


def copy_lanes(program: Program, run: int | None = None) -> LanesCopy:
    """Copy the lane of a run, or all lanes."""
    lane = slice(None) if run is None else slice(program.lane_of[run], program.lane_of[run] + 1)
    moments = {name: own[lane].clone() for name, own in program.stepper.state.items()}
    buffers = [copy_buffers(module) for module in program.network.modules[lane]]
    held = program.stepper.held(range(len(program.lanes))[lane])
    return LanesCopy(lane, program.parameters[lane].clone(), moments, buffers, held)


def restore_lanes(program: Program, copy: LanesCopy) -> None:
    """Write a copy back to its lanes."""
    program.parameters[copy.lanes] = copy.parameters
    for name, own in copy.moments.items():
        program.stepper.state[name][copy.lanes] = own
    program.stepper.load(range(len(program.lanes))[copy.lanes], copy.held)
    for module, buffers in zip(program.network.modules[copy.lanes], copy.buffers, strict=True):
        load_buffers(module, buffers)


def copy_buffers(module: nn.Module) -> Buffers:
    """Copy a module's buffers, on their device, by name."""
    return {name: own.clone() for name, own in module.named_buffers()}


def load_buffers(module: nn.Module, buffers: Mapping[str, Tensor]) -> None:
    """Restore those of a module's buffers that are in `buffers`."""
    for name, own in module.named_buffers():
        if name in buffers:
            own.copy_(buffers[name])


def load_fixed(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Restore a module's buffers and frozen parameters from its state_dict."""
    load_buffers(module, state)
    for name, own in module.named_parameters():
        if not own.requires_grad and name in state:
            own.data.copy_(state[name])


def state_dict_of(program: Program, lane: int, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the module's state_dict with these parameters, with tied and frozen, and buffers."""
    if not program.network.modules:
        return parameters
    module = program.network.modules[lane]
    names = {id(value): name for name, value in module.named_parameters() if value.requires_grad}
    return {
        key: parameters[names[id(value)]] if id(value) in names else value.detach().cpu().clone()
        for key, value in module.state_dict(keep_vars=True).items()
    }


def named_parameters(program: Program, rows: Tensor) -> list[dict[str, Tensor]]:
    """Copy the parameters (n, P) of n runs to the CPU, by name."""
    views = program.layout.views(rows.cpu())
    copies = {name: copies_of(own) for name, own in views.items()}
    return [dict(zip(copies, own, strict=True)) for own in zip(*copies.values(), strict=True)]


def copies_of(values: Tensor) -> list[Tensor]:
    """Copy the entries along the first axis, each to memory of its own."""
    copies: Any = torch.unbind_copy  # whose stub returns None
    return list(copies(values.contiguous()))


class Snapshots:
    """State of each run's module after the numbers of updates in `steps`; others cost a look-up."""

    def __init__(self, program: Program, steps: Sequence[Sequence[int]]) -> None:
        self.program = program
        self.due: dict[int, list[int]] = {}
        for run, own in enumerate(steps):
            for step in own:
                self.due.setdefault(step, []).append(run)
        self.taken: list[list[tuple[int, Tensor, Buffers]]] = [[] for _ in steps]

    def take(self, step: int) -> None:
        """Copy the parameters and buffers due after `step` updates."""
        for run in self.due.get(step, ()):
            lane = self.program.lane_of[run]
            row = self.program.parameters[lane].to("cpu", copy=True).contiguous()
            self.taken[run].append((step, row, buffers_of(self.program, lane)))

    def of(self, run: int, end: int) -> tuple[Snapshot, ...]:
        """Return the snapshots of a run taken before its last update, of number `end`."""
        return tuple(
            Snapshot(step, named_parameters(self.program, row.unsqueeze(0))[0], buffers)
            for step, row, buffers in self.taken[run]
            if step < end
        )


def buffers_of(program: Program, lane: int) -> Buffers:
    """Copy the buffers of a lane's module to the CPU; none of a dense network."""
    modules = program.network.modules
    if not modules:
        return {}
    return {name: own.cpu() for name, own in copy_buffers(modules[lane]).items()}


@dataclass(frozen=True)
class Stop:
    """Time and reason of a run's end."""

    step: int
    """updates done"""
    status: str
    """done or diverged"""
    reason: str
    refused: dict[str, Any] = field(default_factory=dict)
    """of an update that would have made it diverge: its number, the first tensor that is not
    finite, the training examples of its batch"""

    @property
    def batches(self) -> int:
        """Number of batches that the run has computed."""
        return self.step + bool(self.refused)


@dataclass(frozen=True)
class State:
    """One run after `step` updates, on the CPU.

    step: updates done; if that ends an epoch, its validation is recorded.
    tensors: by their names in a checkpoint: `model.<name>` of the module's state_dict,
        `optimizer.<name>` a moment (P,), of an optimizer of torch `optimizer.<parameter>.<name>`
        of any shape, `snapshot.<step>` the parameters (P,) of that step and
        `snapshot.<step>.<name>` a buffer, `best.<name>` a parameter or buffer when the validation
        loss was lowest, unless that is now, and
        `previous_gradient` (P,) if the next step compares its own.
    lowest: lowest validation loss so far.
    waited: epochs since the last improvement.
    best_step: updates by the lowest loss.
    limit: updates after which its patience is spent; infinite if it has none.
    judged: lowest validation error so far; None where the loss is judged.
    ending: its end, if it stopped before other runs; its numbers are those it had then.
    threads: number of threads that its products are split by; None if none are.
    """

    step: int
    tensors: dict[str, Tensor]
    lowest: float = inf
    waited: int = 0
    best_step: int = 0
    limit: float = inf
    judged: float | None = None
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
    def snapshots(self) -> list[tuple[int, Tensor, Buffers]]:
        """Updates done, and parameters and buffers by then."""
        found = self.named(SNAPSHOT)
        steps = sorted((int(name), name) for name in found if "." not in name)
        return [(step, found[name], self.named(f"{SNAPSHOT}{name}.")) for step, name in steps]
