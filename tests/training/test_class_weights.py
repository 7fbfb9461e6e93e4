"""Weights of classes in training: the run that autograd makes with torch's weighted loss."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mlr.models import Linear, Mlp
from mlr.training.background import Background
from mlr.training.shuffling import Orders
from mlr.training.step import Program
from tests.training.conftest import dataset, experiment
from tests.training.test_log import trained
from tests.training.twin import optimizer

WEIGHTS = (0.5, 3.0, 1.25)
TINY, WIDE = Linear(), Mlp(widths=[12, 9], activation="relu")


class Dropped(nn.Module):
    """No dense network, so that it is differentiated by autograd."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 6), nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.first(x).relu()
        return self.last(hidden) + hidden.sum(-1, keepdim=True) * 0.1


def of_torch(run) -> tuple[nn.Module, list[float]]:
    """Train by autograd with F.cross_entropy; the losses of the batches."""
    module = copy.deepcopy(run.module).double()
    optim, losses = optimizer(run.optimizer, module.parameters()), []
    features, labels = run.data.train.features.double(), run.data.train.targets
    weight = torch.tensor(run.class_weights, dtype=torch.float64)
    for epoch in range(run.epochs):
        order = torch.from_numpy(Orders([run.seed], len(features)).epoch(epoch)[0].astype(int))
        for chosen in order.split(run.batch_size):
            each = F.cross_entropy(
                module(features[chosen]), labels[chosen], weight, reduction="none"
            )
            optim.zero_grad()
            each.mean().backward()
            optim.step()
            losses.append(each.mean().item())
    return module, losses


@pytest.mark.parametrize("kind", ["lanes", "narrow", "module"])
def test_a_weighted_run_is_that_of_torch(tmp_path, kind):
    changes = {"model": TINY if kind == "lanes" else WIDE}
    run = experiment(head="softmax", loss="ce", data=dataset(3), class_weights=WEIGHTS, **changes)
    if kind == "module":
        torch.manual_seed(0)
        module = Dropped().double()
        run = experiment(head="softmax", loss="ce", data=dataset(3), class_weights=WEIGHTS,
                         module=module)  # fmt: skip
    _, losses = of_torch(run)
    ((_, table),) = trained(tmp_path, [run])
    recorded = {step: row["loss/train"] for step, row in table.items() if "loss/train" in row}
    compared = {step: loss for step, loss in recorded.items() if step < len(losses)}
    assert max(compared) > 5
    assert compared == pytest.approx({step: losses[step] for step in compared}, rel=1e-9)


@pytest.mark.parametrize("model", [TINY, WIDE], ids=["lanes", "narrow"])
@pytest.mark.parametrize(
    ("head", "loss"),
    [
        *[("softmax", "ce"), ("sigmoid", "bce"), ("softmax", "se")],
        *[("coral", "bce"), ("cumulative", "ordinal_nll"), ("corn", "se")],
    ],
)
def test_losses_and_gradients_are_multiplied_by_the_weight_of_the_class(head, loss, model):
    runs = [
        experiment(head=head, loss=loss, data=dataset(3), model=model, class_weights=weights)
        for weights in (None, WEIGHTS, (1.0, 1.0, 1.0))
    ]
    program, plain = (Program(own, Background(0)) for own in (runs, runs[:1]))
    own_head = runs[0].objective.head
    outputs = own_head.outputs(3)
    z = torch.randn(len(program.lanes), 5, outputs, dtype=torch.float64)
    z[:] = z[:1]
    labels = torch.tensor([0, 1, 2, 1, 0])
    levels = torch.tensor([[0, 0], [1, 0], [1, 1], [1, 0], [0, 0]])
    t = (levels if own_head.ordered else F.one_hot(labels)).double().expand(len(z), 5, outputs)
    alone = plain.objectives
    size = len(plain.lanes)
    weight = torch.tensor(WEIGHTS, dtype=torch.float64)[labels]
    for name in ("losses", "gradient"):
        expected = getattr(alone, name)(z[:size], t[:size])[0]
        factor = weight if name == "losses" else weight[:, None]
        found = getattr(program.objectives, name)(z, t)
        for run, own in enumerate((expected, expected * factor, expected)):
            assert torch.equal(found[program.lane_of[run]], own)
    y = program.objectives.predictions(z)
    slopes = program.objectives.prediction_grads(y, t)
    expected = alone.prediction_grads(y[:size], t[:size])[0] * weight[:, None]
    assert torch.equal(slopes[program.lane_of[1]], expected)


def test_one_output_has_weights_of_two_classes():
    run = experiment(class_weights=(0.25, 4.0))
    objectives = Program([run], Background(0)).objectives
    lanes = objectives.options.weights.shape[0]
    z = torch.zeros(lanes, 2, 1, dtype=torch.float64)
    t = torch.tensor([[0.0], [1.0]], dtype=torch.float64).expand(lanes, 2, 1)
    assert objectives.gradient(z, t)[0, :, 0].tolist() == [0.5 * 0.25, -0.5 * 4]


@pytest.mark.parametrize("model", [TINY, WIDE], ids=["lanes", "narrow"])
def test_a_weighted_run_and_its_sibling_are_themselves_alone_to_the_bit(tmp_path, model):
    runs = [
        experiment(head="softmax", loss="ce", data=dataset(3), model=model, seed=seed,
                   class_weights=weights)
        for seed, weights in enumerate((None, WEIGHTS, (2.0, 0.0, 1.0)))
    ]  # fmt: skip
    together = trained(tmp_path / "together", runs)
    for number, (run, (_, table)) in enumerate(zip(runs, together, strict=True)):
        ((_, alone),) = trained(tmp_path / str(number), [run])
        assert table == alone


def test_runs_without_weights_compute_nothing_for_them():
    assert Program([experiment()], Background(0)).objectives.options is None
