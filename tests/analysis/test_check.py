"""A preflight names what one batch shows, and leaves everything as it was."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

import mlr

X, T = torch.randn(16, 4), torch.arange(16) % 3
CE = nn.CrossEntropyLoss()


class Noisy(nn.Module):
    """A model that draws numbers of every kind, and counts its calls."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5))
        self.head = nn.Linear(8, 3)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        z = self.head(self.body(x))
        return z + 1e-3 * (random.random() + np.random.rand() + torch.rand(()))


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


@pytest.mark.parametrize("training", [True, False])
def test_nothing_is_changed(training):
    model = Noisy().train(training)
    optimizer = sgd(model)
    CE(model(X), T).backward()
    optimizer.step()

    def everything():
        tensors = [*model.state_dict().values(), *(own.grad for own in model.parameters())]
        tensors += [one["momentum_buffer"] for one in optimizer.state.values()]
        modes = [part.training for part in model.modules()]
        hooks = [
            len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.modules()
        ]
        return [one.clone() for one in tensors], torch.get_rng_state(), modes, hooks

    before = everything()
    python, numpy = random.getstate(), np.random.get_state()[1].copy()
    with torch.no_grad():  # as somebody may be
        assert list(mlr.check(model, CE, (X, T), optimizer)) == []
    after = everything()
    assert all(map(torch.equal, before[0], after[0]))
    assert torch.equal(before[1], after[1])
    assert before[2:] == after[2:]
    assert random.getstate() == python
    assert np.array_equal(np.random.get_state()[1], numpy)


def test_an_error_of_the_model_leaves_nothing_behind():
    model = Noisy()
    with pytest.raises(ZeroDivisionError):
        mlr.check(model, lambda z, t: 1 / 0, (X, T))
    assert model.calls == 0


def layers():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))


def replaced(model):
    optimizer = sgd(model)
    model[4] = nn.Linear(8, 3)
    return optimizer


def frozen(model):
    model[:4].requires_grad_(False)
    return sgd(model)


def symmetric(model):
    nn.init.constant_(model[2].weight, 0.1)
    return sgd(model)


def dead(model):
    nn.init.constant_(model[0].bias, -1e3)
    return sgd(model)


@pytest.mark.parametrize(
    ("rule", "prepared"),
    [
        ("wrong_parameters", replaced),
        ("parameters_missing", lambda model: sgd(model[4])),
        ("parameters_missing", lambda model: sgd(model[:4])),
        ("frozen", frozen),
        ("symmetric_weights", symmetric),
        ("dead_relus", dead),
        ("loss_maximised", lambda m: torch.optim.SGD(m.parameters(), lr=0.1, maximize=True)),
        ("momentum_too_high", lambda m: torch.optim.SGD(m.parameters(), lr=0.1, momentum=9)),
    ],
)
def test_optimizers_and_weights(rule, prepared):
    model = layers()
    optimizer = prepared(model)
    assert [one.rule for one in mlr.check(model, CE, (X, T), optimizer)] == [rule]


def test_without_an_optimizer_nothing_is_said_of_it():
    assert list(mlr.check(layers(), CE, (X, T))) == []
    assert list(mlr.check(layers(), CE, (X, T), sgd(layers()))) != []


@pytest.mark.parametrize(
    ("rule", "inputs", "targets"),
    [
        ("not_finite_values", torch.full((16, 4), torch.nan), T),
        ("inputs_lose_precision", 3e9 + 1000 * X, T),
    ],
)
def test_inputs(rule, inputs, targets):
    assert mlr.check(layers(), CE, (inputs, targets))[0].rule == rule


def test_it_prints_and_displays_itself():
    found = mlr.check(nn.Sequential(layers(), nn.Softmax(dim=1)), CE, (X, T))
    rule, said, evidence, write, sure, page = repr(found).splitlines()
    assert rule == "softmax_before_cross_entropy"
    assert said.strip() == found[0].sentence
    assert found[0].remedy in write
    assert (sure.split(), page.split()[0]) == (["sure", "certain"], "page")
    assert evidence.split()[0] == "evidence"
    assert found[0].rule in found._repr_html_()
    none = mlr.check(layers(), CE, (X, T))
    assert repr(none).startswith("No fault seen in one batch")
    assert "No fault seen" in none._repr_html_()


def test_several_inputs_and_optimizers():
    model = nn.Bilinear(4, 4, 3)
    found = mlr.check(model, CE, ((X, X), T), [sgd(model), sgd(layers())])
    assert list(found) == []


LABELS = (2.0 * (X[:, :1] > 0) - 1).expand(16, 3)


@pytest.mark.parametrize(
    ("end", "loss", "targets", "rule"),
    [
        (nn.Identity(), nn.BCEWithLogitsLoss(), LABELS, "labels_out_of_range"),
        (nn.Softmax(1), CE, T, "softmax_before_cross_entropy"),
    ],
)
def test_evidence_before_a_training_has_the_loss_of_the_batch(end, loss, targets, rule):
    """There is no last quarter of a training yet."""
    model = nn.Sequential(nn.Linear(4, 3), end)
    found = mlr.check(model, loss, (X, targets))[0]
    assert found.rule == rule
    assert found.evidence.endswith(f"loss {loss(model(X), targets).item():.3g}")
