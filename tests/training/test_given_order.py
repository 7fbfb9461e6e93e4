"""Recipes in file order: batches are slices of the training split, one after the other.

The loop that they are compared with imports nothing of mlr.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from mlr.models import Mlp
from mlr.training import SGD, train
from mlr.training.step import Kind, kind_of
from tests.training.conftest import dataset, experiment


class Custom(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.second(torch.sin(self.first(x)))


def custom():
    torch.manual_seed(0)
    return Custom().double()


MODELS = {
    Kind.LANES: {},
    Kind.NARROW: {"model": Mlp(widths=[40])},
    Kind.WIDE: {"model": Mlp(widths=[384, 384], init="torch"), "batch_size": 16},
    Kind.MODULE: {"module": custom()},
}
RATES = (0.1, 0.3)


def by_slices(module, features, labels, lr, batch, steps, drop_last):
    """Softmax regression's loop as a tutorial writes it."""
    module = copy.deepcopy(module)
    optimizer = torch.optim.SGD(module.parameters(), lr=lr)
    last = len(features) // batch * batch if drop_last else len(features)
    starts = list(range(0, last, batch))
    for step in range(steps):
        own = slice(starts[step % len(starts)], min(starts[step % len(starts)] + batch, last))
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(features[own]), labels[own]).backward()
        optimizer.step()
    return dict(module.named_parameters())


def runs_of(kind, drop_last, **more):
    made = []
    for seed, lr in enumerate(RATES):
        settings = {"head": "softmax", "loss": "ce", "data": dataset(3), "epochs": 2}
        settings |= MODELS[kind] | {"optimizer": SGD(lr=lr), "seed": seed} | more
        made.append(experiment(shuffle=False, drop_last=drop_last, **settings))
    return made


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("alone", [False, True])
def test_batches_are_slices_in_order(kind, drop_last, alone):
    runs = runs_of(kind, drop_last)
    assert kind_of(runs[0]) is kind
    runs = runs[:1] if alone else runs
    assert runs[0].total_steps == (6 if drop_last else 8)  # 50 examples, 16 a batch
    for run, found in zip(runs, train(runs), strict=True):
        train_split = run.data.train
        expected = by_slices(
            run.module,
            train_split.features,
            train_split.targets,
            run.optimizer.lr,
            16,
            run.total_steps,
            drop_last,
        )
        for name, value in expected.items():
            torch.testing.assert_close(found.parameters[name], value.detach(), rtol=0, atol=1e-12)


def test_runs_of_all_seeds_share_one_gather():
    from mlr.training.background import Background
    from mlr.training.batches import Batches
    from mlr.training.examples import Examples
    from mlr.training.step import Program

    program = Program(runs_of(Kind.NARROW, False), Background(0))
    batches = Batches(Examples(program, "train"), program)
    assert len(batches.orders.order) == 1


@pytest.mark.parametrize("drop_last", [False, True])
def test_shuffled_batches_differ_and_are_not_cut_elsewhere(drop_last):
    """Dropped are the last of each epoch's order, other ones each time."""
    shuffled = [replace(run, shuffle=True) for run in runs_of(Kind.NARROW, drop_last)]
    given = train(runs_of(Kind.NARROW, drop_last))
    for one, other in zip(train(shuffled), given, strict=True):
        assert not one.parameters["output.weight"].equal(other.parameters["output.weight"])
        assert one.steps == other.steps == (6 if drop_last else 8)


def test_what_a_batch_too_large_sees_is_everything():
    run = experiment(shuffle=False, drop_last=True, batch_size=50, epochs=2)
    assert (run.steps_per_epoch, run.total_steps) == (1, 2)
    assert train([run])[0].status == "done"


def test_a_refused_update_names_its_examples_in_order():
    run = experiment(head="linear", loss="se", shuffle=False, optimizer=SGD(lr=1e200), epochs=9)
    (result,) = train([run])
    batch = (result.refused["update"] - 1) % run.steps_per_epoch
    assert result.refused["examples"] == list(range(50))[16 * batch :][:16]
