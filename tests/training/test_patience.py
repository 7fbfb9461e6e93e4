"""Early stopping and the best epoch, against losses and ends written down by hand."""

from __future__ import annotations

import csv
import math

import pytest
import torch
from torch import nn

from mlr.models import Mlp
from mlr.records import Recorder, RunFolder
from mlr.records.recorder import RunEnd, finish_all
from mlr.training import Adam, train
from mlr.training.background import Background
from mlr.training.log import run_tags
from mlr.training.step import Program
from mlr.training.stopping import Stopping
from tests.training.conftest import experiment
from tests.training.test_checkpointing import Kept

BELOW = math.nextafter(1.0, 0.0)
# validation losses epoch by epoch; patience; the epoch it ends with, 0 for none; the best epoch
BY_HAND = [
    ([3, 2, 1, 1, 1, 0], 2, 5, 3),  # an equal loss is no lower one
    ([1, 1, 0], 1, 2, 1),
    ([1, 2, 0], 1, 2, 1),
    ([2, 1, 3, 4, 5, 0], 3, 5, 2),
    ([1, 2, 0.5, 0.6, 0.7, 0], 2, 5, 3),  # counted anew from the lowest
    ([1, 2, 2, 0, 1], 3, 0, 4),  # lower in the last epoch that it waits for
    ([1, 2, 1.5, 1.2], 2, 3, 1),  # lower than the one before, and not than all
    ([1, 1, BELOW, 1], 2, 0, 3),  # any lower loss is lower
    ([5, 4, 3, 2, 1], 1, 0, 5),
    ([1, 2, 3, 4, 5], 5, 0, 1),
    ([1, 2, 3, 4, 5, 6], 5, 6, 1),
    ([1, 2, 2, 0.5, 0.5], None, 0, 4),
    ([1, math.nan, 0], 9, 2, 1),
    ([1, math.inf, 0], 9, 2, 1),
    ([math.nan, 0], None, 1, 0),
    ([math.inf, 0], 1, 1, 0),
]
STEPS = 4
"""updates an epoch"""


def watched(rows):
    """Stopping of runs that lose so much, with parameters equal to the number of the epoch."""
    runs = [experiment(patience=patience, seed=seed) for seed, (_, patience) in enumerate(rows)]
    program = Program(runs, Background(0))
    endings = Stopping(program)
    for epoch in range(1, 1 + max(len(losses) for losses, _ in rows)):
        program.parameters.fill_(epoch)
        # a run whose numbers are all written down goes on as it did
        now = [losses[min(epoch, len(losses)) - 1] for losses, _ in rows]
        endings.watch(STEPS * epoch, torch.tensor(now, dtype=torch.float64))
    return endings


def assert_ended(endings, run, losses, patience, end, best):
    assert int(endings.best_step[run]) == STEPS * best
    if best:
        assert set(endings.best[run].tolist()) == {best}
        assert float(endings.lowest[run]) == losses[best - 1]
    if not end:
        assert run not in endings.ended
        return
    ending = endings.ended[run]
    assert ending.step == STEPS * end
    assert set(endings.frozen[run].parameters.flatten().tolist()) == {end}
    if math.isfinite(losses[end - 1]):
        told = f"stopped early: no lower validation loss for patience={patience} epochs"
        assert (ending.status, ending.reason) == ("done", told)
    else:
        told = f"the validation loss is not finite after {STEPS * end} updates; "
        assert ending.status == "diverged"
        assert ending.reason == told + "try a smaller optimizer.lr"


@pytest.mark.parametrize("row", BY_HAND, ids=repr)
def test_a_run_ends_with_the_epoch_worked_out_by_hand(row):
    losses, patience, *_ = row
    assert_ended(watched([(losses, patience)]), 0, *row)


def test_beside_others_each_ends_by_its_own():
    rows = [row for row in BY_HAND if row[2]]
    endings = watched([row[:2] for row in rows])
    for run, row in enumerate(rows):
        assert_ended(endings, run, *row)
    assert endings.all_over
    assert not watched([row[:2] for row in BY_HAND]).all_over


def test_a_loss_that_never_was_finite_is_not_the_rates_doing():
    program = Program([experiment(seed=seed) for seed in range(2)], Background(0))
    endings = Stopping(program)
    endings.begun_finite = [True, False]
    endings.watch(STEPS, torch.tensor([math.nan, math.nan]))
    assert endings.ended[0].reason.endswith("; try a smaller optimizer.lr")
    assert endings.ended[1].reason.endswith(
        "; it was so before any update: look at the model and the loss"
    )


