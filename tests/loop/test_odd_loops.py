"""Odd loops, drawn at random: none raises from mlr, is told of twice, or gets a wrong number."""

from __future__ import annotations

import random
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mlr import GradientProbe
from mlr.records.run_folder import read_status
from tests.loop.loops import table

CE = F.cross_entropy
LOOPS = 300


class Words(nn.Module):
    def __init__(self, kind, classes, dtype):
        super().__init__()
        self.words = nn.Embedding(11, 6, sparse=kind == "sparse")
        self.hidden, self.out = nn.Linear(6, 8), nn.Linear(8, classes)
        self.kind = kind
        self.to(dtype)
        if kind == "complex":
            self.turn = nn.Parameter(torch.randn(6, 6, dtype=torch.cfloat))

    def forward(self, words):
        if self.kind == "raises" and random.random() < 0.3:
            raise ZeroDivisionError("a user's own")
        found = self.words(words)
        if self.kind == "complex":
            found = (found.to(torch.cfloat) @ self.turn).abs().to(self.out.weight.dtype)
        return self.out(self.hidden(found).tanh())


def losses(task, z, shape):
    """Targets, the loss of each example, and the rows (N, K) and labels (N,) that count."""
    classes, labels = z.shape[-1], torch.randint(z.shape[-1], shape)
    if task == "several":
        t = (torch.rand(z.shape) < 0.4).float()
        return t, F.binary_cross_entropy_with_logits(z, t, reduction="none"), None
    if task == "numbers" or classes == 1:
        t = torch.randn(z.shape)
        return t, F.mse_loss(z, t, reduction="none"), None
    if task == "ignored":
        labels = labels.masked_fill(torch.rand(shape) < 0.4, -100)
    if task == "later" and len(shape) > 1:
        rows, own = z[:, :-1].flatten(0, 1), labels[:, 1:].flatten()
    else:
        rows, own = z.flatten(0, -2), labels.flatten()
    there = own >= 0
    each = CE(rows, own, reduction="none")
    return labels, each[there] if task == "ignored" else each, (rows, own)


GIVEN = {
    "loss in a tuple": lambda z, t, loss: (z, t, (loss, 1)),
    "loss in a dict": lambda z, t, loss: (z, t, {"loss": loss}),
    "whole loss": lambda z, t, loss: (z, t, torch.zeros((), dtype=torch.long)),
    "no targets": lambda z, t, loss: (z, None, loss),
    "list of targets": lambda z, t, loss: (z, [1, 2], loss),
    "few targets": lambda z, t, loss: (z, t[1:], loss),
    "int32": lambda z, t, loss: (z, t if t.is_floating_point() else t.int(), loss),
    "classes first": lambda z, t, loss: (z.movedim(-1, 0), t, loss),
    "as it is": lambda z, t, loss: (z, t, loss),
    "loss detached": lambda z, t, loss: (z, t, loss.detach()),
}
RIGHT = ("int32", "as it is")


def one(folder, seed):
    """Train by an odd loop; returns the numbers that its steps have by plain autograd."""
    random.seed(seed)
    torch.manual_seed(seed)
    draw, expected = random.choice, {}
    kind = draw(["plain", "plain", "sparse", "complex", "raises"])
    model = Words(kind, draw([1, 2, 3, 5, 40]), draw([torch.float32, torch.float64]))
    shape = draw([(1,), (5,), (7,), (2, 5), (5, 5), (1, 2)])
    task = draw(["classes", "ignored", "several", "numbers", "later"])
    way, reduce = draw([*GIVEN, "as it is", "as it is"]), draw([torch.sum, torch.mean])
    passes = draw(["once", "once", "twice", "retained", "second order", "lost"])
    make = torch.optim.SGD if kind == "sparse" else draw([torch.optim.SGD, torch.optim.Adam])
    optimizer = make(model.parameters(), lr=0.01)
    settings, schedule = draw(["basic", "full"]), draw(["every:1", "every:2", None])
    probe = GradientProbe(model, optimizer, folder, settings=settings, schedule=schedule)
    for _ in range(5):
        optimizer.zero_grad(set_to_none=draw([True, False]))
        try:
            z = model(torch.randint(11, shape))
        except ZeroDivisionError:
            continue
        t, each, counted = losses(task, z, shape)
        if not each.numel():
            continue
        loss = reduce(each) * (torch.nan if passes == "lost" else 1)
        if way in RIGHT and passes != "lost":
            (own,) = torch.autograd.grad(each.sum(), z, retain_graph=True)
            norms = own.reshape(-1, z.shape[-1]).norm(dim=1)
            read = norms if counted is None else norms[norms > 0]
            expected[probe.step] = {"logit_grad/mean": read.mean().item()}
            if counted is not None:
                rows, labels = counted
                right = (rows.argmax(1) == labels)[labels >= 0]
                expected[probe.step]["accuracy/train"] = right.float().mean().item()
        probe.watch(*GIVEN[way](z, t, loss))
        if passes == "twice":
            loss.backward(retain_graph=True)
        if passes == "second order" and kind == "plain":
            grads = torch.autograd.grad(loss, list(model.parameters()), create_graph=True)
            loss = loss + sum(one.square().sum() for one in grads)
        loss.backward(retain_graph=passes == "retained")
        optimizer.step()
        if draw([0, 0, 0, 1]):
            probe.log_validation(loss=1.0)
    probe.close()
    probe.close()
    return {} if passes == "second order" else expected


@pytest.mark.slow
def test_odd_loops_end_as_they_would_alone(tmp_path):
    compared = 0
    for seed in range(LOOPS):
        folder = tmp_path / str(seed)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            expected = one(folder, seed)
        stopped = [str(one.message) for one in told if "stopped at" in str(one.message)]
        assert len(stopped) <= 1, seed
        assert all("InputError" in sentence for sentence in stopped), (seed, stopped)
        failed = read_status(folder).status == "failed"
        assert failed == bool(stopped), seed
        there = (folder / "metrics.csv").exists()
        for row in table(folder) if there else ():
            for tag, number in expected.get(int(row["step"]), {}).items():
                if tag in row and row[tag] == row[tag]:
                    assert row[tag] == pytest.approx(number, rel=1e-4), (seed, tag)
                    compared += 1
    assert compared > LOOPS
