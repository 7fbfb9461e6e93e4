"""A head or loss of one's own is tried before the first update."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mlr.core.checks import InputError
from mlr.core.domains import REALS, UNIT
from mlr.losses import Loss
from mlr.models import Linear, Mlp
from mlr.objectives.trial import EXAMPLES
from mlr.training import train, trial
from tests.training.conftest import dataset, experiment


class Weighted(Loss):
    """A logistic loss of logits, the second class with a weight in a tensor."""

    name, target_domain, on_logits = "weighted", UNIT, True

    def __init__(self, weight=3.0):
        self.weight = torch.tensor([weight], dtype=torch.float64)

    def __call__(self, predictions, targets):
        costs = F.softplus((1 - 2 * targets) * predictions)
        return (costs * (1 + (self.weight - 1) * targets)).sum(-1)


class Standardised(Loss):
    """Divided by a statistic of the batch."""

    name, domain, target_domain = "standardised", REALS, REALS

    def __call__(self, predictions, targets):
        errors = predictions - targets
        return (errors / errors.std()).square().sum(-1)


@pytest.fixture(autouse=True)
def nothing_tried(monkeypatch):
    monkeypatch.setattr(trial, "_tried", {})


@pytest.mark.parametrize("classes", [2, None])
def test_a_loss_of_the_batch_is_refused_before_any_update(classes):
    run = experiment(head="linear", loss=Standardised(), data=dataset(classes))
    with pytest.raises(InputError, match="loss=standardised couples examples"):
        train([run])


def test_a_loss_on_logits_trains_as_a_plain_loop():
    run = experiment(loss=Weighted(), model=Mlp(widths=[4]), shuffle=False, batch_size=50)
    (result,) = train([run])
    module, x = run.module, run.data.train.features
    t = run.data.train.targets.double().unsqueeze(1)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.2)
    for _ in range(run.total_steps):
        optimizer.zero_grad()
        weight = torch.tensor([3.0], dtype=torch.float64)
        F.binary_cross_entropy_with_logits(module(x), t, pos_weight=weight).backward()
        optimizer.step()
    for name, own in module.state_dict().items():
        torch.testing.assert_close(result.parameters[name], own, rtol=1e-10, atol=1e-12)


def test_runs_with_losses_that_hold_tensors_share_a_program():
    losses = [Weighted(1.0), Weighted(5.0)]
    together = train([experiment(loss=own, model=Linear()) for own in losses])
    for own, result in zip(losses, together, strict=True):
        (alone,) = train([experiment(loss=own, model=Linear())])
        assert alone.metrics == result.metrics
    assert together[0].metrics != together[1].metrics


def test_runs_of_a_sweep_share_one_trial_and_parts_of_mlr_have_none(monkeypatch):
    tried = []
    monkeypatch.setattr(trial, "try_loss", lambda *given: tried.append(given))
    own = Weighted()
    for seed in range(3):
        trial.try_parts(experiment(loss=own, seed=seed))
        trial.try_parts(experiment(seed=seed))
    assert len(tried) == 1
    trial.try_parts(experiment(loss=Weighted()))
    assert len(tried) == 2


def test_a_trial_leaves_the_random_state():
    before = torch.get_rng_state()
    trial.try_parts(experiment(loss=Weighted()))
    assert torch.equal(before, torch.get_rng_state())


def test_few_examples_are_tried_more_than_once(monkeypatch):
    seen = []
    monkeypatch.setattr(trial, "try_loss", lambda _, z, t: seen.append(t[:, 0].tolist()))
    run = experiment(loss=Weighted(), data=dataset(2, 4), batch_size=2)
    trial.try_parts(run)
    (tried,) = seen
    labels = run.data.train.targets.tolist()
    assert len(tried) == EXAMPLES > 4
    assert tried == [labels[at % 4] for at in range(EXAMPLES)]


def test_every_objective_of_the_runs_is_tried():
    runs = [experiment(head="linear", loss=own) for own in ("se", Standardised())]
    with pytest.raises(InputError, match="loss=standardised couples examples"):
        train(runs)


def test_a_last_batch_of_one_that_is_never_reached_is_not_refused():
    for steps, refused in ((1, False), (3, False), (4, True), (None, True)):
        module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)).double()
        run = experiment(module=module, data=dataset(2, 49), batch_size=16, steps=steps)
        with pytest.raises(InputError, match="single example") if refused else nullcontext():
            trial.try_parts(run)
