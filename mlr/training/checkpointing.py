"""Checkpoints of the runs of a program: when they are due, and the states in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from time import perf_counter

import torch
from torch import Tensor

from mlr.core.checks import DataError
from mlr.training.own_stepper import as_tensor
from mlr.training.patience import ERROR
from mlr.training.state import (
    BEST,
    MODEL,
    MOMENT,
    PREVIOUS,
    SNAPSHOT,
    Snapshots,
    State,
    buffers_of,
    copies_of,
    copy_buffers,
    load_fixed,
    named_parameters,
    state_dict_of,
)
from mlr.training.step import Program
from mlr.training.stopping import Stopping

SHARE = 0.01
"""Largest share of the time for writing: with slow disks or large models it is done less often."""


class Stopped(KeyboardInterrupt):
    """Training was asked to stop, and has written a checkpoint."""


class CheckpointPolicy:
    """Times, contents and writer of the checkpoints of one program.

    Args:
        write: writes the state of every run, in their callers' order.
        seconds: minimum time between two checkpoints.
        asked: tells if the program is to stop after the present step.
        start: state from which each run continues; None starts new runs.
    """

    def __init__(
        self,
        write: Callable[[Sequence[State]], None],
        seconds: float,
        asked: Callable[[], bool],
        start: Sequence[State] | None = None,
    ) -> None:
        self._write, self.seconds, self.asked = write, seconds, asked
        self.start = start
        self._saved_at, self._took = perf_counter(), 0.0

    def due(self) -> bool:
        """Tell if enough time has passed."""
        waited = perf_counter() - self._saved_at
        return waited > max(self.seconds, self._took / SHARE)

    def save(self, states: Sequence[State]) -> None:
        """Write the states."""
        began = perf_counter()
        self._write(states)
        self._saved_at = perf_counter()
        self._took = self._saved_at - began


def states_of(program: Program, step: int, stopping: Stopping, snapshots: Snapshots) -> list[State]:
    """Copy the state of every run after `step` updates."""
    buffers = [buffers_of(program, lane) for lane in program.lane_of]
    held = program.stepper.held(program.lane_of)
    rows = {"": program.parameters, **program.stepper.state}
    rows = {name: program.of_runs(own).clone() for name, own in rows.items()}
    for run, copy in stopping.frozen.items():
        for name, own in {"": copy.parameters, **copy.moments}.items():
            rows[name][run] = own[0]
        if copy.held:
            held[run] = copy.held[0]
        if copy.buffers:
            buffers[run] = {name: own.cpu() for name, own in copy.buffers[0].items()}
    models = named_parameters(program, rows.pop(""))
    if program.statistics.previous is not None:
        rows[PREVIOUS] = program.of_runs(program.statistics.previous)
    flat = {name: copies_of(own.cpu()) for name, own in rows.items()}
    ends = {run: ending.step for run, ending in stopping.ended.items()}
    best_steps, lowest = stopping.best_step.tolist(), stopping.lowest.tolist()
    waited, judged = stopping.waited.tolist(), stopping.judged.tolist()
    earlier = [run for run, at in enumerate(best_steps) if at not in (0, ends.get(run, step))]
    own_best = named_parameters(program, stopping.best[earlier]) if earlier else []
    best = dict(zip(earlier, own_best, strict=True))
    threads = program.busy if program.all_threads else None
    found = []
    for run, lane in enumerate(program.lane_of):
        model = state_dict_of(program, lane, models[run])
        # a buffer that is not persistent is not in the state_dict
        model |= {name: own for name, own in buffers[run].items() if name in model}
        tensors = {MODEL + name: own for name, own in model.items()}
        tensors |= {
            name if name == PREVIOUS else MOMENT + name: own[run] for name, own in flat.items()
        }
        if held:
            tensors |= {MOMENT + name: own for name, own in held[run].items()}
        for at, row, then in snapshots.taken[run]:
            tensors[f"{SNAPSHOT}{at}"] = row
            tensors |= {f"{SNAPSHOT}{at}.{name}": own for name, own in then.items()}
        if run in best:
            then = {n: own.cpu() for n, own in stopping.best_buffers[run].items() if n in model}
            tensors |= {BEST + name: own for name, own in (best[run] | then).items()}
        ending = stopping.ended.get(run)
        found.append(
            State(
                step,
                tensors,
                lowest[run],
                waited[run],
                best_steps[run],
                stopping.limits[run],
                judged[run] if stopping.rules[run].by == ERROR else None,
                ending,
                threads,
            )
        )
    return found


def restore(
    states: Sequence[State], program: Program, stopping: Stopping, snapshots: Snapshots
) -> int:
    """Restore every run of a new program; returns the updates done.

    Raises:
        DataError: a state is of another model or optimizer.
    """
    flat = program.stepper.state.keys()
    for run, (lane, state) in enumerate(zip(program.lane_of, states, strict=True)):
        views = program.layout.views(program.parameters[lane : lane + 1])
        own = {name: view[0] for name, view in views.items()}
        model, best = state.state_dict, state.named(BEST)
        _check_shapes(program, lane, state, own)
        for name, parameter in own.items():
            parameter.copy_(model[name])
        for name, moment in program.stepper.state.items():
            moment[lane] = state.tensors[MOMENT + name]
        moments = state.named(MOMENT)
        program.stepper.load([lane], [{name: moments[name] for name in moments.keys() - flat}])
        for module in program.network.modules[lane : lane + 1]:
            load_fixed(module, model)
            stopping.best_buffers[run] = copy_buffers(module) | {
                name: best[name].to(like.device)
                for name, like in module.named_buffers()
                if name in best
            }
        stopping.lowest[run], stopping.waited[run] = state.lowest, state.waited
        stopping.best_step[run] = state.best_step
        if stopping.rules[run].by == ERROR:
            stopping.judged[run] = inf if state.judged is None else state.judged
        else:
            stopping.judged[run] = state.lowest
        stopping.best[run] = program.parameters[lane]
        for name, view in program.layout.views(stopping.best[run : run + 1]).items():
            view[0].copy_(best.get(name, view[0]))
        stopping.resume(run, state.ending, state.waited, state.limit)
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
    expected = {MODEL + name: like for name, like in state_dict_of(program, lane, own).items()}
    expected |= {MOMENT + name: row for name in program.stepper.state}
    if state.named(MOMENT):  # an optimizer of torch remembers nothing before its first update
        for name, value in program.stepper.remembered.items():
            expected[MOMENT + name] = as_tensor(value)
    held = buffers_of(program, lane)
    if PREVIOUS in state.tensors:
        expected[PREVIOUS] = row
    for name in state.named(SNAPSHOT):
        _, _, buffer = name.partition(".")
        if not buffer or buffer in held:
            expected[SNAPSHOT + name] = held[buffer] if buffer else row
    if best := state.named(BEST):
        # checkpoints of older versions have no buffers here
        held = {name: like for name, like in held.items() if name in best}
        expected |= {BEST + name: like for name, like in (own | held).items()}
    wanted, given = (
        {(name, one.shape, one.dtype) for name, one in tensors.items()}
        for tensors in (expected, state.tensors)
    )
    if wanted != given:
        names = sorted({name for name, *_ in wanted ^ given})
        raise DataError(
            f"the checkpoint is of another model or optimizer: {', '.join(names)} do not fit."
        )
