"""Patience in updates and the threshold of an improvement, against ends worked out by hand."""

import pytest
import torch

from mlr.core.checks import InputError
from mlr.models import Mlp
from mlr.records import RunFolder
from mlr.training import Adam, train
from mlr.training.background import Background
from mlr.training.checkpoint import load_checkpoint, save_checkpoint
from mlr.training.patience import Patience, patience_of
from mlr.training.step import Program
from mlr.training.stopping import Stopping
from tests.training.conftest import dataset, experiment
from tests.training.test_checkpointing import Kept

STEPS = 10
"""updates an epoch"""
# validation losses by epoch; the rule; patience in epochs; the epoch it ends with, 0 for none
BY_HAND = [
    # after 10 updates of an improvement the patience is 20: two epochs
    ([4, 5, 3], Patience(updates=5), None, 2),
    # improvements at 10 and 20 raise it to 40
    ([4, 3, 3, 3, 2], Patience(updates=5), None, 4),
    # never lower than it began
    ([4, 5, 5, 5, 5], Patience(updates=35), None, 4),
    ([4, 3, 2, 1, 0.5, 0.2], Patience(updates=5), None, 0),
    # 3.9 is not below 0.9 · 4, but 3.5 is: the patience is then 60
    ([4, 3.9, 3.5, 3.4, 3.4, 3.4, 1], Patience(updates=25, threshold=0.9), None, 6),
    # nothing is: of each loss only the one before counts, which is the lowest
    ([4, 3.9, 3.6, 3.3, 3.0], Patience(updates=25, threshold=0.9), None, 3),
    # factor 1: as long as each epoch improves
    ([4, 3, 2, 2, 1], Patience(updates=1, factor=1.0), None, 1),
    # losses below 0: −2.15 is below −2 − 0.1, and −2.05 is not
    ([-2, -2.15, -2.16, -2.17, -9], Patience(updates=25, threshold=0.95), None, 4),
    ([-2, -2.05, -2.1, -9], Patience(updates=25, threshold=0.95), None, 3),
    # the threshold holds for epochs too
    ([4, 3.9, 3.8, 1], Patience(threshold=0.9), 2, 3),
    ([4, 3.5, 3.4, 3.0, 3], Patience(threshold=0.9), 2, 0),
    # whichever is first
    ([4, 4, 4, 4], Patience(updates=35), 2, 3),
    ([4, 4, 4, 4], Patience(updates=15), 9, 2),
]


def watched(rows):
    runs = [experiment(stopping=rule, patience=epochs) for _, rule, epochs, _ in rows]
    endings = Stopping(Program(runs, Background(0)))
    for epoch in range(1, 1 + max(len(losses) for losses, *_ in rows)):
        now = [losses[min(epoch, len(losses)) - 1] for losses, *_ in rows]
        endings.watch(STEPS * epoch, torch.tensor(now, dtype=torch.float64))
        for run, (losses, *_) in enumerate(rows):
            if epoch == len(losses) and run not in endings.ended:
                endings.ended[run] = None
    return endings


@pytest.mark.parametrize("row", BY_HAND, ids=repr)
def test_a_run_ends_with_the_epoch_worked_out_by_hand(row):
    ending = watched([row]).ended[0]
    assert (ending.step if ending else 0) == STEPS * row[-1]


def test_beside_others_each_ends_by_its_own():
    endings = watched(BY_HAND)
    for run, row in enumerate(BY_HAND):
        ending = endings.ended[run]
        assert (ending.step if ending else 0) == STEPS * row[-1], row


def test_errors_are_judged_where_they_are_asked_for():
    """Losses rise all the time; the error is lower at 20 updates, and then no more."""
    runs = [
        experiment(stopping=Patience(by="error", updates=15)),
        experiment(stopping=Patience(by="loss", updates=15)),
        experiment(stopping=Patience(by="error"), patience=1),
    ]
    endings = Stopping(Program(runs, Background(0)))
    for epoch, error in enumerate([0.3, 0.2, 0.2, 0.2, 0.1], 1):
        accuracies = torch.full((3,), 1 - error, dtype=torch.float64)
        endings.watch(STEPS * epoch, torch.full((3,), float(epoch)), accuracies)
    assert {run: ending.step for run, ending in endings.ended.items()} == {0: 40, 1: 20, 2: 30}
    assert endings.ended[2].reason == (
        "stopped early: no lower validation error for patience=1 epochs"
    )
    # the best parameters are still those of the lowest loss
    assert endings.best_step.tolist() == [10, 10, 10]


def test_errors_are_of_classes():
    with pytest.raises(InputError, match=r"stopping\.by=error needs one class an example"):
        experiment(data=dataset(None), head="linear", loss="se", stopping=Patience(by="error"))


def test_the_lowest_loss_is_the_best_even_if_it_is_no_improvement():
    endings = watched([([4, 3.9, 3.8], Patience(updates=90, threshold=0.5), None, 0)])
    assert float(endings.lowest[0]) == 3.8
    assert int(endings.best_step[0]) == 30


def test_reasons_name_the_options():
    spent = watched([([4, 5, 5], Patience(updates=15), None, 2)]).ended[0]
    assert spent.reason == (
        "stopped early: the patience of 20 updates is spent, from stopping.updates=15 and "
        "each validation loss lower than before"
    )
    little = watched([([4, 3.9, 3.8], Patience(threshold=0.5), 2, 3)]).ended[0]
    assert little.reason == (
        "stopped early: no validation loss below stopping.threshold=0.5 of the lowest for "
        "patience=2 epochs"
    )


@pytest.mark.parametrize("by", ["loss", "error"])
def test_a_run_goes_on_from_a_checkpoint_with_the_patience_that_it_had(by, tmp_path):
    changes = {"model": Mlp([4], "tanh", init="torch"), "optimizer": Adam(lr=0.3)}
    rule = Patience(by=by, updates=2, factor=1.5)
    changes |= {"batch_size": 50, "epochs": 25, "stopping": rule}
    whole = Kept()
    (alone,) = train([experiment(**changes)], policy=whole.policy)
    assert 3 < alone.steps < 25
    for states in whole.states:
        if states[0].step == alone.steps:
            break
        folder = RunFolder.claim(tmp_path / str(states[0].step))
        save_checkpoint(folder, states[0], {})
        start = Kept(start=[load_checkpoint(folder.checkpoint)[0]]).policy
        (again,) = train([experiment(**changes)], policy=start)
        assert (again.steps, again.reason) == (alone.steps, alone.reason)
    more = changes | {"stopping": Patience(by=by, updates=20, factor=1.5)}
    (longer,) = train([experiment(**more)], policy=Kept(start=whole.states[-1]).policy)
    assert longer.steps >= 20


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "accuracy"}, r"Unknown stopping\.by=accuracy\. Choose from error, loss"),
        ({"updates": 0}, r"stopping\.updates=0 must be a whole number"),
        ({"factor": 0.5}, r"stopping\.factor=0\.5 must be at least 1"),
        ({"threshold": 0}, r"stopping\.threshold=0"),
        ({"threshold": 1.5}, r"stopping\.threshold=1\.5 must lie in \(0, 1\]"),
        ({"treshold": 1}, r"Unknown option stopping\.treshold\. Choose from by, updates, fac"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        patience_of(options)
    assert patience_of({}) == Patience()
