"""Outputs of any shape: the axis of the classes, what is left out, and what is no class."""

from __future__ import annotations

import math
import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mlr import GradientProbe
from tests.loop.loops import table


class Free(nn.Module):
    """Outputs that are parameters."""

    def __init__(self, *shape):
        super().__init__()
        self.z = nn.Parameter(torch.randn(*shape, generator=torch.Generator().manual_seed(2)))


def row(folder, z, targets, loss_of, head="softmax"):
    """Numbers of one step, and the outputs."""
    model = Free(*z) if isinstance(z, tuple) else z
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with GradientProbe(model, optimizer, folder, head=head) as probe:
        outputs = model.z.clone()
        loss = loss_of(outputs, targets)
        probe.watch(outputs, targets, loss)
        loss.backward()
        optimizer.step()
    return table(folder)[0], outputs.detach()


def expected(rows, numbers):
    """Accuracy and mean ‖softmax − one-hot‖ of rows (N, K) with classes (N,)."""
    pulls = (rows.softmax(1) - F.one_hot(numbers, rows.shape[1])).norm(dim=1)
    right = (rows.argmax(1) == numbers).float().mean()
    return {"accuracy/train": right.item(), "logit_grad/mean": pulls.mean().item()}


def check(found, rows, numbers):
    for tag, number in expected(rows, numbers).items():
        assert found[tag] == pytest.approx(number, rel=1e-5), tag


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 3, 3), (2, 3, 4), (2, 3, 2, 2, 2)])
@pytest.mark.parametrize("extra", [False, True])
def test_classes_of_pixels_are_on_the_second_axis(tmp_path, shape, extra):
    targets = torch.randint(3, (shape[0], *shape[2:]), generator=torch.Generator().manual_seed(1))
    given = targets[:, None] if extra else targets
    loss_of = lambda z, t: F.cross_entropy(z, t.squeeze(1) if extra else t)  # noqa: E731
    found, z = row(tmp_path / "it", shape, given, loss_of)
    check(found, z.movedim(1, -1).reshape(-1, 3), targets.flatten())


@pytest.mark.parametrize("axis", [1, 2])
def test_where_both_axes_fit_the_loss_decides(tmp_path, axis):
    targets = torch.tensor([[0, 1, 2], [0, 0, 2]])

    def loss_of(z, t):
        if axis == 2:
            return F.nll_loss(z.log_softmax(2).flatten(0, 1), t.flatten())
        return F.cross_entropy(z, t)

    found, z = row(tmp_path / "it", (2, 3, 3), targets, loss_of)
    check(found, z.movedim(axis, -1).reshape(-1, 3), targets.flatten())


def test_words_have_their_classes_on_the_last_axis(tmp_path):
    targets = torch.tensor([[0, 1], [3, 3]])
    found, z = row(
        tmp_path / "it",
        (2, 2, 4),
        targets,
        lambda z, t: F.cross_entropy(z.flatten(0, 1), t.flatten()),
    )
    check(found, z.flatten(0, 1), targets.flatten())


@pytest.mark.parametrize("ignored", [-100, 0, 255])
def test_examples_that_the_loss_ignores_are_left_out(tmp_path, ignored):
    targets = torch.tensor([[1, 2, ignored], [3, ignored, 1]])
    found, z = row(
        tmp_path / "it",
        (2, 3, 4),
        targets,
        lambda z, t: F.cross_entropy(z.flatten(0, 1), t.flatten(), ignore_index=ignored),
    )
    there = targets.flatten() != ignored
    check(found, z.flatten(0, 1)[there], targets.flatten()[there])


@pytest.mark.parametrize(("shape", "other"), [((2, 3, 4), (2, 7)), ((4, 3), (4, 1))])
def test_outputs_and_targets_that_fit_no_axis_are_told_of(tmp_path, shape, other):
    told = re.escape(f"targets of shape {other} fit no axis of outputs of")
    with pytest.warns(UserWarning, match=told):
        found, z = row(tmp_path / "it", shape, torch.ones(other), lambda z, t: z.square().mean())
    assert "accuracy/train" not in found
    assert found["logit_grad/mean"] > 0
    assert found["grad_norm/total"] == pytest.approx((2 * z / z.numel()).norm().item(), rel=1e-5)


BCE = F.binary_cross_entropy_with_logits
ONE_HOT = torch.eye(4)[[0, 2, 1, 3, 3]]
SEVERAL = torch.tensor([[1.0, 1, 0, 0]] * 5)


@pytest.mark.parametrize(
    ("head", "targets", "judged"),
    [
        ("sigmoid", ONE_HOT, True),
        ("sigmoid", SEVERAL, False),
        ("sigmoid", SEVERAL.long(), False),
        ("sigmoid", ONE_HOT.bool(), True),
        (None, SEVERAL.long(), False),
        ("sigmoid", torch.rand(5, 4), False),  # an autoencoder's
        ("sigmoid", torch.zeros(5, 4), False),
        ("softmax", 0.7 * ONE_HOT + 0.3 * ONE_HOT.roll(1, 0), True),
        ("sigmoid", torch.tensor([[0.0], [1], [1], [0], [1]]), True),
        ("sigmoid", torch.tensor([0.05, 0.95, 0.95, 0.05, 0.95]), True),
        ("sigmoid", torch.tensor([0.4, 0.45, 0.5, 0.6, 0.7]), False),
        ("linear", ONE_HOT, False),
    ],
)
def test_numbers_are_classes_only_if_they_are_one_label_an_example(tmp_path, head, targets, judged):
    wide = targets.shape[1] if targets.dim() > 1 else 1
    shape = (5, wide) if targets.dim() > 1 else (5,)
    loss_of = F.cross_entropy if head == "softmax" else lambda z, t: BCE(z, t.float())
    found, z = row(tmp_path / "it", shape, targets, loss_of, head)
    assert ("accuracy/train" in found) is judged
    if judged:
        own = z.argmax(1) == targets.float().argmax(1) if wide > 1 else z.flatten() >= 0
        right = own if wide > 1 else own == (targets.flatten() >= 0.5)
        assert found["accuracy/train"] == pytest.approx(right.float().mean().item())


@pytest.mark.parametrize("head", [None, "sigmoid"])
def test_the_head_of_probabilities_is_not_applied_again(tmp_path, head):
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    targets = torch.tensor([[0], [0], [1], [1]])
    with GradientProbe(model, optimizer, tmp_path / "it", head=head) as probe:
        y = model(torch.tensor([[-2.0], [-1], [1], [2]])).sigmoid()
        loss = F.binary_cross_entropy(y, targets.float())
        probe.watch(y, targets, loss)
        loss.backward()
        optimizer.step()
    (found,) = table(tmp_path / "it")
    assert found["accuracy/train"] == 1  # with z ≥ 0 all are of class 1
    assert "saturation/fraction" not in found
    assert math.isnan(found["logit_grad/wrong"])


def test_logits_between_0_and_1_stay_logits(tmp_path):
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with GradientProbe(model, optimizer, tmp_path / "it", head="sigmoid") as probe:
        z = model(torch.tensor([[0.2], [0.9]])).sigmoid()
        loss = BCE(z, torch.ones(2, 1))  # which applies it a second time
        probe.watch(z, torch.ones(2, 1), loss)
        loss.backward()
        optimizer.step()
    (found,) = table(tmp_path / "it")
    assert found["saturation/fraction"] == 0
    assert found["accuracy/train"] == 1
