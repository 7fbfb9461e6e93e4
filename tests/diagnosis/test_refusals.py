"""A call that torch refuses becomes a finding, and torch accepts the line that mends it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import mlr
from mlr.diagnosis.program import WatchedProgram
from mlr.diagnosis.refusals import call_refused, devices_differ
from mlr.loop.preflight.batch import GivenBatch
from mlr.loop.preflight.refusals import devices
from mlr.records.evidence import Evidence, Rehearsal

torch.manual_seed(0)
B = 8
X, T = torch.randn(B, 4), torch.arange(B) % 3
BITS = (torch.arange(B) % 2).float()
WORDS = torch.randint(0, 5, (B, 7))
IMAGES = torch.rand(B, 6, 6, 1)
CE, BCE, LOGITS = F.cross_entropy, F.binary_cross_entropy, F.binary_cross_entropy_with_logits


def dense(outputs=3, inputs=4):
    return nn.Sequential(nn.Linear(inputs, 8), nn.Tanh(), nn.Linear(8, outputs))


def by_word(words=5):
    return nn.Sequential(nn.Embedding(words, 6), nn.Linear(6, 5))


def convolution():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(32, 3))


def class_second(z, t):
    return CE(z.movedim(-1, 1), t)


class Mixed(nn.Module):
    """A view that mixes examples."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 3)

    def forward(self, x):
        return self.layer(x.view(-1, 2))


TARGETS = [
    ("targets_of_wrong_type", dense(), CE, X, T.float()),
    ("targets_of_wrong_type", dense(), CE, X, T.int()),
    ("targets_of_wrong_type", dense(), CE, X, F.one_hot(T, 3)),
    ("targets_of_wrong_type", dense(1), LOGITS, X, BITS[:, None].long()),
    ("targets_of_wrong_shape", dense(), CE, X, T[:, None]),
    ("targets_of_wrong_shape", dense(), CE, X, T[:, None].float()),
    ("targets_of_wrong_shape", dense(1), LOGITS, X, BITS),
    ("targets_of_wrong_shape", dense(1), LOGITS, X, BITS.long()),
    ("targets_of_wrong_shape", by_word(), lambda z, t: CE(z.flatten(0, 1), t), WORDS, WORDS),
    ("labels_out_of_range", dense(1), BCE, X, 2 * BITS[:, None] - 1),
    ("targets_out_of_range", dense(1), BCE, X, 9 * BITS[:, None]),
]


@pytest.mark.parametrize(("rule", "model", "loss", "inputs", "targets"), TARGETS)
def test_the_line_mends_the_targets(rule, model, loss, inputs, targets):
    """The line is executed, and then the loss is accepted and has no other finding."""
    model = nn.Sequential(model, nn.Sigmoid()) if loss is BCE else model
    with pytest.raises((RuntimeError, ValueError)):
        loss(model(inputs), targets)
    found = mlr.check(model, loss, (inputs, targets))
    assert [one.rule for one in found] == [rule]
    assert found[0].certain
    assert str(found.error).partition("\n")[0] in found[0].evidence
    outputs = model(inputs)
    scope = {"targets": targets, "outputs": outputs, "loss_function": loss, "F": F}
    exec(found[0].remedy, scope)
    value = scope["loss"] if "loss" in scope else loss(outputs, scope["targets"])
    assert value.isfinite()


@pytest.mark.parametrize(
    ("rule", "model", "inputs"),
    [
        ("inputs_of_wrong_type", dense(), X.double()),
        ("inputs_of_wrong_type", dense(), (10 * X.abs()).byte()),
        ("inputs_of_wrong_type", by_word(), WORDS.float()),
        ("inputs_of_wrong_shape", dense(inputs=36), IMAGES),
        ("inputs_of_wrong_shape", convolution(), IMAGES),
        ("inputs_of_wrong_shape", convolution(), IMAGES[..., 0]),
    ],
)
def test_the_line_mends_the_inputs(rule, model, inputs):
    words = inputs.shape == WORDS.shape
    loss, targets = (class_second, WORDS) if words else (CE, T)
    found = mlr.check(model, loss, (inputs, targets))
    assert [one.rule for one in found] == [rule]
    assert found[0].certain
    scope = {"inputs": inputs}
    exec(found[0].remedy, scope)
    assert list(mlr.check(model, loss, (scope["inputs"], targets))) == []


