"""A training is the same to the bit with a check before it, whatever the model is."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

import mlr
from mlr.loop.evidence.observer import Observer
from mlr.loop.preflight.untouched import untouched

X, T = torch.randn(16, 4), torch.arange(16) % 3
CE = nn.CrossEntropyLoss()
torch.optim.AdamW([nn.Parameter(X)])  # the first one of a process draws a random number


class Stateful(nn.Module):
    """A model that keeps things in every way, and draws from every generator."""

    def __init__(self):
        super().__init__()
        self.layer, self.drop, self.norm = nn.Linear(4, 3), nn.Dropout(0.5), nn.BatchNorm1d(3)
        self.register_buffer("mean", torch.zeros(3))
        self.calls, self.hidden, self.seen = 0, None, torch.zeros(3)
        self.own = torch.Generator().manual_seed(1)
        self.numpy, self.python = np.random.default_rng(1), random.Random(1)

    def forward(self, x):
        self.calls += 1
        x.mul_(1.5)  # the batch
        noise = random.random() + np.random.rand() + self.numpy.random() + self.python.random()
        z = self.norm(self.drop(self.layer(x))) + noise * torch.rand(3, generator=self.own)
        z = z if self.hidden is None else z + self.hidden
        self.hidden = 0.1 * z.detach().mean(0)
        self.mean = 0.9 * self.mean + 0.1 * self.hidden  # another tensor under the name
        self.seen += self.hidden
        self.late = True
        with torch.no_grad():
            self.layer.bias.add_(0.01)
        return z


def dropout():
    return nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 3))


def normed():
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def compiled():
    torch._dynamo.reset()
    return torch.compile(dropout(), backend="eager")


def adamw(model):
    return [torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)]


def one_for_each_layer(model):
    parts = [list(part.parameters()) for part in model.modules() if not list(part.children())]
    return [torch.optim.SGD(part, lr=0.1, momentum=0.9) for part in parts if part]


def trained(make, optimizers_of, checks, half=False, accumulate=1):
    """Train four batches; returns all there is afterwards, to the bit."""
    for seed in (torch.manual_seed, np.random.seed, random.seed):
        seed(0)
    model = make()
    optimizers = optimizers_of(model)
    losses = []
    for step in range(4):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            if checks:
                mlr.check(model, CE, (X, T), optimizers, validation=(X, T))
            inputs = X.clone()
            loss = CE(model(inputs), T)
        loss.backward()
        losses.append(loss.item())
        if (step + 1) % accumulate == 0:
            for one in optimizers:
                one.step()
                one.zero_grad()
    states = [own for one in optimizers for own in one.state_dict()["state"].values()]
    tensors = [*model.state_dict().values(), *(v for own in states for v in own.values())]
    tensors += [own.grad for own in model.parameters() if own.grad is not None]
    none = [own.grad is None for own in model.parameters()]
    modes = [part.training for part in model.modules()]
    draws = torch.rand(3).tolist(), np.random.rand(), random.random()
    return losses, [one.clone() for one in tensors if torch.is_tensor(one)], none, modes, draws


@pytest.mark.parametrize(
    ("make", "optimizers", "options"),
    [
        (Stateful, adamw, {}),
        (dropout, adamw, {}),
        (normed, one_for_each_layer, {}),
        (lambda: normed().eval(), adamw, {}),
        (dropout, adamw, {"half": True}),
        (normed, adamw, {"accumulate": 2}),
        pytest.param(compiled, adamw, {}, marks=pytest.mark.slow),
    ],
)
def test_a_training_is_the_same_with_checks(make, optimizers, options):
    before = X.clone()
    alone = trained(make, optimizers, False, **options)
    checked = trained(make, optimizers, True, **options)
    assert checked[0] == alone[0]
    assert len(checked[1]) == len(alone[1])
    assert all(map(torch.equal, checked[1], alone[1]))
    assert checked[2:] == alone[2:]
    assert torch.equal(X, before)
    assert len(set(alone[0])) > 1


def test_attributes_are_those_of_before():
    model = Stateful()
    own, mean, seen = model.own.get_state(), model.mean, model.seen.clone()
    numpy, python = model.numpy.bit_generator.state, model.python.getstate()
    mlr.check(model, CE, (X, T))
    assert (model.calls, model.hidden, hasattr(model, "late")) == (0, None, False)
    assert model.mean is mean
    assert torch.equal(model.seen, seen)
    assert torch.equal(model.own.get_state(), own)
    assert model.numpy.bit_generator.state == numpy
    assert model.python.getstate() == python


def test_gradients_within_a_forward_pass_are_removed_and_restored():
    """As in a model that calls backward by itself."""

    class Greedy(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(4, 3), nn.Linear(3, 3)

        def forward(self, x):
            self.one(x).sum().backward()
            return self.two(self.one(x))

    model = Greedy()
    mlr.check(model, CE, (X, T))
    assert all(own.grad is None for own in model.parameters())
    model.one.weight.grad = torch.ones(3, 4)
    there = model.one.weight.grad
    mlr.check(model, CE, (X, T))
    assert model.one.weight.grad is there
    assert bool((there == 1).all())


def test_hooks_stay_and_the_scheduler_counts_none_of_the_steps():
    model = normed()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    calls = []
    optimizer.register_step_post_hook(lambda *_: calls.append("step"))
    model[3].weight.register_post_accumulate_grad_hook(lambda *_: calls.append("gradient"))
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    mlr.check(model, CE, (X, T), optimizer, overfit_steps=3)
    assert calls == []
    assert (optimizer.param_groups[0]["lr"], scheduler.last_epoch) == (0.1, 0)
    CE(model(X), T).backward()
    optimizer.step()
    assert calls == ["gradient", "step"]


def test_a_probe_counts_no_evaluation():
    model = dropout()
    observer = Observer(model, [])
    observer.watch(model(X), T, CE(model(X), T))
    long = torch.optim.SGD(model.parameters(), lr=10.0)
    mlr.check(model, CE, (X, T), long)  # computes the loss after the step
    assert observer.evidence().tested == 0
    with torch.no_grad():
        model(X)
    assert observer.evidence().tested == 1
    observer.close()


def test_an_error_restores_too():
    model = Stateful()
    with pytest.raises(ZeroDivisionError):
        mlr.check(model, lambda z, t: 1 / 0, (X, T))
    assert model.calls == 0


def test_random_numbers_are_drawn_again():
    with untouched() as rewind:
        first = torch.rand(3)
        rewind()
        assert torch.equal(torch.rand(3), first)
