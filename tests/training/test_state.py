"""States of runs between two updates, written down by hand, and taken up again."""

from __future__ import annotations

from math import inf, nan

import pytest
import torch

from mlr.core.checks import DataError
from mlr.training import Adam
from mlr.training.background import Background
from mlr.training.run_snapshots import Snapshots, copy_lanes
from mlr.training.state import restore, states_of
from mlr.training.step import Program
from mlr.training.stopping import Stop, Stopping
from tests.training.conftest import experiment


def begun():
    """A program of four runs, nothing done."""
    runs = [experiment(seed=seed, optimizer=Adam(lr=0.1), patience=9) for seed in range(4)]
    program = Program(runs, Background(0))
    stopping = Stopping(program)
    return program, stopping, Snapshots(program, [(), (), (2,), ()])


def become(program, number):
    """All parameters and moments of the runs, each with 100 times its number more."""
    for run, lane in enumerate(program.lane_of):
        program.parameters[lane] = number + 100 * run
        for moment in program.stepper.state.values():
            moment[lane] = -number - 100 * run


@pytest.fixture
def states():
    """After 8 updates: one ended without any validation loss, one at its best after 4."""
    program, stopping, snapshots = begun()
    become(program, 2)
    snapshots.take(2)
    become(program, 4)
    stopping.watch(4, torch.tensor([nan, 3.0, 3.0, 3.0]))
    stopping.end(3, Stop(4, "diverged", "why"), copy_lanes(program, 3))
    become(program, 8)
    stopping.watch(8, torch.tensor([0.0, 3.5, 2.0, 1.0]))
    return states_of(program, 8, stopping, snapshots)


def values(tensors):
    """The one number in all of them; none for no tensors."""
    return {number for own in tensors.values() for number in own.flatten().tolist()}


def test_each_run_has_what_it_was_when_it_ended_or_is(states):
    assert [one.step for one in states] == [8] * 4
    assert [values(one.state_dict) for one in states] == [{4}, {108}, {208}, {304}]
    assert [values(one.moments) for one in states] == [{-4}, {-108}, {-208}, {-304}]
    assert [one.lowest for one in states] == [inf, 3, 2, 3]
    assert [one.waited for one in states] == [2, 1, 0, 1]
    assert [one.best_step for one in states] == [0, 4, 8, 4]
    # none before the first, and none where the module has them
    assert [values(one.best) for one in states] == [set(), {104}, set(), set()]
    assert [one.ending and (one.ending.step, one.ending.status) for one in states] == [
        *((4, "diverged"), None, None, (4, "diverged"))
    ]
    assert [[(at, set(row.tolist())) for at, row in one.snapshots] for one in states] == [
        *([], [], [(2, {202})], [])
    ]
    assert {one.threads for one in states} == {None}
    assert {one.previous for one in states} == {None}


def test_a_fresh_program_takes_them_up(states):
    program, stopping, snapshots = begun()
    assert restore(states, program, stopping, snapshots) == 8
    rows = [program.parameters[lane].unique().tolist() for lane in program.lane_of]
    assert rows == [[4], [108], [208], [304]]
    for moment in program.stepper.state.values():
        assert [moment[lane].unique().item() for lane in program.lane_of] == [-4, -108, -208, -304]
    assert stopping.lowest.tolist() == [inf, 3, 2, 3]
    assert stopping.waited.tolist() == [2, 1, 0, 1]
    assert stopping.best_step.tolist() == [0, 4, 8, 4]
    assert [row.unique().item() for row in stopping.best] == [4, 104, 208, 304]
    assert {run: one.reason for run, one in stopping.ended.items() if run == 3} == {3: "why"}
    assert stopping.ended.keys() == {0, 3}
    assert [len(own) for own in snapshots.taken] == [0, 0, 1, 0]
    # and is what it was
    again = states_of(program, 8, stopping, snapshots)
    for one, other in zip(again, states, strict=True):
        assert (one.lowest, one.waited, one.best_step) == (
            other.lowest,
            other.waited,
            other.best_step,
        )
        assert values(one.state_dict) == values(other.state_dict)
        assert values(one.best) == values(other.best)
        assert one.ending == other.ending


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"snapshots": [(2, torch.ones(3, dtype=torch.float64))]}, "snapshots"),
        ({"previous": torch.ones(4)}, "snapshots"),
        ({"best": {"output.weight": torch.ones(1, 3, dtype=torch.float64)}}, "best parameters"),
        ({"moments": {}}, "moments"),
        ({"state_dict": {}}, "parameters"),
    ],
)
def test_tensors_of_another_run_are_refused(states, change, told):
    wrong = [*states[:3], type(states[3])(**vars(states[3]) | change)]
    with pytest.raises(DataError, match=f"the checkpoint's {told} are of another model"):
        restore(wrong, *begun())
