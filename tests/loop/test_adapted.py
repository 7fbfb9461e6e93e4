"""Parts of adapters to other trainers: wrapped optimizers, closures, divided losses, copies."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mlr import GradientProbe
from mlr.records.reading import read_runs
from tests.loop.loops import batches, module, table, train

RATE = 0.1


def begun(folder, **more):
    model = module()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, weight_decay=0.01)
    return model, optimizer, GradientProbe(model, optimizer, folder, settings="full", **more)


def evidence(folder):
    return read_runs(folder)[0].entries["program"]


def assert_same(folder, other, rel=0.0):
    rows, others = table(folder), table(other)
    assert rows
    for row, own in zip(rows, others, strict=True):
        assert row == pytest.approx(own, rel=rel, abs=0, nan_ok=True)


@pytest.fixture
def plain(tmp_path):
    model, optimizer, probe = begun(tmp_path / "plain")
    train(model, optimizer, probe)
    probe.close()
    return tmp_path / "plain"


class Accelerated(torch.optim.Optimizer):
    """An optimizer in another one, as accelerate's: it has no hooks of its own."""

    def __init__(self, optimizer):
        self.optimizer = optimizer

    @property
    def param_groups(self):
        return self.optimizer.param_groups

    def zero_grad(self, set_to_none=True):
        self.optimizer.zero_grad(set_to_none)

    def step(self, closure=None):
        self.optimizer.step(closure)


def test_a_wrapped_optimizer_is_watched_within(tmp_path, plain):
    model = module()
    optimizer = Accelerated(torch.optim.SGD(model.parameters(), lr=RATE, weight_decay=0.01))
    with GradientProbe(model, optimizer, tmp_path / "own", settings="full") as probe:
        train(model, optimizer, probe)
    assert_same(tmp_path / "own", plain)
    assert evidence(tmp_path / "own") == evidence(plain)


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("schedule", [None, "every:5"])  # of a batch looked at and not measured
def test_a_closure_gives_the_evidence_of_a_plain_loop(tmp_path, named, schedule):
    model, optimizer, probe = begun(tmp_path / "plain", schedule=schedule)
    with probe:
        train(model, optimizer, probe, data=batches(10))
    model, optimizer, probe = begun(tmp_path / "own", schedule=schedule)
    with probe:
        for inputs, targets in batches(10):

            def closure(inputs=inputs, targets=targets):
                optimizer.zero_grad()
                logits = model(inputs)
                loss = F.cross_entropy(logits, targets)
                probe.watch(logits, targets, loss)
                loss.backward()
                return loss

            loss = optimizer.step(closure=closure) if named else optimizer.step(closure)
            assert loss.grad_fn is not None
    assert_same(tmp_path / "own", tmp_path / "plain")
    assert evidence(tmp_path / "own") == evidence(tmp_path / "plain")


@pytest.mark.parametrize("times", [1.0, 2.0], ids=["divided later", "divided before"])
def test_a_loss_that_is_divided_is_recorded_as_the_mean(tmp_path, times):
    for name, more in (("plain", {}), ("own", {"times": times})):
        model, optimizer, probe = begun(tmp_path / name, accumulate=2)
        with probe:
            for number, (inputs, targets) in enumerate(batches()):
                logits = model(inputs)
                loss = F.cross_entropy(logits, targets)
                divided = loss / 2
                probe.watch(logits, targets, divided if more and times > 1 else loss, **more)
                divided.backward()
                if number % 2:
                    optimizer.step()
                    optimizer.zero_grad()
    assert_same(tmp_path / "own", tmp_path / "plain")
    looks, others = (evidence(tmp_path / name)["looks"] for name in ("own", "plain"))
    for look, other in zip(looks, others, strict=True):
        assert {**look, "pairs": []} == {**other, "pairs": []}  # but for the division itself


class Copying(nn.Module):
    """A model that computes its loss, and then gives a wider copy of its logits."""

    def __init__(self):
        super().__init__()
        self.net = module(dtype=torch.bfloat16)

    def forward(self, inputs, targets):
        logits = self.net(inputs.bfloat16())
        return logits.float(), F.cross_entropy(logits.float(), targets)


def test_logits_that_are_copies_of_those_of_the_loss(tmp_path):
    rows = {}
    for name in ("inside", "copy"):
        model = Copying()
        optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
        with GradientProbe(model, optimizer, tmp_path / name, settings="full") as probe:
            for inputs, targets in batches():
                optimizer.zero_grad()
                if name == "copy":
                    logits, loss = model(inputs, targets)
                else:
                    logits = model.net(inputs.bfloat16())
                    loss = F.cross_entropy(logits.float(), targets)
                probe.watch(logits, targets, loss)
                loss.backward()
                optimizer.step()
        rows[name] = table(tmp_path / name)
    assert len(rows["copy"]) == 6
    for row, other in zip(rows["copy"], rows["inside"], strict=True):
        assert row == pytest.approx(other, rel=1e-6, nan_ok=True)
