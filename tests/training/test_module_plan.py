"""Trials of modules, each with a property that forbids something."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from mlr.data.base import Dataset, Split
from mlr.objectives import Objective
from mlr.training import SGD, Experiment, module_plan
from mlr.training.module_plan import ModulePlan, plan_of


class Conv(nn.Module):
    """Images (B, 2, 6, 6) → (B, 3), with a further step after the convolution."""

    def __init__(self, extra: nn.Module | None = None):
        super().__init__()
        self.convolution = nn.Conv2d(2, 4, 3)
        self.extra = extra or nn.Identity()
        self.output = nn.Linear(64, 3)

    def forward(self, x):
        return self.output(self.extra(self.convolution(x)).flatten(1))


class ByView(Conv):
    def forward(self, x):
        hidden = self.convolution(x)
        return self.output(hidden.view(len(x), -1))


class Centred(nn.Module):
    """Depends on other examples by values that have no gradient."""

    def forward(self, x):
        return x - x.detach().mean(0)


class BySize(nn.Module):
    def forward(self, x):
        return x / len(x)


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return x


class Recomputed(nn.Module):
    """Draws again in the backward pass, from the state that torch's generator had before."""

    def forward(self, x):
        drop = partial(nn.functional.dropout, p=0.5, training=self.training)
        return checkpoint(drop, x, use_reentrant=False)


class ByPython(nn.Module):
    def forward(self, x):
        return x * random.random()


def run_of(module, dtype="float32", features=None, batch=8):
    x = torch.randn(20, 2, 6, 6) if features is None else features
    parts = [Split(x.to(torch.float64), torch.arange(len(x)) % 3)] * 3
    return Experiment(
        objective=Objective("softmax", "ce", outputs=3),
        module=module,
        data=Dataset("made", *parts, 3),
        optimizer=SGD(lr=0.1),
        batch_size=batch,
        dtype=dtype,
    )


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(module_plan, "WORTH", 100)
    monkeypatch.setattr(module_plan, "PART", 300)


DIVIDED = ModulePlan(4, draws=False, apart=True, channels_last=True)


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (Conv(), DIVIDED),
        (Conv(nn.GroupNorm(2, 4)), DIVIDED),
        (Conv(nn.Dropout(0.5)), DIVIDED._replace(draws=True)),
        (Conv(nn.BatchNorm2d(4, track_running_stats=False)), DIVIDED._replace(parts=1)),
        (Conv(Centred()), DIVIDED._replace(parts=1)),
        (Conv(BySize()), DIVIDED._replace(parts=1)),
        (Conv(Counter()), DIVIDED._replace(parts=1)),
        (Conv(Recomputed()), ModulePlan(1, draws=True, apart=False, channels_last=True)),
        (Conv(ByPython()), ModulePlan(1, draws=False, apart=True)),
        (ByView(), DIVIDED._replace(parts=2, channels_last=False)),
    ],
    ids=lambda own: type(getattr(own, "extra", own)).__name__,
)
def test_manners(module, expected):
    run, before = run_of(module), torch.get_rng_state()
    assert plan_of(run) == expected
    assert torch.equal(torch.get_rng_state(), before)


def test_images_of_float64_and_features_that_are_none_lie_as_they_are():
    assert not plan_of(run_of(Conv(), "float64")).channels_last
    flat = nn.Sequential(nn.Linear(50, 100), nn.Dropout(0.1), nn.Linear(100, 3))
    assert plan_of(run_of(flat, features=torch.randn(20, 50))) == ModulePlan(4, True, True, False)


def test_the_callers_module_is_left_as_it_was():
    module = Conv(Counter()).eval()
    before = [value.clone() for value in module.state_dict().values()]
    plan_of(run_of(module))
    assert not module.training
    assert all(map(torch.equal, before, module.state_dict().values()))


def test_weights_of_zero_hide_nothing():
    module = Conv(Centred())
    nn.init.zeros_(module.output.weight)
    assert plan_of(run_of(module)).parts == 1
    plain = Conv()
    nn.init.zeros_(plain.output.weight)
    assert plan_of(run_of(plain)).parts == 4


def test_the_number_of_parts_is_a_power_of_two(monkeypatch):
    run = run_of(Conv())
    numbers = 72 + 2 * 64 + 3  # input, convolution, identity, output: 203
    for part, expected in ((8 * numbers, 1), (8 * numbers // 3, 2), (1, 8)):
        monkeypatch.setattr(module_plan, "PART", part)
        assert plan_of(run).parts == expected
    assert plan_of(replace(run, batch_size=3)).parts == 2
    monkeypatch.setattr(module_plan, "MOST_PARTS", 4)
    assert plan_of(run).parts == 4


def test_a_small_batch_and_a_module_that_fails_are_not_tried(monkeypatch):
    assert plan_of(run_of(Conv(), features=torch.randn(20, 1, 5, 5))) == ModulePlan()
    monkeypatch.setattr(module_plan, "WORTH", 1 << 20)
    assert plan_of(run_of(Conv())) == ModulePlan()
