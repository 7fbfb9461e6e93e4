"""Modules in parts of a batch: a plain loop's updates, whatever the number of threads."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from mlr.data.base import Dataset, Split
from mlr.models import Cnn
from mlr.objectives import Objective
from mlr.probes import ProbeSettings
from mlr.probes.settings import NAMES
from mlr.records import Recorder, RunFolder
from mlr.training import SGD, Adam, Experiment, module_plan, train
from mlr.training.background import Background
from mlr.training.functional import ModuleLane
from mlr.training.log import run_tags
from mlr.training.memory_layout import Layout
from mlr.training.run_objectives import RunObjectives

ALL = ProbeSettings(**dict.fromkeys(NAMES, True))
EXAMPLES, BATCH, CLASSES = 29, 13, 3  # the last batch of an epoch has 3


class Own(nn.Module):
    """Own forward, weights used twice, a layer without use, chance in training."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(1, 6, 3, padding=1)
        self.inner = nn.Linear(36, 36)
        self.drop = nn.Dropout(0.3)
        self.norm = nn.GroupNorm(2, 6)
        self.output = nn.Linear(216, CLASSES)
        self.idle = nn.Parameter(torch.ones(2))
        self.act = nn.ReLU()

    def forward(self, x):
        hidden = self.norm(self.act(self.convolution(x))).flatten(2)
        hidden = self.inner(torch.tanh(self.inner(hidden)))
        return self.output(self.drop(hidden).flatten(1))


def data_of(seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(EXAMPLES, 1, 6, 6, generator=generator, dtype=torch.float64)
    labels = (x.mean((1, 2, 3)) * 6).add(1).clamp(0, 2).long()
    return Dataset("made", *[Split(x, labels)] * 3, CLASSES)


def run_of(kind, optimizer=None, dtype="float32", seed=0, **changes):
    data = data_of()
    if kind == "cnn":
        module = Cnn([5, 4], kernel=3).build(data.feature_shape, CLASSES, seed, dtype)
    else:
        torch.manual_seed(seed)
        module = Own().to(getattr(torch, dtype))
    return Experiment(
        **{
            "objective": Objective("softmax", "ce", outputs=CLASSES),
            "module": module,
            "data": data,
            "optimizer": optimizer or Adam(lr=0.01),
            "batch_size": BATCH,
            "epochs": 2,
            "seed": seed,
            "dtype": dtype,
        }
        | changes
    )


@pytest.fixture
def parts(monkeypatch):
    """Four parts a batch; returns how many were computed at a time."""
    monkeypatch.setattr(module_plan, "WORTH", 1)
    monkeypatch.setattr(module_plan, "PART", 800)
    monkeypatch.setattr(module_plan, "MOST_PARTS", 4)
    found = []
    real = Background.side_by_side
    monkeypatch.setattr(
        Background, "side_by_side", lambda self, each: found.append(len(each)) or real(self, each)
    )
    return found


@pytest.fixture(autouse=True)
def number_of_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def with_table(run, folder):
    """The result of a run and its metrics.csv."""
    own = RunFolder.claim(folder)
    recorder = Recorder(own, run_tags(run), {})
    (result,) = train([run], [recorder])
    recorder.finish(result.status, result.metrics, sync=False)
    return result, own.metrics.read_text()


def assert_identical(left, right):
    assert left.metrics == right.metrics
    assert left.parameters.keys() == right.parameters.keys()
    for name, own in left.parameters.items():
        assert torch.equal(own, right.parameters[name]), name


@pytest.mark.parametrize("optimizer", [Adam(lr=0.01), SGD(lr=0.05, momentum=0.9)], ids=["adam", ""])
@pytest.mark.parametrize("kind", ["cnn", "own"])
def test_threads_change_no_bit_alone_or_in_a_sweep(kind, optimizer, parts, tmp_path):
    run = run_of(kind, optimizer, probes=ALL)
    torch.set_num_threads(1)
    alone, table = with_table(run, tmp_path / "one")
    torch.set_num_threads(3)
    result, other_table = with_table(run, tmp_path / "three")
    assert_identical(result, alone)
    assert table == other_table
    sweep = [run_of(kind, optimizer, seed=seed, probes=ALL) for seed in (7, 0, 8)]
    assert_identical(train(sweep)[1], alone)
    assert {1, 3, 4} <= set(parts)


def by_torch(run, module, optimizer, steps):
    """A plain loop over the examples in their order."""
    x = run.data.train.features.to(getattr(torch, run.dtype))
    for step in range(steps):
        at = step % 3 * BATCH
        loss = nn.functional.cross_entropy(
            module(x[at : at + BATCH]), run.data.train.targets[at : at + BATCH]
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return dict(module.named_parameters())


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-5)])
@pytest.mark.parametrize("kind", ["cnn", "own"])
def test_updates_are_those_of_a_plain_loop(kind, dtype, tolerance, parts):
    run = run_of(kind, SGD(lr=0.1, momentum=0.9), dtype, shuffle=False, steps=7)
    for module in run.module.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    module = copy.deepcopy(run.module)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    expected = by_torch(run, module, optimizer, 7)
    found = train([run])[0].parameters
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value.detach(), rtol=tolerance, atol=tolerance)
    assert set(parts) >= {4}


