"""Weighted examples against a plain loop with torch's losses."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from mlr.data.base import Dataset, Split
from mlr.models import Linear, Mlp
from mlr.probes import ProbeSettings
from mlr.probes.settings import NAMES
from mlr.training import SGD, train
from tests.training.conftest import experiment
from tests.training.test_log import recorded

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(24, 3, generator=GENERATOR, dtype=torch.float64)
LABELS = (X[:, 0] - X[:, 1] > 0.3).long() + (X[:, 0] - X[:, 1] > 1).long()
WEIGHTS = torch.rand(24, generator=GENERATOR, dtype=torch.float64) * 3
WEIGHTS[:3] = 0
MODELS = {"lanes": Linear(), "narrow": Mlp(widths=[20], activation="tanh")}


class Other(nn.Module):
    """No nn.Sequential: differentiated by autograd."""

    def __init__(self):
        super().__init__()
        self.output = nn.Linear(3, 3)

    def forward(self, x):
        return self.output(x)


def weighted(weights=WEIGHTS, **changes):
    part = Split(X, LABELS)
    data = Dataset("weighted", replace(part, weights=weights), part, part, 3)
    settings = {"head": "softmax", "loss": "ce", "data": data, "shuffle": False, "batch_size": 10}
    return experiment(**settings | changes)


def by_torch(run):
    """The parameters after the same updates: mean over the batch of w·L, as torch computes L."""
    module = run.module
    names = [name for name, _ in module.named_parameters()]
    values = [own.detach().clone().requires_grad_() for own in module.parameters()]
    for _ in range(run.epochs):
        for start in range(0, 24, run.batch_size):
            rows = slice(start, start + run.batch_size)
            logits = torch.func.functional_call(
                module, dict(zip(names, values, strict=True)), (X[rows],)
            )
            losses = functional.cross_entropy(logits, LABELS[rows], reduction="none")
            gradients = torch.autograd.grad((losses * WEIGHTS[rows]).mean(), values)
            with torch.no_grad():
                for own, gradient in zip(values, gradients, strict=True):
                    own -= run.optimizer.lr * gradient
    return dict(zip(names, values, strict=True))


@pytest.mark.parametrize("model", [*MODELS, "autograd"])
def test_updates_are_those_of_the_weighted_mean(model):
    changes = {"module": Other().double()} if model == "autograd" else {"model": MODELS[model]}
    run = weighted(**changes)
    result, expected = train([run])[0], by_torch(run)
    for name, value in expected.items():
        torch.testing.assert_close(result.parameters[name], value.detach(), rtol=1e-10, atol=1e-12)
    logits = torch.func.functional_call(run.module, expected, (X,)).detach()
    losses = functional.cross_entropy(logits, LABELS, reduction="none")
    right = (logits.argmax(1) == LABELS).double()
    # training tells the loss that is trained on, held-out examples count once each
    assert result.metrics["loss/train"] == pytest.approx((losses * WEIGHTS).mean().item())
    assert result.metrics["loss/test"] == pytest.approx(losses.mean().item())
    assert result.metrics["loss/val"] == result.metrics["loss/test"]
    assert result.metrics["accuracy/train"] == pytest.approx(right.mean().item())
    gradients = (logits.softmax(1) - functional.one_hot(LABELS, 3)) * WEIGHTS[:, None]
    sizes = gradients.norm(dim=1)
    expected = (sizes * right).sum() / right.sum()
    assert result.metrics["logit_grad/right"] == pytest.approx(expected.item())
    # those of weight 0
    assert result.metrics["zero_grad/fraction"] == 3 / 24


def test_measured_numbers_are_those_of_the_weighted_loss(tmp_path):
    probes = ProbeSettings(**dict.fromkeys(NAMES, True), points="every:1", histograms=0)
    run = weighted(batch_size=24, epochs=1, probes=probes)
    first = recorded(tmp_path, [run])[0][0]
    logits = run.module(X)
    losses = functional.cross_entropy(logits, LABELS, reduction="none") * WEIGHTS
    assert first["loss/train"] == pytest.approx(losses.mean().item(), rel=1e-6)
    sizes = torch.autograd.grad(losses.sum(), logits, retain_graph=True)[0].norm(dim=1)
    assert first["logit_grad/mean"] == pytest.approx(sizes.mean().item(), rel=1e-6)
    total = torch.autograd.grad(losses.mean(), list(run.module.parameters()), retain_graph=True)
    norm = torch.cat([own.flatten() for own in total]).norm().item()
    assert first["grad_norm/total"] == pytest.approx(norm, rel=1e-6)
    y = logits.softmax(1).detach().requires_grad_()
    cost = -(y.log() * functional.one_hot(LABELS, 3)).sum(1) * WEIGHTS
    slopes = torch.autograd.grad(cost.sum(), y)[0].abs()
    wrong = logits.argmax(1) != LABELS
    own = slopes.gather(1, LABELS[:, None])[:, 0][wrong].mean()
    assert first["slope/loss_wrong"] == pytest.approx(own.item(), rel=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_weights_of_1_change_no_bit(model):
    plain = weighted(None, model=MODELS[model])
    ones = weighted(torch.ones(24, dtype=torch.float64), model=MODELS[model])
    one, other = train([plain])[0], train([ones])[0]
    assert one.metrics == other.metrics
    for name, value in one.parameters.items():
        assert torch.equal(value, other.parameters[name])


@pytest.mark.parametrize("model", MODELS)
def test_a_run_in_a_sweep_is_the_run_alone(model):
    """Also with losses of other kinds, and other weights of its own."""
    runs = [
        weighted(model=MODELS[model], seed=0),
        weighted(WEIGHTS.flip(0), model=MODELS[model], seed=1, loss="se"),
        weighted(model=MODELS[model], seed=2, head="sigmoid", loss="bce"),
        weighted(model=MODELS[model], seed=3),
    ]
    for own, one in zip(train(runs), runs, strict=True):
        alone = train([one])[0]
        assert own.metrics == alone.metrics
        assert own.anatomy == alone.anatomy


def test_shuffled_weights_stay_with_their_examples():
    """A weight of 0 is as good as no example, in whole batches."""
    weights = torch.tensor([1.0, 0.0] * 12, dtype=torch.float64)
    changes = {"shuffle": True, "batch_size": 24, "epochs": 5}
    result = train([weighted(weights, **changes)])[0]
    part = Split(X[::2], LABELS[::2])
    half = Dataset("half", part, part, part, 3)
    # of 24 examples half count, so that the mean is half as large
    other = train([weighted(data=half, **changes | {"batch_size": 12, "optimizer": SGD(lr=0.1)})])
    for name, value in result.parameters.items():
        torch.testing.assert_close(value, other[0].parameters[name], rtol=1e-12, atol=1e-14)


def test_several_labels_and_regressions_have_weights_too():
    targets = torch.stack([X[:, 0] > 0, X[:, 1] > 0], 1).double()
    for kind in (True, False):
        part = Split(X, targets)
        data = Dataset("w", replace(part, weights=WEIGHTS), part, part, None, multilabel=kind)
        from mlr.objectives import Objective

        head, loss = ("sigmoid", "bce") if kind else ("linear", "se")
        run = experiment(
            data=data,
            objective=Objective(head, loss, outputs=2),
            module=Linear().build((3,), 2, 0, "float64"),
        )
        result = train([run])[0]
        z = X @ result.parameters["output.weight"].T + result.parameters["output.bias"]
        if kind:
            costs = functional.binary_cross_entropy_with_logits(z, targets, reduction="none")
        else:
            costs = 0.5 * (z - targets) ** 2
        expected = (costs.sum(1) * WEIGHTS).mean().item()
        assert result.metrics["loss/train"] == pytest.approx(expected)
        assert result.metrics["loss/test"] == pytest.approx(costs.sum(1).mean().item())


def test_weights_of_examples_and_of_classes_multiply():
    """One update and the losses by numpy; held-out losses have the weight of the class alone."""
    run = weighted(batch_size=24, epochs=1, class_weights=(0.5, 3.0, 1.25))
    start = {name: own.detach().numpy().copy() for name, own in run.module.named_parameters()}
    result = train([run])[0]
    x, labels, examples = X.numpy(), LABELS.numpy(), WEIGHTS.numpy()
    classes = np.array([0.5, 3.0, 1.25])[labels]

    def shares(weight, bias):
        e = np.exp(x @ weight.T + bias)
        return e / e.sum(1, keepdims=True)

    p = shares(start["output.weight"], start["output.bias"])
    gradient = (p - np.eye(3)[labels]) * (examples * classes)[:, None] / 24
    weight = start["output.weight"] - 0.2 * gradient.T @ x
    bias = start["output.bias"] - 0.2 * gradient.sum(0)
    np.testing.assert_allclose(result.parameters["output.weight"], weight, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(result.parameters["output.bias"], bias, rtol=1e-9, atol=1e-12)
    losses = -np.log(shares(weight, bias)[np.arange(24), labels])
    assert result.metrics["loss/train"] == pytest.approx((losses * examples * classes).mean())
    assert result.metrics["loss/test"] == pytest.approx((losses * classes).mean())
    # a probability is judged without them
    assert result.calibration["test"]["nll"] == pytest.approx(losses.mean(), rel=1e-5)
