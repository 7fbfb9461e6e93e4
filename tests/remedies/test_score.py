"""Scores have the values of scikit-learn, whatever the loss takes the outputs for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, log_loss, r2_score
from torch import nn

from mlr.remedies.program import OwnProgram
from mlr.remedies.score import (
    CLASSES,
    LABELS,
    NUMBERS,
    UNKNOWN,
    Task,
    constant,
    examples,
    measured,
    score,
    task_of,
)

generator = torch.Generator().manual_seed(0)
Z = 2 * torch.randn(60, 3, generator=generator, dtype=torch.float64)
T = torch.cat([torch.zeros(40), torch.ones(15), 2 * torch.ones(5)]).long()
P = Z.softmax(1)
ONE = 2 * torch.randn(60, 1, generator=generator, dtype=torch.float64)
BINARY = (torch.arange(60) % 3 == 0).double()[:, None]
RIGHT = float((Z.argmax(1) == T).double().mean())
NATS = log_loss(T, P)


@pytest.mark.parametrize(
    ("outputs", "form"),
    [
        (Z, "ce"),
        (P, "log+nll"),
        (P.log(), "nll"),
        (Z, "log_softmax+nll"),
        (P, "bce"),
        (P.log(), "kl"),
    ],
)
def test_classes_have_one_entropy_in_all_forms(outputs, form):
    found = measured(outputs, T, Task(CLASSES), form)
    assert (found.right, found.nats) == pytest.approx((RIGHT, NATS))


def test_one_hot_targets_are_classes():
    found = measured(Z, nn.functional.one_hot(T).double(), Task(CLASSES), "ce")
    assert (found.right, found.nats) == pytest.approx((RIGHT, NATS))


def test_a_loss_that_is_no_likelihood_has_no_entropy():
    found = measured(Z, T, Task(CLASSES), "")
    assert found.right == RIGHT
    assert np.isnan(found.nats)


def test_balanced_accuracy():
    found = measured(Z, T, Task(CLASSES, balanced=True), "ce")
    assert found.right == pytest.approx(balanced_accuracy_score(T, Z.argmax(1)))
    assert constant(T, Task(CLASSES, balanced=True)).right == pytest.approx(1 / 3)
    assert examples(T, Task(CLASSES, balanced=True)) == 3 * 5
    assert examples(T, Task(CLASSES)) == 60


@pytest.mark.parametrize(
    ("outputs", "form"),
    [
        (ONE, "bce_logits"),
        (ONE.sigmoid(), "bce"),
        (ONE, "sigmoid+bce"),
        (ONE.sigmoid(), ""),
        (ONE, ""),
        (ONE[:, 0], "bce_logits"),
    ],
)
@pytest.mark.parametrize("targets", [BINARY, 2 * BINARY - 1, 1 + BINARY[:, 0]])
def test_labels_are_judged_by_what_the_loss_takes_outputs_for(outputs, form, targets):
    found = measured(outputs, targets, Task(LABELS), form)
    p = ONE.sigmoid().flatten()
    right = float(((p >= 0.5) == BINARY.flatten().bool()).double().mean())
    assert found.right == pytest.approx(right)
    assert found.nats == pytest.approx(log_loss(BINARY.flatten(), p))


def test_a_sigmoid_before_a_loss_on_logits_decides_for_one_class():
    found = measured(ONE.sigmoid(), BINARY, Task(LABELS), "bce_logits")
    assert found.right == float(BINARY.mean())


def test_numbers_have_the_rest_of_r2():
    t = ONE + torch.randn(60, 1, generator=generator, dtype=torch.float64)
    found = measured(ONE, t.flatten(), Task(NUMBERS), "mse")
    assert 1 - found.rest == pytest.approx(r2_score(t, ONE))
    scaled = measured(300 * ONE + 7, 300 * t + 7, Task(NUMBERS), "mse")
    assert scaled.rest == pytest.approx(found.rest)
    assert measured(1e9 * ONE, t, Task(NUMBERS), "mse").rest == 1  # no worse than a constant
    within = measured(ONE, ONE.sigmoid(), Task(NUMBERS), "bce_logits")
    assert within.rest == pytest.approx(0, abs=1e-12)


def test_outputs_that_are_not_numbers_score_as_the_best_constant():
    lost = torch.full_like(Z, torch.nan)
    found = measured(lost, T, Task(CLASSES), "ce")
    shares = np.array([40, 15, 5]) / 60
    assert found.right == pytest.approx(40 / 60)
    assert found.nats == pytest.approx(-(shares * np.log(shares)).sum())
    assert measured(lost[:, :1], ONE, Task(NUMBERS), "mse").rest == 1
    labels = measured(lost[:, :1], BINARY, Task(LABELS), "bce")
    assert labels.right == pytest.approx(2 / 3)
    assert labels.nats == pytest.approx(log_loss(BINARY.flatten(), np.full(60, 1 / 3)))


@pytest.mark.parametrize(
    ("outputs", "targets", "kind"),
    [
        (Z, T, CLASSES),
        (Z, nn.functional.one_hot(T).double(), CLASSES),
        (P, P, CLASSES),
        (ONE, BINARY, LABELS),
        (ONE, BINARY[:, 0].long(), LABELS),
        (Z, (Z > 0).double(), LABELS),
        (ONE, ONE, NUMBERS),
        (ONE, T, NUMBERS),
        (Z, ONE, UNKNOWN),
    ],
)
def test_a_task_is_told_by_its_targets(outputs, targets, kind):
    assert task_of(outputs, targets).kind == kind


def test_class_numbers_that_were_regressed_on_are_rounded():
    assert task_of(ONE, T, whole=True).kind == CLASSES
    outputs = T.double()[:, None] + 0.4
    assert measured(outputs, T, Task(CLASSES), "mse").right == 1
    assert measured(outputs + 0.2, T, Task(CLASSES), "mse").right == 0


def test_the_model_is_judged_in_eval_mode_one_by_one_if_need_be():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.sizes = []

        def forward(self, x):
            assert not self.training
            self.sizes.append(len(x))
            return x

    program = OwnProgram(None, nn.MSELoss(), None, lambda: [(ONE[:4], ONE[:4])], None, "mse")
    model = Model()
    assert score(program, model, Task(NUMBERS)).rest == 0
    singly = OwnProgram(None, None, None, program.held, None, "mse", singly=True)
    assert score(singly, model, Task(NUMBERS)).rest == 0
    assert model.sizes == [4, 1, 1, 1, 1]


def test_of_an_unknown_task_the_own_loss_counts():
    program = OwnProgram(None, lambda z, t: z.sum(), None, lambda: [(ONE[:1], T)] * 2, None)
    found = score(program, nn.Identity(), Task(UNKNOWN))
    assert found.loss == pytest.approx(float(ONE[0, 0]))