@pytest.mark.parametrize(
    ("rule", "write", "model", "loss", "inputs", "targets"),
    [
        ("class_axis", "outputs.movedim(-1, 1)", by_word(), CE, WORDS, WORDS),
        ("class_out_of_bounds", "targets - 1 ", dense(), CE, X, T + 1),
        ("class_out_of_bounds", "nn.Linear(…, 3)", dense(2), CE, X, T),
        ("class_out_of_bounds", "ignore_index=-1)", dense(), CE, X, T - 1),
        ("targets_of_wrong_shape", "F.one_hot(targets, 3)", dense(), LOGITS, X, T),
        ("probabilities_expected", "_with_logits(outputs, t", dense(1), BCE, X, BITS[:, None]),
        ("several_outputs", "model(inputs)[0]", nn.LSTM(4, 3), CE, X, T),
        ("batches_differ", "give each example", dense(), CE, X, T[:7]),
        ("batches_differ", "x.flatten(1) in forward", Mixed(), CE, X, T),
        ("inputs_of_wrong_shape", "nn.Linear(9, …)", dense(), CE, torch.randn(B, 9), T),
        ("inputs_of_wrong_shape", "nn.Linear(9, …)", dense(), CE, torch.rand(B, 1, 3, 3), T),
        ("inputs_of_wrong_shape", "nn.Conv2d(3, …)", convolution(), CE, torch.rand(B, 3, 6, 6), T),
        ("index_out_of_bounds", "nn.Embedding(5, …)", by_word(4), class_second, WORDS, WORDS),
        ("one_example", "drop_last", nn.BatchNorm1d(4), CE, X[:1], T[:1]),
        ("loss_not_scalar", "loss.mean()", dense(), nn.CrossEntropyLoss(reduction="none"), X, T),
        ("call_refused", "raise found.error", dense(), CE, X, None),
    ],
)
def test_a_refusal_is_named(rule, write, model, loss, inputs, targets):
    WORDS[0, 0] = 4  # the largest
    found = mlr.check(model, loss, (inputs, targets))
    assert found[0].rule == rule
    assert write in found[0].remedy
    assert found[0].certain
    assert (found.error is None) == (rule == "loss_not_scalar")


def test_devices():
    assert devices(dense(), GivenBatch.of((X.to("meta"), T))) == ["cpu", "meta"]
    seen = Rehearsal(refused_by="model", error="…", devices=["cuda:0", "cpu"])
    program = WatchedProgram(Evidence(preflight=True, rehearsal=seen))
    found = devices_differ(program)
    assert found.sentence.endswith("on different devices: cuda:0, cpu.")
    assert "inputs.to(device), targets.to(device)" in found.remedy
    assert call_refused(program) is None
    same = replace(seen, devices=["cuda:0"])
    assert devices_differ(WatchedProgram(Evidence(preflight=True, rehearsal=same))) is None


def test_numbers_of_the_sentence():
    one = mlr.check(dense(), CE, (X, T + 5))[0]
    assert "the 3 outputs are the classes 0 to 2" in one.sentence
    assert "targets from 5 to 7, outputs of shape (8, 3)" in one.evidence
    flat = mlr.check(dense(), CE, (torch.rand(B, 1, 3, 3), T))[0]
    assert flat.sentence == "A linear layer takes 4 features, and is given 3."
    assert "nn.Flatten()" in flat.remedy


def test_further_faults_are_found_behind_a_mended_refusal():
    model = nn.Sequential(dense(), nn.Softmax(dim=1))
    found = [one.rule for one in mlr.check(model, CE, (X, T.float()))]
    assert found == ["targets_of_wrong_type", "softmax_before_cross_entropy"]


def test_faults_of_the_optimizer_are_found_behind_a_refusal():
    model = dense()
    optimizer = torch.optim.SGD(dense().parameters(), lr=0.1)
    found = [one.rule for one in mlr.check(model, CE, (X[:, :2], T), optimizer)]
    assert found[0] == "inputs_of_wrong_shape"


def test_an_error_that_is_none_of_torch_is_passed_on():
    with pytest.raises(ZeroDivisionError):
        mlr.check(dense(), lambda z, t: 1 / 0, (X, T))


def test_warnings_of_torch_are_findings():
    """Under `filterwarnings = error`, as here, a warning would end the check."""
    found = mlr.check(dense(1), F.mse_loss, (X, BITS))
    assert [one.rule for one in found] == ["shapes_broadcast"]
