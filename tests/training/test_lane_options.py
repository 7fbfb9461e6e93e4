"""Weights, smoothing, prior and temperature along the run axis: torch's losses of them."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mlr.core.checks import InputError
from mlr.data.base import Dataset, Split
from mlr.losses import SmoothedCrossEntropy
from mlr.models import Linear, Mlp
from mlr.probes import ProbeSettings
from mlr.training.background import Background
from mlr.training.experiment import program_key
from mlr.training.shuffling import Orders
from mlr.training.step import Program
from tests.training.conftest import dataset, experiment
from tests.training.test_log import trained
from tests.training.twin import optimizer

TINY, WIDE = Linear(), Mlp(widths=[12, 9], activation="relu")
WEIGHTS = (0.6, 3.1, 1.3)
PRIOR = torch.tensor([0.7, 0.1, 0.2], dtype=torch.float64)
POS = torch.tensor([4.0, 0.25, 2.0], dtype=torch.float64)
OF_CE = (
    ({}, None),
    ({"label_smoothing": 0.1}, None),
    ({"label_smoothing": 0.3}, WEIGHTS),
    ({"prior": PRIOR}, None),
    ({"temperature": 0.25}, WEIGHTS),
    ({"label_smoothing": 0.2, "temperature": 3.0, "prior": PRIOR}, WEIGHTS),
)
OF_BCE = (
    ({}, None),
    ({"pos_weight": POS}, None),
    ({"pos_weight": POS.flip(0), "temperature": 2.0}, WEIGHTS),
    ({}, WEIGHTS),
)


def cross_entropy(z, labels, options, weights):
    """Losses of torch for each example."""
    shifted = z / options.get("temperature", 1.0)
    if "prior" in options:
        shifted = shifted + options["prior"].log()
    weight = None if weights is None else torch.tensor(weights, dtype=z.dtype)
    smoothing = options.get("label_smoothing", 0.0)
    return F.cross_entropy(shifted, labels, weight, reduction="none", label_smoothing=smoothing)


def binary(z, labels, options, weights):
    t = F.one_hot(labels, 3).to(z.dtype)
    each = F.binary_cross_entropy_with_logits(
        *(z / options.get("temperature", 1.0), t),
        pos_weight=options.get("pos_weight"),
        reduction="none",
    ).sum(-1)
    return each if weights is None else each * torch.tensor(weights, dtype=z.dtype)[labels]


def runs_of(head, loss, cases, **changes):
    return [
        experiment(head=head, loss=loss, data=dataset(3), options=options, class_weights=weights,
                   **changes)
        for options, weights in cases
    ]  # fmt: skip


def of_torch(run, losses_of) -> list[float]:
    """Train by autograd; the mean losses of the batches."""
    module = copy.deepcopy(run.module).double()
    optim, losses = optimizer(run.optimizer, module.parameters()), []
    features, labels = run.data.train.features.double(), run.data.train.targets
    for epoch in range(run.epochs):
        order = torch.from_numpy(Orders([run.seed], len(features)).epoch(epoch)[0].astype(int))
        for chosen in order.split(run.batch_size):
            mean = losses_of(module(features[chosen]), labels[chosen]).mean()
            optim.zero_grad()
            mean.backward()
            optim.step()
            losses.append(mean.item())
    return losses


@pytest.mark.parametrize("model", [TINY, WIDE], ids=["lanes", "narrow"])
def test_losses_and_gradients_of_every_lane_are_those_of_torch(model):
    for head, loss, cases, reference in (
        ("softmax", "ce", OF_CE, cross_entropy),
        ("sigmoid", "bce", OF_BCE, binary),
    ):
        runs = runs_of(head, loss, cases, model=model)
        assert len({program_key(run) for run in runs}) == 1
        order = sorted(range(len(runs)), key=lambda run: str(runs[run].function))
        program = Program([runs[run] for run in order], Background(0))
        torch.manual_seed(1)
        z = torch.randn(len(program.lanes), 7, 3, dtype=torch.float64) * 3
        labels = torch.tensor([0, 1, 2, 1, 0, 2, 2])
        t = F.one_hot(labels, 3).double().expand_as(z).clone()
        found = program.objectives.losses(z, t), program.objectives.gradient(z, t)
        y = program.objectives.predictions(z)
        chains = program.objectives.prediction_grads(y, t)
        for place, run in enumerate(order):
            lane = program.lane_of[place]
            own = z[lane].clone().requires_grad_()
            losses = reference(own, labels, *cases[run])
            (slopes,) = torch.autograd.grad(losses.sum(), own)
            torch.testing.assert_close(found[0][lane], losses.detach(), rtol=1e-12, atol=1e-14)
            torch.testing.assert_close(found[1][lane], slopes, rtol=1e-11, atol=1e-14)
            if {"prior", "temperature"} & set(cases[run][0]):
                assert chains[lane].isnan().all()  # the loss is of other predictions
                continue
            # dL/dz is dL/dy through the head
            back = (torch.softmax if head == "softmax" else lambda v, _: v.sigmoid())(own, -1)
            (through,) = torch.autograd.grad((back * chains[lane]).sum(), own)
            torch.testing.assert_close(through, slopes, rtol=1e-9, atol=1e-12)


def test_weights_of_smoothed_ce_are_those_of_smoothed_targets():
    runs = [
        experiment(head="softmax", loss=SmoothedCrossEntropy(epsilon=0.2), data=dataset(3),
                   class_weights=weights)
        for weights in (None, WEIGHTS)
    ]  # fmt: skip
    z = torch.randn(7, 3, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 1, 0, 2, 2])
    t = F.one_hot(labels, 3).double()
    for run in runs:
        program = Program([run], Background(0))
        shape = (len(program.lanes), 7, 3)
        found = program.objectives.losses(z.expand(shape).clone(), t.expand(shape).clone())[0]
        expected = cross_entropy(z, labels, {"label_smoothing": 0.2}, run.class_weights)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


def test_a_run_is_that_of_torch(tmp_path):
    for head, loss, cases, reference in (
        ("softmax", "ce", OF_CE, cross_entropy),
        ("sigmoid", "bce", OF_BCE[:-1], binary),
    ):
        (run,) = runs_of(head, loss, cases[-1:], model=WIDE)
        losses = of_torch(run, lambda z, labels, c=cases[-1], f=reference: f(z, labels, *c))
        ((_, table),) = trained(tmp_path / head, [run])
        recorded = {step: row["loss/train"] for step, row in table.items() if "loss/train" in row}
        compared = {step: loss for step, loss in recorded.items() if step < len(losses)}
        assert max(compared) > 5
        assert compared == pytest.approx({step: losses[step] for step in compared}, rel=1e-8)


@pytest.mark.parametrize("model", [TINY, WIDE], ids=["lanes", "narrow"])
def test_runs_with_other_options_are_themselves_alone_to_the_bit(tmp_path, model):
    smoothed_ce = [
        experiment(head="softmax", loss="smoothed_ce", data=dataset(3), model=model,
                   class_weights=weights)
        for weights in (None, WEIGHTS)
    ]  # fmt: skip
    runs = [
        *runs_of("softmax", "ce", OF_CE, model=model),
        *smoothed_ce,
        *runs_of("sigmoid", "bce", OF_BCE, model=model),
    ]
    together = trained(tmp_path / "together", runs)
    for number in (0, 2, 5, 6, 7, 9, 11):
        ((_, alone),) = trained(tmp_path / str(number), [runs[number]])
        assert together[number][1] == alone


def test_wrong_and_right_gradients_and_stuck_shares_are_of_the_weighted_loss(tmp_path):
    """A class of weight 0 is stuck by definition; others by S·(q(π) − t), as NumPy has it."""
    weights, smoothing, temperature = (0.0, 2.0, 1.0), 0.1, 2.0
    part = dataset(3).train
    own = np.where(np.arange(len(part.targets)) % 2, 0.5, 1.5)
    train = Split(part.features, part.targets, torch.from_numpy(own))
    data = Dataset("made", train, dataset(3).val, dataset(3).test, 3)
    options = {"label_smoothing": smoothing, "temperature": temperature}
    run = experiment(head="softmax", loss="ce", data=data, options=options, class_weights=weights,
                     probes=ProbeSettings(), epochs=1)  # fmt: skip
    ((result, _),) = trained(tmp_path, [run])
    x, labels = part.features.numpy(), part.targets.numpy()
    w = np.array(weights)
    slope, intercept = sorted((v.numpy() for v in result.parameters.values()), key=np.ndim)[::-1]
    z = x @ slope.T + intercept
    y = np.exp(z / temperature)
    y /= y.sum(1, keepdims=True)
    mass = w * ((1 - smoothing) * np.eye(3)[labels] + smoothing / 3)
    grads = (mass.sum(1, keepdims=True) * y - mass) / temperature * own[:, None]
    sizes, wrong = np.linalg.norm(grads, axis=1), z.argmax(1) != labels
    assert 3 < wrong.sum() < 40
    stuck = (wrong & (sizes < run.probes.threshold)).mean()
    assert result.metrics["stuck/fraction"] == pytest.approx(stuck)
    assert stuck > 0
    assert result.metrics["logit_grad/wrong"] == pytest.approx(sizes[wrong].mean(), rel=1e-9)
    assert result.metrics["logit_grad/right"] == pytest.approx(sizes[~wrong].mean(), rel=1e-9)


def test_an_objective_with_weights_of_its_own_is_refused():
    with pytest.raises(InputError, match=r"weight of its own.*give class_weights"):
        experiment(head="softmax", loss="ce", data=dataset(3), options={"weight": [1, 2, 3]})


def test_one_output_is_two_classes_for_smoothed_targets():
    options, weights = {"label_smoothing": 0.2}, (0.6, 3.1)
    run = experiment(head="sigmoid", loss="ce", options=options, class_weights=weights)
    program = Program([run], Background(0))
    z, labels = (
        torch.tensor([-1.3, 0.4, 2.0, -0.2], dtype=torch.float64),
        torch.tensor([0, 1, 0, 1]),
    )
    shape = (len(program.lanes), 4, 1)
    lanes = (own.unsqueeze(1).expand(shape).clone() for own in (z, labels.double()))
    logits, targets = lanes
    both = torch.stack([torch.zeros_like(z), z], 1)
    expected = cross_entropy(both, labels, options, weights)
    found = program.objectives.losses(logits, targets)[0]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
