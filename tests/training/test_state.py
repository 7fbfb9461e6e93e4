"""States of runs between two updates, written down by hand, and taken up again."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan

import pytest
import torch

from mlr.core.checks import DataError
from mlr.models import Linear, Mlp
from mlr.training import SGD, Adam, train
from mlr.training.background import Background
from mlr.training.checkpointing import restore, states_of
from mlr.training.state import Snapshots, Stop, copy_lanes
from mlr.training.step import Program
from mlr.training.stopping import Stopping
from tests.training.conftest import dataset, experiment


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
    assert [values(one.named("optimizer.")) for one in states] == [{-4}, {-108}, {-208}, {-304}]
    assert [one.lowest for one in states] == [inf, 3, 2, 3]
    assert [one.waited for one in states] == [2, 1, 0, 1]
    assert [one.best_step for one in states] == [0, 4, 8, 4]
    # none before the first, and none where the module has them
    assert [values(one.named("best.")) for one in states] == [set(), {104}, set(), set()]
    assert [one.ending and (one.ending.step, one.ending.status) for one in states] == [
        *((4, "diverged"), None, None, (4, "diverged"))
    ]
    assert [[(at, set(row.tolist())) for at, row, _ in one.snapshots] for one in states] == [
        *([], [], [(2, {202})], [])
    ]
    assert {one.threads for one in states} == {None}
    assert not any("previous_gradient" in one.tensors for one in states)


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
        assert values(one.named("best.")) == values(other.named("best."))
        assert one.ending == other.ending


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("snapshot.2", torch.ones(3, dtype=torch.float64)),
        ("previous_gradient", torch.ones(4)),
        ("best.output.weight", torch.ones(1, 3, dtype=torch.float64)),
        ("optimizer.mean", None),
        ("model.output.weight", None),
        ("model.more", torch.ones(4)),
    ],
)
def test_tensors_of_another_run_are_refused(states, name, tensor):
    tensors = {**states[3].tensors, name: tensor}
    if tensor is None:
        del tensors[name]
    wrong = [*states[:3], replace(states[3], tensors=tensors)]
    with pytest.raises(DataError, match=r"of another model or optimizer: .* do not fit"):
        restore(wrong, *begun())


def ended(steps, **changes):
    (result,) = train([experiment(steps=steps, **changes)])
    return result.parameters


def same(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(value, second[name]) for name, value in first.items()
    )


def test_a_snapshot_is_where_a_shorter_run_ends():
    kinds = [
        {"model": Linear()},
        {"model": Mlp(widths=[40]), "data": dataset(3), "head": "softmax"},
    ]
    for kind in kinds:
        loss = {"loss": "ce"} if "head" in kind else {}
        one = experiment(steps=9, **kind, **loss)
        (result,) = train([one], snapshots=[(0, 4)])
        assert [taken.step for taken in result.snapshots] == [0, 4]
        start, middle = (taken.parameters for taken in result.snapshots)
        initial = {name: value.detach() for name, value in one.module.named_parameters()}
        assert same(start, initial)
        assert same(middle, ended(4, **kind, **loss))


def test_each_run_has_its_own_whatever_the_order_of_the_objectives():
    runs = [
        experiment(loss=loss, seed=seed, steps=5)
        for seed, loss in enumerate(("bce", "se", "bce", "se"))
    ]
    results = train(runs, snapshots=[(2,), (), (1, 3), (2,)])
    assert [[taken.step for taken in one.snapshots] for one in results] == [[2], [], [1, 3], [2]]
    for run, steps, loss in ((0, 2, "bce"), (2, 3, "bce"), (3, 2, "se")):
        (found,) = [one.parameters for one in results[run].snapshots if one.step == steps]
        assert same(found, ended(steps, loss=loss, seed=run))


def test_parameters_of_a_run_have_memory_of_their_own():
    """So that a file of one run of a sweep holds its parameters and no others."""
    results = train([experiment(seed=seed, steps=3) for seed in range(3)])
    every = [own for result in results for own in result.parameters.values()]
    assert len({own.untyped_storage().data_ptr() for own in every}) == len(every)
    assert all(own.untyped_storage().nbytes() == own.nbytes for own in every)


def test_nothing_is_kept_of_what_comes_after_a_runs_end():
    patient = experiment(steps=40, patience=1, optimizer=SGD(lr=50.0))
    (result,) = train([patient], snapshots=[(0, 39)])
    assert result.steps < 39
    assert [taken.step for taken in result.snapshots] == [0]


def test_without_being_asked_nothing_is_kept():
    (result,) = train([experiment(steps=3)])
    assert result.snapshots == ()
