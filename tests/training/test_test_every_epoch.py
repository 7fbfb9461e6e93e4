"""Numbers on the test split after each epoch, which are off by default."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from mlr.training import SGD, train
from tests.training.conftest import dataset, experiment
from tests.training.test_log import recorded, trained
from tests.training.test_no_validation import without_validation

EPOCHS, BATCH, LR = 4, 16, 0.4


def run(**changes):
    settings = {"head": "softmax", "loss": "ce", "data": dataset(3), "shuffle": False}
    settings |= {"epochs": EPOCHS, "batch_size": BATCH, "optimizer": SGD(lr=LR)}
    return experiment(**settings | {"test_every_epoch": True} | changes)


def by_torch(module, data):
    """Loss and accuracy on the test split after each epoch, by a plain loop."""
    module = copy.deepcopy(module)
    optimizer = torch.optim.SGD(module.parameters(), lr=LR)
    found = []
    for _ in range(EPOCHS):
        for x, t in zip(
            data.train.features.split(BATCH), data.train.targets.split(BATCH), strict=True
        ):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(x), t).backward()
            optimizer.step()
        with torch.no_grad():
            logits, labels = module(data.test.features), data.test.targets
            loss = nn.functional.cross_entropy(logits, labels)
            found.append((loss.item(), (logits.argmax(1) == labels).double().mean().item()))
    return found


@pytest.mark.parametrize("data", [dataset, without_validation])
def test_each_epoch_has_the_numbers_of_a_plain_loop(tmp_path, data):
    one = run(data=data(3))
    (table,) = recorded(tmp_path, [one])
    rows = [
        (row["loss/test"], row["accuracy/test"]) for row in table.values() if "loss/test" in row
    ]
    assert rows == [pytest.approx(pair, rel=1e-9) for pair in by_torch(one.module, one.data)]
    steps = [step for step, row in table.items() if "loss/test" in row]
    assert steps == [4, 8, 12, 16]


def test_off_by_default_and_the_same_but_for_the_rows(tmp_path):
    (on,), (off,) = (
        recorded(tmp_path / str(asked), [run(test_every_epoch=asked)]) for asked in (True, False)
    )
    assert [step for step, row in off.items() if "loss/test" in row] == [16]
    assert off.keys() == on.keys()
    for step, row in off.items():
        more = {"loss/test", "accuracy/test"} if step in (4, 8, 12) else set()
        assert {tag: n for tag, n in on[step].items() if tag not in more} == row
    assert not experiment().test_every_epoch
    (one,), (other,) = train([run()]), train([run(test_every_epoch=False)])
    assert one.metrics == other.metrics


def test_tensorboard_has_one_number_a_step(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trained(tmp_path, [run()])
    events = EventAccumulator(str(tmp_path / "0"), size_guidance={"tensors": 0})
    events.Reload()
    found = events.Tensors("accuracy/test") if "accuracy/test" in events.Tags()["tensors"] else []
    found = found or events.Scalars("accuracy/test")
    assert [event.step for event in found] == [4, 8, 12, 16]


def test_nothing_is_recorded_after_an_early_end(tmp_path):
    changes = {"epochs": 60, "optimizer": SGD(lr=30.0)}
    stopped = run(patience=2, **changes)
    table, other = recorded(tmp_path, [stopped, run(seed=1, **changes)])
    (result,) = train([stopped])
    assert result.steps < 240
    tested = [step for step, row in table.items() if "loss/test" in row]
    assert tested == list(range(4, result.steps + 1, 4))
    assert max(other) == 240
