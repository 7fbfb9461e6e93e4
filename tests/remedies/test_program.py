"""Trainings of a program: seeded, in order, bounded in time, on the model's device."""

from __future__ import annotations

from math import inf

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mlr.core.checks import InputError
from mlr.remedies.program import OwnProgram, TimeOver, moved, train

X = torch.arange(12.0)[:, None]


def program(seen, seeded=False, batches=None):
    """One that notes the inputs and the first weight."""

    def make():
        if seeded:
            torch.manual_seed(0)
        model = nn.Linear(1, 1)
        seen.append(model.weight.item())
        return model, [torch.optim.SGD(model.parameters(), lr=0.0)]

    def loss(outputs, targets):
        seen.append(targets.flatten().tolist())
        return F.mse_loss(outputs, targets)

    def drawn():
        for some in torch.randperm(12).split(4):
            yield X[some], X[some]

    return OwnProgram(make, loss, batches or drawn, drawn)


@pytest.mark.parametrize("seeded", [False, True])
def test_a_seed_gives_weights_and_order(seeded):
    """Of a factory that sets a seed of its own, the order alone."""
    first, again, other = [], [], []
    for seen, seed in ((first, 0), (again, 0), (other, 1)):
        _, steps = train(program(seen, seeded), seed, 5, inf)
        assert steps == 5
    assert first == again
    assert first[1:] != other[1:]
    assert (first[0] == other[0]) is seeded
    assert sorted(one for batch in first[1:4] for one in batch) == X.flatten().tolist()  # an epoch
    assert len(first) == 1 + 5


def test_the_time_and_what_is_enough_end_it():
    with pytest.raises(TimeOver):
        train(program([]), 0, 5, 0.0)
    assert train(program([]), 0, 5, inf, enough=lambda done: done == 2)[1] == 2


def test_a_loader_without_batches_is_refused():
    with pytest.raises(InputError, match=r"^The loader gives no batch; give one that can be read"):
        train(program([], batches=lambda: []), 0, 5, inf)


def test_tensors_are_moved_to_the_device():
    inputs, (left, right) = moved((X, [X, "text"]), torch.device("meta"))
    assert (inputs.device.type, left.device.type, right) == ("meta", "meta", "text")


def test_each_batch_makes_one_update():
    one = program([])
    one = OwnProgram(
        lambda: (lambda m: (m, [torch.optim.SGD(m.parameters(), lr=0.1)]))(nn.Linear(1, 1)),
        one.loss,
        lambda: [(X[:4], X[:4])],
        one.held,
    )
    model, _ = train(one, 3, 2, inf)
    torch.manual_seed(3)
    twin = nn.Linear(1, 1)
    for _ in range(2):
        rest = twin(X[:4]) - X[:4]
        gradients = torch.autograd.grad((rest**2).mean(), list(twin.parameters()))
        with torch.no_grad():
            for own, gradient in zip(twin.parameters(), gradients, strict=True):
                own -= 0.1 * gradient
    assert model.weight.item() == pytest.approx(twin.weight.item(), rel=1e-5)