def test_what_is_measured_is_that_of_the_whole_batch(parts, monkeypatch, tmp_path):
    """Norms of single examples and dead and flat units, by layers that are called twice, too."""
    run = run_of("own", SGD(lr=0.1), "float64", probes=ALL)
    run.module.drop.p = 0.0
    _, divided = with_table(run, tmp_path / "divided")
    assert 4 in parts
    parts.clear()
    monkeypatch.setattr(module_plan, "MOST_PARTS", 1)
    _, whole = with_table(run, tmp_path / "whole")
    assert 4 not in parts
    rows = [[row.split(",") for row in table.splitlines()] for table in (divided, whole)]
    assert rows[0][0] == rows[1][0]
    assert any("units" in tag or "dead" in tag for row in rows[0] for tag in row)
    for left, right in zip(*(own[1:] for own in rows), strict=True):
        for one, other in zip(left, right, strict=True):
            if one != other:
                assert float(one) == pytest.approx(float(other), rel=1e-5, abs=1e-9)


def test_each_part_and_step_draws_its_own(parts, monkeypatch):
    """The same at the same step; in evaluation others than in training."""
    seen = []

    class Noise(nn.Module):
        def __init__(self):
            super().__init__()
            self.output = nn.Linear(36, CLASSES).double()

        def forward(self, x):
            noise = torch.rand(2, dtype=x.dtype)
            seen.append((self.training, len(x), float(noise[0])))
            return self.output(x.flatten(1)) + 0 * noise[1]

    monkeypatch.setattr(module_plan, "PART", 100)
    run = run_of("own", module=Noise(), steps=2, dtype="float64")
    with Background(0) as background:
        lane = ModuleLane(run, *_layout(run), background)
        seen.clear()
        for step in (0, 1, 0):
            lane.differentiate(*_batch(run), step, None)
        lane.logits(run.data.test.features[:BATCH])
    training = [seen[at : at + 4] for at in (0, 4, 8)]
    assert [size for _, size, _ in training[0]] == [4, 4, 4, 1]
    assert training[0] == training[2]
    numbers = [number for _, _, number in training[0] + training[1]]
    assert len(set(numbers)) == 8
    assert [kind for kind, *_ in seen[12:]] == [False] * 4
    assert len({number for *_, number in seen[12:]} | set(numbers)) == 12


def _layout(run):
    layout = Layout.of(run.module)
    flat = layout.stack([run.parameters])
    return layout, flat, torch.zeros_like(flat)


def _batch(run):
    split = run.data.train
    targets = nn.functional.one_hot(split.targets[:BATCH], CLASSES).double()
    return RunObjectives([run.objective]), split.features[None, :BATCH], targets[None]
