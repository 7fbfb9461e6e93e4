"""Parameters kept during a training are those of a training that ended there."""

import torch

from mlr.models import Linear, Mlp
from mlr.training import SGD, train
from tests.training.conftest import dataset, experiment


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
        assert [step for step, _ in result.snapshots] == [0, 4]
        (_, start), (_, middle) = result.snapshots
        initial = {name: value.detach() for name, value in one.module.named_parameters()}
        assert same(start, initial)
        assert same(middle, ended(4, **kind, **loss))


def test_each_run_has_its_own_whatever_the_order_of_the_objectives():
    runs = [
        experiment(loss=loss, seed=seed, steps=5)
        for seed, loss in enumerate(("bce", "se", "bce", "se"))
    ]
    results = train(runs, snapshots=[(2,), (), (1, 3), (2,)])
    assert [[step for step, _ in one.snapshots] for one in results] == [[2], [], [1, 3], [2]]
    for run, steps, loss in ((0, 2, "bce"), (2, 3, "bce"), (3, 2, "se")):
        found = dict(results[run].snapshots)[steps]
        assert same(found, ended(steps, loss=loss, seed=run))


def test_nothing_is_kept_of_what_comes_after_a_runs_end():
    patient = experiment(steps=40, patience=1, optimizer=SGD(lr=50.0))
    (result,) = train([patient], snapshots=[(0, 39)])
    assert result.steps < 39
    assert [step for step, _ in result.snapshots] == [0]


def test_without_being_asked_nothing_is_kept():
    (result,) = train([experiment(steps=3)])
    assert result.snapshots == ()
