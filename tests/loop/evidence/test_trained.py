"""Owners, gradients and changes of parameters."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mlr.loop.evidence import graph
from mlr.loop.evidence.trained import (
    ProgramParameters,
    dead,
    is_fresh,
    moved,
    rates,
    saturated,
    symmetric,
)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))


def looked(model, optimizers, forward=None, steps=1):
    parameters = ProgramParameters(model, optimizers)
    for _ in range(steps):
        inputs, classes = torch.randn(9, 5), torch.randint(3, (9,))
        z = (forward or model)(inputs)
        loss = F.cross_entropy(z, classes)
        parameters.look(graph.seen(z, loss))
        loss.backward()
        for one in optimizers:
            one.step()
    return parameters.entries()


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


def test_a_model_that_is_trained():
    model = network()
    found = looked(model, [sgd(model)])
    assert (found["parameters"], found["fresh"], found["strangers"], found["outside"]) == (
        *(6, True),
        *(0, 0),
    )
    for name in ("frozen", "unowned", "unreached", "unchanged"):
        assert found[name].count == 0


def test_the_head_alone_is_owned():
    model = network()
    unowned = looked(model, [sgd(model[4])])["unowned"]
    assert (unowned.count, unowned.before, unowned.fresh) == (4, True, True)
    assert unowned.names == ["0.weight", "0.bias", "2.weight", "2.bias"]
    model = network()
    nn.init.normal_(model[0].weight)  # as one that was trained
    assert not looked(model, [sgd(model[4])])["unowned"].fresh
    last = looked(model, [sgd(model[:4])])["unowned"]
    assert (last.names, last.before) == (["4.weight", "4.bias"], False)


def test_parameters_that_a_second_optimizer_changes_are_owned_by_somebody():
    model = network()
    other = sgd(model[:4])
    parameters = ProgramParameters(model, [sgd(model[4])])
    model(torch.randn(3, 5)).sum().backward()
    other.step()
    assert parameters.entries()["unowned"].count == 0


def test_an_optimizer_of_another_model():
    model, other = network(), network()
    found = looked(model, [sgd(other)])
    assert (found["strangers"], found["unowned"].count, found["unchanged"].count) == (6, 6, 6)


def test_layers_outside_of_the_model():
    hidden, last = nn.Linear(5, 5), nn.Linear(5, 3)
    found = looked(last, [sgd(last)], lambda x: last(hidden(x).relu()))
    assert found["outside"] == 2
    both = torch.optim.SGD([*last.parameters(), *hidden.parameters()], lr=0.1)
    assert looked(last, [both], lambda x: last(hidden(x).relu()))["outside"] == 0


def test_layers_that_no_gradient_reaches():
    model = network()
    found = looked(model, [sgd(model)], lambda x: model[2:](model[:2](x).detach()))["unreached"]
    assert (found.names, found.before, found.fresh) == (["0.weight", "0.bias"], True, True)
    model = network()
    model.requires_grad_(False)[4].requires_grad_(True)
    frozen = looked(model, [sgd(model)])["frozen"]
    assert (frozen.count, frozen.before, frozen.fresh) == (4, True, True)


def test_norms_of_gradients_and_decay():
    model = nn.Linear(2, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.5)
    parameters = ProgramParameters(model, [optimizer])
    assert parameters.gradient_norm() == 0
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[3.0, 4.0]]))
    model.weight.grad = torch.tensor([[0.6, 0.8]])
    assert parameters.gradient_norm() == pytest.approx(1)
    assert parameters.decay() == pytest.approx(2.5)
    assert rates([optimizer]) == [0.1]


def test_moves_are_shares_of_the_weights():
    before = [torch.tensor([3.0, 4.0]), torch.tensor([1.0]), torch.tensor([0.0])]
    after = [torch.tensor([3.0, 4.5]), torch.tensor([1.2]), torch.tensor([1.0])]
    assert moved(before, after) == pytest.approx(0.2)
    assert moved(before[2:], after[2:]) != moved(before[2:], after[2:])


def test_weights_as_torch_draws_them():
    torch.manual_seed(1)
    for layer in (nn.Linear(2, 4), nn.Linear(64, 32), nn.Conv2d(3, 8, 3)):
        assert is_fresh(layer.weight)
        assert not is_fresh(2 * layer.weight)
    wide = nn.Linear(64, 32)
    assert not is_fresh(0.9 * wide.weight)
    assert not is_fresh(nn.init.normal_(wide.weight, std=(1 / 192) ** 0.5))


def test_symmetric_hidden_layers():
    model = network()
    assert symmetric(model) == {"symmetric": [], "zero": False}
    nn.init.constant_(model[2].weight, 0.5)
    nn.init.zeros_(model[4].weight)  # the last one may be
    assert symmetric(model) == {"symmetric": ["2"], "zero": False}
    nn.init.zeros_(model[2].weight)
    assert symmetric(model) == {"symmetric": ["2"], "zero": True}


def test_saturated_hidden_units_and_not_those_of_the_head():
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 4), nn.Sigmoid())
    model = nn.Sequential(*body, nn.Linear(4, 2))
    nn.init.constant_(model[0].bias[:1], 100)
    nn.init.constant_(model[2].bias[:2], -100)
    y = model(torch.randn(50, 5)).sigmoid()
    assert sorted(saturated(graph.seen(y, y.sum()))) == [0.25, 0.5]


def test_dead_units_by_layer():
    model = network()
    nn.init.constant_(model[2].bias[:3], -1e9)
    z = model(torch.randn(50, 5))
    shares = dead(graph.seen(z, z.sum()))
    assert sorted(shares) == [0.0, 0.5]
    image = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
    nn.init.constant_(image[0].bias[:1], -1e9)
    maps = image(torch.randn(6, 1, 8, 8))
    assert dead(graph.seen(maps, maps.sum())) == [0.25]


def test_units_that_are_lost_or_missing_are_not_dead():
    z = (torch.full((4, 2), torch.nan, requires_grad=True) * torch.tensor([1.0, 0.0])).relu()
    assert dead(graph.seen(z, z.sum())) == [0.0]
    none = torch.zeros(4, 0, requires_grad=True).relu()
    assert dead(graph.seen(none, none.sum())) == []


@pytest.mark.parametrize("moving", [False, True])
def test_a_teacher_is_not_frozen(moving):
    model = nn.ModuleDict({"student": network()})
    model["teacher"] = copy.deepcopy(model["student"])
    if moving:
        nn.init.normal_(model["teacher"][0].weight)
    model["teacher"].requires_grad_(False)
    parameters = ProgramParameters(model, [sgd(model["student"])])
    assert parameters.entries()["frozen"].count == int(moving)
    for slow, fast in zip(
        model["teacher"].parameters(), model["student"].parameters(), strict=True
    ):
        slow.lerp_(fast.detach(), 0.05)
    assert parameters.entries()["frozen"].count == 0


def test_layers_that_are_frozen_later_are_frozen():
    model = network()
    parameters = ProgramParameters(model, [sgd(model)])
    model[0].requires_grad_(False)
    assert parameters.entries()["frozen"].names == ["0.weight", "0.bias"]


def test_random_vectors_and_states_that_are_frozen_are_fresh():
    torch.manual_seed(0)

    def fresh(part):
        model = nn.Sequential(part.requires_grad_(False), nn.Linear(4, 2))
        return ProgramParameters(model, [sgd(model[1])]).entries()["frozen"].fresh

    assert all(map(fresh, (nn.Embedding(40, 4), nn.GRUCell(2, 12), nn.LSTM(3, 20))))
    # as vectors that were trained: of another size, off 0, or with a few large numbers
    vectors = torch.randn(40, 4)
    others = 0.6 * vectors, vectors + 0.5, torch.where(torch.rand(40, 4) < 0.5, 2**0.5, 0.0)
    for one in (*others, vectors[:5]):
        assert not fresh(nn.Embedding.from_pretrained(one))
    trained = nn.LSTM(3, 20)
    nn.init.orthogonal_(trained.weight_hh_l0)
    assert not fresh(trained)


def test_one_of_several_optimizers_is_idle():
    def idle(*steps, rate=0.1):
        torch.manual_seed(0)
        model = network()
        optimizers = [torch.optim.SGD(part.parameters(), lr=rate) for part in (model[0], model[4])]
        parameters = ProgramParameters(model, optimizers)
        loss = model(torch.randn(3, 5)).square().sum()
        parameters.look(graph.seen(loss, loss))
        loss.backward()
        for step in steps:
            optimizers[step].step()
        return parameters.entries()["idle"]

    assert (idle(0), idle(1), idle(0, 1), idle()) == (1, 1, 0, 2)
    assert idle(rate=0.0) == 0
