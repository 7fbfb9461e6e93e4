"""Runs that stop between two updates and go on to the bit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from mlr.core.checks import DataError
from mlr.models import Linear, Mlp
from mlr.probes import ProbeSettings
from mlr.training import SGD, Adam, train
from mlr.training.checkpointing import CheckpointPolicy, Stopped
from tests.training.conftest import dataset, experiment
from tests.training.test_no_validation import without_validation


class Noisy(nn.Module):
    """Draws random numbers, and has buffers that training changes."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(4)
        self.noise = nn.Dropout(0.5)
        self.second = nn.Linear(4, 1)

    def forward(self, x):
        return self.second(self.noise(torch.sin(self.norm(self.first(x)))))


def noisy(seed=0):
    torch.manual_seed(seed)
    return replace(experiment(optimizer=Adam(lr=0.05), seed=seed), module=Noisy().double())


PROBES = ProbeSettings(points=50, direction=True)
RUNS = {
    "lanes": lambda: [experiment(optimizer=SGD(lr=0.2, momentum=0.9), probes=PROBES)],
    "narrow": lambda: [experiment(model=Mlp(widths=[40]), optimizer=Adam(lr=0.1), probes=PROBES)],
    "module": lambda: [noisy()],
    "wide": lambda: [
        experiment(model=Mlp(widths=[512, 512]), data=dataset(count=64), batch_size=16, epochs=2)
    ],
    "part of an epoch": lambda: [experiment(steps=10, epochs=1)],
    "patience": lambda: [experiment(optimizer=SGD(lr=3.0), epochs=9, patience=1)],
    "several": lambda: [
        experiment(seed=1),
        experiment(head="clipped_linear", loss="se"),
        experiment(seed=2, optimizer=SGD(lr=0.5)),
    ],
    "several modules": lambda: [noisy(0), noisy(1)],
    "in order": lambda: [
        experiment(seed=seed, shuffle=False, drop_last=True, test_every_epoch=True)
        for seed in range(2)
    ],
    "shuffled, the last dropped": lambda: [experiment(drop_last=True, epochs=4)],
    "without validation": lambda: [experiment(data=without_validation(), epochs=4)],
}


class Kept:
    """Keeps every state in memory; stops after `stop_after` questions."""

    def __init__(self, start=None, stop_after=None, seconds=0.0):
        self.states, self.asked_times, self.stop_after = [], 0, stop_after
        self.policy = CheckpointPolicy(self.states.append, seconds, self.asked, start)

    def asked(self) -> bool:
        self.asked_times += 1
        return self.stop_after is not None and self.asked_times >= self.stop_after


def assert_equal(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert (one.status, one.steps, one.reason) == (other.status, other.steps, other.reason)
        assert repr(one.metrics) == repr(other.metrics)
        assert repr(one.anatomy) == repr(other.anatomy)
        assert (one.point, one.refused) == (other.point, other.refused)
        for mine, yours in (one.parameters, other.parameters), (one.state_dict, other.state_dict):
            assert mine.keys() == yours.keys()
            for key in mine:
                assert mine[key].equal(yours[key]), key


def assert_equal_states(kept, other):
    """The last ones, with their moments, early stopping and best parameters."""
    for mine, yours in zip(kept.states[-1], other.states[-1], strict=True):
        assert mine.tensors.keys() == yours.tensors.keys()
        assert all(mine.tensors[name].equal(yours.tensors[name]) for name in mine.tensors)
        assert replace(mine, tensors={}) == replace(yours, tensors={})


@pytest.mark.parametrize("kind", RUNS)
def test_stopped_at_any_step_it_goes_on_to_the_bit(kind):
    """In the midst of an epoch, where one ends, one update later, and at the end."""
    whole = Kept()
    undisturbed = train(RUNS[kind](), policy=whole.policy)
    stops = 0
    for after in (1, 3, 4, 5, 8, 9, 100):
        first = Kept(stop_after=after)
        try:
            train(RUNS[kind](), policy=first.policy)
        except Stopped:
            stops += 1
        second = Kept(start=first.states[-1])
        assert_equal(train(RUNS[kind](), policy=second.policy), undisturbed)
        assert_equal_states(second, whole)
    assert stops >= 3


def test_snapshots_and_the_last_gradient_go_along():
    run = RUNS["narrow"]
    steps = [[0, 2, 4, 6]]
    (undisturbed,) = train(run(), snapshots=steps)
    first = Kept(stop_after=5)
    with pytest.raises(Stopped):
        train(run(), snapshots=steps, policy=first.policy)
    assert "previous_gradient" in first.states[-1][0].tensors
    (again,) = train(run(), snapshots=steps, policy=Kept(start=first.states[-1]).policy)
    assert [one.step for one in again.snapshots] == [one.step for one in undisturbed.snapshots]
    for mine, yours in zip(again.snapshots, undisturbed.snapshots, strict=True):
        assert all(mine.parameters[name].equal(own) for name, own in yours.parameters.items())


def test_more_epochs_go_on_as_if_they_had_been_asked_for_at_once():
    first = Kept()
    train([experiment(epochs=2)], policy=first.policy)
    more = train([experiment(epochs=5)], policy=Kept(start=first.states[-1]).policy)
    assert_equal(more, train([experiment(epochs=5)]))


def test_more_steps_go_on_from_the_midst_of_an_epoch():
    first = Kept()
    train([experiment(steps=6)], policy=first.policy)
    more = train([experiment(steps=11)], policy=Kept(start=first.states[-1]).policy)
    assert_equal(more, train([experiment(steps=11)]))


def test_in_the_midst_of_an_epoch_it_is_kept_when_due(monkeypatch):
    monkeypatch.setattr("mlr.training.loop.PROGRESS_SECONDS", -1.0)
    monkeypatch.setattr("mlr.training.checkpointing.SHARE", 1e9)
    every, seldom = Kept(seconds=-1.0), Kept(seconds=1e9)
    train([experiment(steps=6)], policy=every.policy)
    train([experiment(steps=6)], policy=seldom.policy)
    assert [states[0].step for states in every.states] == [1, 2, 3, 4, 5, 6]
    assert [states[0].step for states in seldom.states] == [6]


def test_another_models_state_is_refused():
    first = Kept(stop_after=3)
    with pytest.raises(Stopped):
        train([experiment(model=Linear())], policy=first.policy)
    with pytest.raises(DataError, match="of another model or optimizer: model"):
        train([experiment(model=Mlp(widths=[4]))], policy=Kept(start=first.states[-1]).policy)
    with pytest.raises(DataError, match="of another model or optimizer: optimizer"):
        train([experiment(optimizer=Adam(lr=0.1))], policy=Kept(start=first.states[-1]).policy)


def test_checkpoints_that_take_long_are_written_less_often(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("mlr.training.checkpointing.perf_counter", lambda: now[0])

    def slow(_):
        now[0] += 2.0

    policy = CheckpointPolicy(slow, 1.0, lambda: False)
    now[0] = 1.5
    assert policy.due()
    policy.save([])
    now[0] += 100
    assert not policy.due()
    now[0] += 101
    assert policy.due()
