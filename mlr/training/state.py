"""What one run is between two updates: all that is needed to go on to the bit.

No generator's state is among it: orders, noise and initial weights are functions of the seed,
the epoch and the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

import torch
from torch import Tensor

from mlr.core.checks import DataError
from mlr.training.endings import Ending, Endings
from mlr.training.rows import Row
from mlr.training.snapshots import Snapshots
from mlr.training.step import Program


@dataclass(frozen=True)
class State:
    """One run after `step` updates, on the CPU.

    step: updates done; where that ends an epoch, its validation is recorded.
    state_dict: of its module.
    moments: of the optimizer, by name (P,).
    previous: the gradient of the last update (P,), where the next step compares its own.
    snapshots: updates done and parameters by then (P,).
    lowest: validation loss so far.
    waited: epochs since.
    best_step: updates by then.
    best: parameters by then, by name; none where they are those of the module.
    ending: how it ended before its siblings; its numbers are those it had then.
    threads: that round its products; None where their number rounds nothing.
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
    ending: Ending | None = None
    threads: int | None = None


def states_of(
    program: Program, step: int, endings: Endings, snapshots: Snapshots
) -> Sequence[State]:
    """Of every run, after `step` updates."""
    now = program.of_runs(program.parameters).cpu().contiguous()
    moments = {
        name: program.of_runs(own).cpu().contiguous() for name, own in program.stepper.state.items()
    }
    previous = program.capture.previous
    if previous is not None:
        previous = program.of_runs(previous).cpu().contiguous()
    best = endings.best.cpu()
    lowest, waited = endings.lowest.tolist(), endings.waited.tolist()
    best_steps = endings.best_step.tolist()
    found = []
    for run, lane in enumerate(program.lane_of):
        row, ending = endings.kept.get(run), endings.ended.get(run)
        own = Row(now[run], {name: rows[run] for name, rows in moments.items()}, {})
        own = own if row is None else row
        parameters = named(program, own.parameters)
        buffers = {} if row is None else row.buffers
        done = step if ending is None else ending.step
        found.append(
            State(
                step=step,
                state_dict=program.network.state_dict(lane, parameters) | _cpu(buffers),
                moments=_cpu(own.moments),
                previous=None if previous is None else previous[run].clone(),
                snapshots=list(snapshots.kept[run]),
                lowest=lowest[run],
                waited=waited[run],
                best_step=best_steps[run],
                best={} if best_steps[run] in (0, done) else named(program, best[run]),
                ending=ending,
                threads=program.busy if program.all_threads else None,
            )
        )
    return found


def named(program: Program, row: Tensor) -> dict[str, Tensor]:
    """Copies of a run's parameters (P,), by name, on the CPU."""
    views = program.layout.views(row.cpu().unsqueeze(0))
    return {name: own[0].contiguous().clone() for name, own in views.items()}


def _cpu(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: own.to("cpu", copy=True) for name, own in tensors.items()}


def restore(
    states: Sequence[State], program: Program, endings: Endings, snapshots: Snapshots
) -> int:
    """Put every run, freshly made, into its state; returns the updates done.

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
        _take_up(run, state, program, endings)
        snapshots.kept[run] = list(state.snapshots)
    # spare lanes are those of the runs that they repeat
    lanes = torch.tensor(
        [program.lane_of[run] for run in program.run_of], device=program.parameters.device
    )
    for tensor in (program.parameters, *program.stepper.state.values()):
        tensor.copy_(tensor[lanes])
    before = [state.previous for state in states if state.previous is not None]
    if before:
        gradients = torch.empty_like(program.gradients)
        program.capture.previous = gradients.copy_(
            torch.stack(before)[torch.tensor(program.run_of)]
        )
    return states[0].step


def _take_up(run: int, state: State, program: Program, endings: Endings) -> None:
    """Let `endings` know of a run that is in its place what they knew of it."""
    endings.lowest[run], endings.waited[run] = state.lowest, state.waited
    endings.best_step[run] = state.best_step
    endings.best[run] = program.parameters[program.lane_of[run]]
    for name, view in program.layout.views(endings.best[run : run + 1]).items():
        if state.best:
            view[0].copy_(state.best[name])
    endings.take_up(run, state.ending, state.waited)


def _check(what: str, found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    shapes = {name: (own.shape, own.dtype) for name, own in expected.items()}
    if {name: (own.shape, own.dtype) for name, own in found.items()} != shapes:
        raise DataError(
            f"the checkpoint's {what} are of another model or optimizer: "
            f"{', '.join(sorted(found))} instead of {', '.join(sorted(shapes))}, or other shapes."
        )