@pytest.mark.parametrize(("patience", "steps"), [(1, 10), (2, 11), (4, 19)])
def test_a_run_that_ended_goes_on_with_more_patience_alone(patience, steps):
    changes = {"model": Mlp([4], "tanh", init="torch"), "optimizer": Adam(lr=0.3)}
    changes |= {"batch_size": 50, "epochs": 25}
    ended = Kept()
    train([experiment(patience=2, **changes)], policy=ended.policy)
    assert ended.states[-1][0].waited == 2
    start = Kept(start=ended.states[-1]).policy
    (again,) = train([experiment(patience=patience, **changes)], policy=start)
    # what ended with two epochs of patience has ended with one
    assert again.steps == max(steps, 11)


def by_rule(losses, patience):
    """The epoch it ends with, and the best one, as the rule is told."""
    lowest, best = math.inf, 0
    for epoch, loss in enumerate(losses, 1):
        if loss < lowest:
            lowest, best = loss, epoch
        if epoch - best == patience:
            return epoch, best
    return len(losses), best


def test_the_recorded_losses_tell_where_it_ended(tmp_path):
    """metrics.csv of a run without patience says where those with it end, and which was best."""
    changes = {"model": Mlp([4], "tanh", init="torch"), "optimizer": Adam(lr=0.3)}
    patiences = (None, 1, 2, 4)
    runs = [experiment(batch_size=50, epochs=25, patience=own, **changes) for own in patiences]
    recorder = Recorder(RunFolder.claim(tmp_path / "whole"), run_tags(runs[0]), {})
    ends = [(10, 9), (11, 9), (19, 15)]
    asked = [range(25), *ends]
    kept, recorders = Kept(), [recorder, None, None, None]
    whole, *stopped = train(runs, recorders, snapshots=asked, policy=kept.policy)
    finish_all([recorder], [RunEnd("done", whole.metrics, at=whole.point)])
    with recorder.folder.metrics.open(newline="", encoding="utf-8") as file:
        losses = [float(row["loss/val"]) for row in csv.DictReader(file) if row["loss/val"]]
    assert len(losses) == 25
    assert [one.lowest for one in kept.states[-1]] == [losses[at - 1] for at in (15, 9, 9, 15)]
    at = {taken.step: taken.parameters for taken in whole.snapshots}
    assert [by_rule(losses, patience) for patience in patiences[1:]] == ends
    for result, state, (end, best) in zip(stopped, kept.states[-1][1:], ends, strict=True):
        assert (result.steps, state.best_step) == (end, best)
        # what it ends with is no snapshot of before its end
        assert [taken.step for taken in result.snapshots] == [best]
        assert result.metrics["loss/val"] == losses[end - 1]
        for name in result.parameters:
            assert result.state_dict[name].equal(at[end][name])
            assert state.tensors[f"best.{name}"].equal(at[best][name])


def test_of_a_run_that_is_best_at_its_end_there_is_no_second_copy():
    kept = Kept()
    train([experiment(epochs=3)], policy=kept.policy)
    (state,) = kept.states[-1]
    assert (state.step, state.best_step, state.named("best.")) == (12, 12, {})


@pytest.mark.parametrize(
    ("epochs", "steps", "told"),
    [
        (9, 16, "stopped early: no lower validation loss for patience=3 epochs"),
        (4, 16, "stopped early: no lower validation loss for patience=3 epochs"),
        (3, 12, None),
    ],
)
def test_a_loss_that_never_moves_is_best_at_first(epochs, steps, told):
    """A clipped unit below 0 has no gradient: of 4 updates an epoch, 3 epochs after the first."""
    module = nn.Sequential(nn.Linear(3, 1)).double()
    nn.init.zeros_(module[0].weight)
    nn.init.constant_(module[0].bias, -1.0)
    run = experiment(head="clipped_linear", loss="se", module=module, patience=3, epochs=epochs)
    kept = Kept()
    (result,) = train([run], policy=kept.policy)
    assert (result.steps, result.reason) == (steps, told)
    assert (kept.states[-1][0].best_step, result.status) == (4, "done")
    assert result.state_dict["0.bias"].item() == -1
