"""Updates against torch.optim, its schedulers and its clipping, in a loop without mlr."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR, StepLR

from mlr.models import Mlp
from mlr.training import SGD, Adam, AdamW, Cosine, Step, train
from mlr.training.steppers import limit_norm
from tests.training.conftest import experiment
from tests.training.test_checkpointing import Kept
from tests.training.test_log import recorded

BATCH, STEPS = 16, 12  # 3 epochs of 50 examples: the last batch of each has 2

pytestmark = pytest.mark.filterwarnings(
    # SequentialLR calls the schedulers that follow in a way that torch deprecates
    "ignore:The epoch parameter in `scheduler.step:UserWarning"
)


def by_torch(run, make, schedule=None, limit=None):
    """Parameters, rates, and norms before clipping, of batches in the order of the data."""
    module = copy.deepcopy(run.module)
    optimizer = make(module.parameters())
    scheduler = schedule(optimizer) if schedule else None
    features, labels = run.data.train.features, run.data.train.targets.double()
    rates, norms = [], []
    for step in range(STEPS):
        at = step % 4 * BATCH
        optimizer.zero_grad()
        logits = module(features[at : at + BATCH])[:, 0]
        nn.functional.binary_cross_entropy_with_logits(logits, labels[at : at + BATCH]).backward()
        grads = torch.cat([own.grad.flatten() for own in module.parameters()])
        norms.append(grads.norm().item())
        if limit is not None:
            nn.utils.clip_grad_norm_(module.parameters(), limit)
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if scheduler:
            scheduler.step()
    return dict(module.named_parameters()), rates, norms


def run_of(optimizer, **changes):
    return experiment(optimizer=optimizer, steps=STEPS, shuffle=False, **changes)


def assert_same(result, expected, tolerance=1e-12):
    assert result.parameters.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(
            result.parameters[name], value.detach(), rtol=tolerance, atol=tolerance
        )


def both(mine, torchs, **settings):
    """The settings as an optimizer of mlr, and as one of torch."""
    beta1, beta2 = settings.pop("betas", (0.9, 0.999))
    own = {"beta1": beta1, "beta2": beta2} if mine is not SGD else {}
    betas = {"betas": (beta1, beta2)} if mine is not SGD else {}
    return mine(**settings, **own), lambda parameters: torchs(parameters, **settings, **betas)


# two runs of a program each, no number of which is that of the other
OPTIMIZERS = {
    "sgd": [both(SGD, torch.optim.SGD, lr=lr) for lr in (0.3, 0.5)],
    "decay": [
        both(SGD, torch.optim.SGD, lr=lr, weight_decay=decay)
        for lr, decay in ((0.3, 0.1), (0.5, 0.02))
    ],
    "momentum": [
        both(SGD, torch.optim.SGD, lr=lr, momentum=momentum, weight_decay=decay)
        for lr, momentum, decay in ((0.1, 0.9, 0.1), (0.2, 0.5, 0.3))
    ],
    "nesterov": [
        both(SGD, torch.optim.SGD, lr=lr, momentum=momentum, weight_decay=decay, nesterov=True)
        for lr, momentum, decay in ((0.1, 0.9, 0.1), (0.2, 0.5, 0.3))
    ],
    # an ε that counts, for its place under or beside the root
    "adam": [
        both(Adam, torch.optim.Adam, lr=lr, betas=betas, eps=eps)
        for lr, betas, eps in ((0.05, (0.9, 0.999), 1e-8), (0.1, (0.5, 0.7), 0.1))
    ],
    "adam, decay": [
        both(Adam, torch.optim.Adam, lr=lr, betas=betas, eps=eps, weight_decay=decay)
        for lr, betas, eps, decay in ((0.05, (0.9, 0.9), 1e-3, 0.1), (0.1, (0.5, 0.99), 0.1, 0.5))
    ],
    "adamw": [
        both(AdamW, torch.optim.AdamW, lr=lr, betas=betas, eps=eps, weight_decay=decay)
        for lr, betas, eps, decay in ((0.05, (0.9, 0.9), 1e-3, 0.1), (0.1, (0.5, 0.99), 0.1, 0.5))
    ],
}


def rising_and_falling(optimizer):
    # 4 updates at 1/4, 2/4, 3/4 and 1 of the rate, then half a cosine of 8
    rising = LinearLR(optimizer, start_factor=1 / 4, total_iters=3)
    return SequentialLR(optimizer, [rising, CosineAnnealingLR(optimizer, T_max=8)], [4])


SCHEDULES = {
    "constant": ({}, None),
    "warm-up and cosine": ({"schedule": Cosine(warmup_steps=4)}, rising_and_falling),
    "plateaus": (
        {"schedule": Step(drops=2, factor=0.3)},
        lambda optimizer: StepLR(optimizer, step_size=4, gamma=0.3),
    ),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_every_optimizer_under_every_schedule(kind, schedule):
    changes, scheduler = SCHEDULES[schedule]
    pairs = OPTIMIZERS[kind]
    model = Mlp(widths=[5], activation="tanh", init="torch")
    runs = [run_of(mine, model=model, seed=seed, **changes) for seed, (mine, _) in enumerate(pairs)]
    together, alone = Kept(), Kept()
    results = train(runs, policy=together.policy)
    for run, result, (_, make) in zip(runs, results, pairs, strict=True):
        assert_same(result, by_torch(run, make, scheduler)[0])
    train(runs[1:], policy=alone.policy)
    moments = together.states[-1][1].named("optimizer.")
    for name, own in alone.states[-1][0].named("optimizer.").items():
        assert own.equal(moments[name])


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_recorded_rate_is_that_of_each_update(tmp_path, schedule):
    changes, scheduler = SCHEDULES[schedule]
    run = run_of(SGD(lr=0.3), **changes)
    (table,) = recorded(tmp_path, [run])
    rows = {step: row["learning_rate"] for step, row in table.items() if "learning_rate" in row}
    _, rates, _ = by_torch(run, lambda own: torch.optim.SGD(own, lr=0.3), scheduler)
    assert list(rows) == list(range(STEPS))
    assert list(rows.values()) == pytest.approx(rates, rel=1e-12)


def test_moments_are_torchs():
    """After one update of a gradient g: velocity g + λθ, mean (1 − β₁)g, square (1 − β₂)g²."""
    decay = {"lr": 0.1, "weight_decay": 0.2}
    runs = [
        replace(run_of(one), steps=1)
        for one in (SGD(momentum=0.9, **decay), AdamW(beta1=0.8, beta2=0.7, **decay))
    ]
    module = copy.deepcopy(runs[0].module)
    logits = module(runs[0].data.train.features[:BATCH])[:, 0]
    labels = runs[0].data.train.targets[:BATCH].double()
    nn.functional.binary_cross_entropy_with_logits(logits, labels).backward()
    g = torch.cat([own.grad.flatten() for own in module.parameters()])
    theta = torch.cat([own.detach().flatten() for own in module.parameters()])
    ends = Kept(), Kept()
    for run, end in zip(runs, ends, strict=True):
        train([run], policy=end.policy)
    sgd, adamw = (end.states[-1][0].named("optimizer.") for end in ends)
    torch.testing.assert_close(sgd, {"velocity": g + 0.2 * theta})
    torch.testing.assert_close(adamw, {"mean": 0.2 * g, "square": 0.3 * g.square()})


@pytest.mark.parametrize(
    ("limit", "clipped"), [(0.01, {STEPS}), (0.3, range(1, STEPS)), (10.0, {0})]
)
def test_clipping_is_torchs(limit, clipped):
    """Of every update, of some, of none; each run of a program by its own limit."""
    make = lambda own: torch.optim.SGD(own, lr=0.5, momentum=0.5)  # noqa: E731
    runs = [
        run_of(SGD(lr=0.5, momentum=0.5), max_grad_norm=own, seed=seed)
        for seed, own in enumerate((limit, 0.1))
    ]
    for run, result in zip(runs, train(runs), strict=True):
        expected, _, norms = by_torch(run, make, limit=run.max_grad_norm)
        assert_same(result, expected)
        if run is runs[0]:
            assert sum(norm > limit for norm in norms) in clipped


@pytest.mark.parametrize("size", [4.0, 5.0 - 1e-3, 5.0, 5.0 + 1e-3, 50.0, 0.0])
def test_at_the_limit_it_is_torchs_too(size):
    """Of a norm of exactly the limit 5/(5 + 10⁻⁶) is left; 10⁻⁶ below it nothing changes."""
    own = torch.tensor([0.6, 0.8, 0.0], dtype=torch.float64) * size
    found = torch.stack([own, 2 * own])
    limit_norm(found, torch.tensor([[5.0], [10.0]], dtype=torch.float64))
    parameter = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    for row, scale in zip(found, (1.0, 2.0), strict=True):
        parameter.grad = scale * own
        nn.utils.clip_grad_norm_([parameter], 5.0 * scale)
        torch.testing.assert_close(row, parameter.grad, rtol=1e-15, atol=0)
    if size == 5.0:
        assert found[0].tolist() == pytest.approx(
            [3 * 5 / 5.000001, 4 * 5 / 5.000001, 0], rel=1e-15
        )
    if size < 5.0:
        assert found[0].equal(own)
