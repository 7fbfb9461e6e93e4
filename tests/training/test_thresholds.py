"""Numbers exactly on a threshold: logits, counts and sums written down by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mlr.data.base import Dataset, Split
from mlr.models import Mlp
from mlr.probes import ProbeSettings
from mlr.probes.settings import NAMES
from mlr.training import SGD, train
from mlr.training.step import Kind, kind_of
from tests.training.conftest import experiment
from tests.training.test_log import recorded, trained

STILL = SGD(lr=1e-30)
"""A rate that moves no weight of 1: logits of the last update are those of the first."""


def told(tmp_path, rows, head, dtype, threshold):
    """The first point of each series, the last one, and the anatomy; of logits z and classes."""
    z, labels = zip(*rows, strict=True)
    part = Split(torch.tensor(z, dtype=torch.float64).unsqueeze(1), torch.tensor(labels))
    module = nn.Sequential(nn.Linear(1, 1, bias=False))  # a bias of 0 would move a little
    nn.init.ones_(module[0].weight)
    run = experiment(
        head=head,
        loss="se",
        data=Dataset("by hand", part, part, part, 2),
        module=module.to(getattr(torch, dtype)),
        optimizer=STILL,
        probes=ProbeSettings(threshold=threshold, **dict.fromkeys(NAMES, True)),
        batch_size=len(rows),
        epochs=1,
        dtype=dtype,
    )
    ((result, table),) = trained(tmp_path, [run])
    return table[0], result.metrics, result.anatomy


# z, t; y = z and dL/dz = z − t, so that a size of exactly 0.75 is one of the threshold
ROWS = [
    (0.5, 1),  # right, for class 1 is predicted from ½ on; size 0.5
    (0.5, 0),  # wrong; size 0.5 is below the threshold: stuck
    (0.75, 0),  # wrong; size 0.75 is not below it
    (0.25, 1),  # wrong; size 0.75
    (0.9, 0),  # wrong; a confidence of 0.9 is high: a surprise
    (0.6, 0),  # wrong; a confidence of 0.6 is of the middle; size 0.6: stuck
    (1.0, 1),  # right; size 0
    (0.1, 1),  # wrong; a confidence of 1 − 0.1: a surprise; size 0.9
    (2.0, 1),  # right; size 1, past its target
    (-1.0, 0),  # right; size 1, past its target
    (0.0, 0),  # right; size 0
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_of_eleven_examples_each_counts_where_it_stands(tmp_path, dtype):
    first, last, anatomy = told(tmp_path, ROWS, "linear", dtype, threshold=0.75)
    expected = {
        "accuracy/train": 5 / 11,
        "logit_grad/wrong": (0.5 + 0.75 + 0.75 + 0.9 + 0.6 + 0.9) / 6,
        "logit_grad/right": (0.5 + 0 + 1 + 1 + 0) / 5,
        "stuck/fraction": 2 / 11,
        "stuck/zero": 0.0,
        "zero_grad/fraction": 2 / 11,
        "saturation/fraction": 0.0,
    }
    by_level = {
        "logit_grad_confidence/wrong_low": 0.5,
        "logit_grad_confidence/wrong_middle": (0.75 + 0.75 + 0.6) / 3,
        "logit_grad_confidence/wrong_high": 0.9,
        "logit_grad_confidence/right_low": 0.5,
        "logit_grad_confidence/right_high": (0 + 1 + 1 + 0) / 4,
        "logit_grad_class/0": (0.5 + 0.75 + 0.9 + 0.6 + 1 + 0) / 6,
        "logit_grad_class/1": (0.5 + 0.75 + 0 + 0.9 + 1) / 5,
    }
    for tag, value in (expected | by_level).items():
        assert first[tag] == pytest.approx(value, rel=1e-6), tag
    assert "logit_grad_confidence/right_middle" not in first
    for tag, value in expected.items():
        assert last[tag] == pytest.approx(value, rel=1e-6), tag
    shares = {"wrong": 6 / 11, "zero": 2 / 11, "stuck": 2 / 11, "stuck_zero": 0, "saturated": 0}
    for seen in (anatomy, anatomy["start"]):
        assert {name: seen[name] for name in shares} == pytest.approx(shares, rel=1e-5)
    assert anatomy["surprise"] == pytest.approx(2 / 11, rel=1e-5)
    # squares of the two that are past their target, of all squares
    squares = 0.25 + 0.25 + 0.5625 + 0.5625 + 0.81 + 0.36 + 0.81 + 1 + 1
    assert anatomy["right_pull"] == pytest.approx(2 / squares, rel=1e-5)
    assert anatomy["confidence"] == {
        "edges": [0.6, 0.9],
        "count_wrong": [1, 3, 2],
        "grad_wrong": [0.5, pytest.approx(0.7), pytest.approx(0.9)],
        "count_right": [1, 0, 4],
        "grad_right": [0.5, None, 0.5],
    }
    assert anatomy["classes"] == {
        "count": [6, 5],
        "recall": [pytest.approx(2 / 6, rel=1e-5), pytest.approx(3 / 5)],
        "grad": [pytest.approx(3.75 / 6), pytest.approx(3.15 / 5)],
        "grad_wrong": [pytest.approx(2.75 / 4), pytest.approx(1.65 / 2)],
    }
    # from 1 on are two of class 1; the other three of it are wrong then
    assert anatomy["boundary"] == {"at": 1, "wrong": pytest.approx(3 / 11, rel=1e-5)}


def test_an_example_on_its_target_is_not_past_it():
    """Right, with dL/dz = 0 at its own output and not at the others: it pulls, but not back."""
    z = torch.tensor([[1.0, 0.5, 0.0], [1.5, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 1.0, 2.0]])
    part = Split(z.double(), torch.tensor([0, 0, 1, 1]))
    module = nn.Sequential(nn.Linear(3, 3, bias=False)).double()
    nn.init.eye_(module[0].weight)
    changes = {"module": module, "data": Dataset("by hand", part, part, part, 3)}
    run = experiment(head="linear", loss="se", optimizer=STILL, batch_size=4, epochs=1, **changes)
    (result,) = train([run])
    # squares ¼, ¼, ¼ and 4; only the second is right and past its target, of 1
    assert result.anatomy["right_pull"] == pytest.approx(0.25 / 4.75, rel=1e-5)
    assert result.anatomy["wrong"] == 0.25
    assert result.anatomy["classes"]["recall"] == [1, 0.5, None]


def test_a_logit_on_an_edge_lies_in_the_bin_above(tmp_path):
    rows = [(-11.0, 0), (-10.0, 0), (-1.0, 0), (0.0, 0), (0.5, 0), (1.0, 1), (9.5, 1), (10.0, 1)]
    anatomy = told(tmp_path, rows, "linear", "float64", threshold=0.75)[2]
    low, high = anatomy["logits"]["count"]
    assert anatomy["logits"]["edges"] == list(range(-10, 11))
    # below −10, from −10 on, …, from 10 on
    assert {place: count for place, count in enumerate(low) if count} == {0: 1, 1: 1, 10: 1, 11: 2}
    assert {place: count for place, count in enumerate(high) if count} == {12: 1, 20: 1, 21: 1}
    pulls = anatomy["logits"]["grad"]
    assert [pulls[0][place] for place in (0, 1, 10, 11)] == [-11, -10, -1, 0.25]
    assert [pulls[1][place] for place in (12, 20, 21)] == [0, 8.5, 9]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_clipped_unit_is_open_at_its_ends(tmp_path, dtype):
    """At exactly 0 and 1 its slope is 1, outside it is 0, and dL/dz exactly 0 with it."""
    rows = [
        (-0.25, 1),  # wrong and without gradient
        (0.0, 1),  # wrong; size 1 is not below the threshold of 1
        (0.5, 1),  # right; size 0.5
        (1.0, 1),  # right; size 0, for y = t
        (1.5, 1),  # right and without gradient
        (1.5, 0),  # wrong and without gradient
        (1.0, 0),  # wrong; size 1
    ]
    first, last, anatomy = told(tmp_path, rows, "clipped_linear", dtype, threshold=1.0)
    expected = {
        "accuracy/train": 3 / 7,
        "saturation/fraction": 3 / 7,
        "zero_grad/fraction": 4 / 7,
        "stuck/fraction": 2 / 7,
        "stuck/zero": 2 / 7,
        "logit_grad/wrong": 2 / 4,
        "logit_grad/right": 0.5 / 3,
    }
    for seen in (first, last):
        assert {tag: seen[tag] for tag in expected} == pytest.approx(expected, rel=1e-6)
    shares = {"saturated": 3 / 7, "zero": 4 / 7, "stuck": 2 / 7, "stuck_zero": 2 / 7}
    assert {name: anatomy[name] for name in shares} == pytest.approx(shares, rel=1e-5)


class Any(nn.Module):
    """Neither dense nor nn.Sequential: seen through hooks."""

    def __init__(self, hidden: nn.Linear, activation: nn.Module, output: nn.Linear) -> None:
        super().__init__()
        self.hidden1, self.activation, self.output = hidden, activation, output

    def forward(self, x):
        return self.output(self.activation(self.hidden1(x))) + 0 * x.sum(-1, keepdim=True)


def units(kind, activation, weights, biases, threshold):
    """A run of one batch, of six examples whose single feature is −2, −1, 0, 1, 2 and 3."""
    width = {Kind.LANES: 4, Kind.NARROW: 40, Kind.MODULE: 4}[kind]
    module = Mlp(widths=[width], activation=activation).build((1,), 1, 0, "float64")
    hidden, between, output = module[1], module[2], module[3]
    with torch.no_grad():  # further units repeat the last one
        for tensor, own in ((hidden.weight[:, 0], weights), (hidden.bias, biases)):
            values = own + own[-1:] * (width - 4)
            tensor.copy_(torch.tensor(values, dtype=torch.float64))
    part = Split(torch.arange(-2.0, 4.0).double().unsqueeze(1), torch.tensor([0, 1] * 3))
    run = experiment(
        module=Any(hidden, between, output) if kind is Kind.MODULE else module,
        data=Dataset("six", part, part, part, 2),
        optimizer=STILL,
        probes=ProbeSettings(units=True, threshold=threshold),
        batch_size=6,
        epochs=1,
    )
    assert kind_of(run) is kind
    return run


TINY = 1e-12
KINDS = pytest.mark.parametrize("kind", [Kind.LANES, Kind.NARROW, Kind.MODULE])


@KINDS
def test_a_relu_is_dead_where_it_is_exactly_0_for_all(tmp_path, kind):
    """Below 0 for every example, at 0 for every one, above it for one by next to nothing."""
    run = units(kind, "relu", [-1.0, 0.0, 1.0, 1.0], [-2.0, 0.0, TINY - 3, 0.0], 0.05)
    width = len(run.module.hidden1.weight)
    (table,) = recorded(tmp_path, [run])
    assert table[0]["dead_units/hidden1"] == pytest.approx(2 / width, rel=1e-12)
    # of the 4 units 6, 6, 5 and 3 of 6 slopes are 0: that of a unit at 0 too
    flat = 6 + 6 + 5 + 3 * (width - 3)
    assert table[0]["flat_units/hidden1"] == pytest.approx(flat / (6 * width), rel=1e-12)


@KINDS
def test_a_sigmoid_is_flat_below_the_threshold_and_never_dead(tmp_path, kind):
    """Its slope at 0 is exactly ¼, which is not below a threshold of ¼; elsewhere it is less."""
    run = units(kind, "sigmoid", [0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 1.0, 1.0], 0.25)
    width = len(run.module.hidden1.weight)
    (table,) = recorded(tmp_path, [run])
    assert table[0]["dead_units/hidden1"] == 0
    flat = 0 + 5 + 5 + 6 * (width - 3)
    assert table[0]["flat_units/hidden1"] == pytest.approx(flat / (6 * width), rel=1e-12)
