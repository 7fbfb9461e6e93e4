"""Optimizers and schedules of torch and of one's own equal plain loops with them."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from mlr.core.checks import DataError, InputError
from mlr.models import Linear, Mlp
from mlr.records import RunFolder
from mlr.records.run_folder import read_status
from mlr.training import SGD, LearningRate, Optimizer, train
from mlr.training.background import Background
from mlr.training.checkpoint import load_checkpoint, save_checkpoint
from mlr.training.checkpointing import CheckpointPolicy, Stopped
from mlr.training.experiment import program_key
from mlr.training.instantiate import make_part
from mlr.training.memory_layout import Layout
from mlr.training.own_stepper import OwnStepper
from mlr.training.shuffling import orders_of
from mlr.training.step import Program
from tests.training.conftest import experiment
from tests.training.resnets import by_torch as resnet_by_torch
from tests.training.resnets import run_of as resnet_run

HERE = [__name__]


def made(target, **options):
    return make_part("optimizer", {"_target_": target, **options}, Optimizer, HERE)


def scheduled(target, **options):
    return make_part("schedule", {"_target_": target, **options}, LearningRate, HERE)


class Noisy(torch.optim.SGD):
    """Langevin dynamics: draws at each update, and counts them."""

    def __init__(self, params, lr=0.1, noise=0.01):
        super().__init__(params, lr)
        self.param_groups[0]["noise"], self.param_groups[0]["count"] = noise, 0

    @torch.no_grad()
    def step(self, closure=None):
        group = self.param_groups[0]
        for own in group["params"]:
            self.state[own]["times"] = self.state[own].get("times", 0) + 1
            size = group["noise"] / (1 + group["count"])
            own.add_(own.grad / self.state[own]["times"], alpha=-group["lr"])
            own.add_(torch.randn(own.shape, dtype=own.dtype), alpha=size)
        group["count"] += 1


class Rising(lr_scheduler.LambdaLR):
    def __init__(self, optimizer, slope):
        super().__init__(optimizer, lambda step: 1 + slope * step)


MINE = f"{__name__}.Noisy"
OPTIMIZERS = {
    "RMSprop": {"lr": 0.02, "alpha": 0.9, "momentum": 0.5},
    "NAdam": {"lr": 0.05, "betas": [0.8, 0.9], "weight_decay": 0.1},
    "Adagrad": {"lr": 0.1},
    "Adadelta": {},
    "Rprop": {"lr": 0.01},
    "SGD": {"lr": 0.1, "momentum": 0.9, "dampening": 0.5},
    "Adafactor": {"lr": 0.1},
}
MODELS = {"lanes": Linear(), "narrow": Mlp(widths=[40], activation="tanh")}


def by_torch(run, make, scheduler=None):
    """The state_dict of a plain loop."""
    module = copy.deepcopy(run.module)
    optimizer = make(module.parameters())
    rates = scheduler and scheduler(optimizer)
    x, t = run.data.train.features, run.data.train.targets.double()
    orders = orders_of(True, [run.seed], len(x))
    for step in range(run.total_steps):
        epoch, at = divmod(step, run.steps_per_epoch)
        own = torch.from_numpy(orders.epoch(epoch)[0].astype("int64"))[at * 16 :][:16]
        optimizer.zero_grad()
        logits = module(x[own])[:, 0]
        nn.functional.binary_cross_entropy_with_logits(logits, t[own]).backward()
        optimizer.step()
        if rates is not None:
            rates.step()
    return module.state_dict()


def assert_close(found, expected):
    for name, own in expected.items():
        torch.testing.assert_close(found[name], own, rtol=1e-9, atol=1e-11, msg=name)


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], own) for name, own in expected.items())


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_of_torch_equals_the_plain_loop_alone_and_in_a_sweep(name, model):
    options = OPTIMIZERS[name]
    own = made(f"torch.optim.{name}", **options)
    run = experiment(optimizer=own, model=MODELS[model])
    (alone,) = train([run])
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    assert_close(alone.parameters, by_torch(run, lambda p: getattr(torch.optim, name)(p, **given)))
    others = [
        experiment(optimizer=replace(own, lr=2 * own.lr), model=MODELS[model], seed=seed)
        for seed in (5, 6)
    ]
    found = train([others[0], run, others[1]])[1]
    assert_equal(found.parameters, alone.parameters)
    assert found.metrics == alone.metrics


def test_a_residual_network_with_frozen_parameters():
    run = resnet_run(optimizer=made("torch.optim.RMSprop", lr=0.01), max_grad_norm=0.5)
    (result,) = train([run])
    module = resnet_by_torch(run, lambda trained: torch.optim.RMSprop(trained, lr=0.01))
    assert_close(result.state_dict, module.state_dict())
    sweep = [replace(run, optimizer=replace(run.optimizer, lr=0.1)), run]
    assert_equal(train(sweep)[1].state_dict, result.state_dict)


SCHEDULES = {
    "StepLR": {"step_size": 4, "gamma": 0.3},
    "CosineAnnealingLR": {"T_max": 12, "eta_min": 0.01},
    "OneCycleLR": {"max_lr": 0.4, "total_steps": 12, "cycle_momentum": False},
    "CyclicLR": {"base_lr": 0.1, "max_lr": 0.3, "step_size_up": 3, "cycle_momentum": False},
    "MultiStepLR": {"milestones": [3, 7]},
}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("optimizer", ["sgd", "RMSprop"])
def test_a_schedule_of_torch_equals_the_plain_loop(name, optimizer):
    own = SGD(lr=0.2) if optimizer == "sgd" else made("torch.optim.RMSprop", lr=0.2)
    run = experiment(
        optimizer=own,
        model=Mlp(widths=[3], activation="tanh"),
        schedule=scheduled(f"torch.optim.lr_scheduler.{name}", **SCHEDULES[name]),
    )
    kind = torch.optim.SGD if optimizer == "sgd" else torch.optim.RMSprop
    expected = by_torch(
        run,
        lambda p: kind(p, lr=0.2),
        lambda made: getattr(lr_scheduler, name)(made, **SCHEDULES[name]),
    )
    (result,) = train([run])
    assert_close(result.parameters, expected)


def test_rates_of_a_schedule_of_ones_own_and_runs_of_other_rates():
    schedule = scheduled(f"{__name__}.Rising", slope=0.5)
    assert schedule.factors(4, 0.2) == pytest.approx([1, 1.5, 2, 2.5], rel=1e-14)
    eta = scheduled("torch.optim.lr_scheduler.CosineAnnealingLR", T_max=2, eta_min=0.1)
    assert eta.factors(3, 0.2) == pytest.approx([1, 0.75, 0.5], rel=1e-14)
    assert eta.factors(3, 0.4) == pytest.approx([1, 0.625, 0.25], rel=1e-14)
    runs = [experiment(schedule=eta, optimizer=SGD(lr=lr)) for lr in (0.2, 0.4)]
    with pytest.raises(InputError, match=r"must share optimizer\.lr"):
        train(runs)


class Kept:
    def __init__(self, start=None, stop_after=None):
        self.states, self.left = [], stop_after
        self.policy = CheckpointPolicy(self.states.append, 0.0, self.asked, start)

    def asked(self):
        self.left = None if self.left is None else self.left - 1
        return self.left == 0


@pytest.mark.parametrize("target", ["torch.optim.NAdam", "torch.optim.Adafactor", MINE])
@pytest.mark.parametrize("model", MODELS)
def test_a_run_goes_on_with_what_its_optimizer_remembers(target, model, tmp_path):
    runs = [
        experiment(optimizer=made(target, lr=lr), model=MODELS[model], seed=seed)
        for seed, lr in enumerate((0.1, 0.02))
    ]
    expected = train(runs)
    first = Kept(stop_after=5)
    with pytest.raises(Stopped):
        train(runs, policy=first.policy)
    loaded = []
    for number, state in enumerate(first.states[-1]):
        folder = RunFolder.claim(tmp_path / str(number))
        save_checkpoint(folder, state, {})
        loaded.append(load_checkpoint(folder.checkpoint)[0])
    found = train(runs, policy=Kept(loaded).policy)
    for one, other in zip(found, expected, strict=True):
        assert_equal(one.parameters, other.parameters)
    wrong = [replace(run, optimizer=made("torch.optim.Adagrad", lr=0.1)) for run in runs]
    with pytest.raises(DataError, match="another model or optimizer"):
        train(wrong, policy=Kept(loaded).policy)


def test_what_is_drawn_is_each_runs_own():
    runs = [experiment(optimizer=made(MINE, lr=0.1), seed=seed) for seed in (3, 4)]
    together = train(runs)
    for run, own in zip(runs, together, strict=True):
        assert_equal(train([run])[0].parameters, own.parameters)
    same = [replace(run, shuffle=False, module=runs[0].module) for run in runs]
    weights = [own.parameters["output.weight"] for own in train(same)]
    assert not torch.equal(*weights)
    before = torch.get_rng_state()
    train(runs)
    assert torch.equal(before, torch.get_rng_state())


def test_a_run_that_diverges_leaves_the_others_as_they_were():
    fine = experiment(optimizer=made("torch.optim.RMSprop", lr=0.1))
    lost = experiment(optimizer=made("torch.optim.RMSprop", lr=1e308), seed=1)
    (alone,) = train([fine])
    kept = Kept()
    found = train([lost, fine], policy=kept.policy)
    assert (found[0].status, found[0].steps) == ("diverged", 0)
    assert_equal(found[1].parameters, alone.parameters)
    more = [replace(one, epochs=4) for one in (lost, fine)]
    again = train(more, policy=Kept(kept.states[-1]).policy)
    assert again[0].status == "diverged"
    assert_equal(again[1].parameters, train([replace(fine, epochs=4)])[0].parameters)


def test_a_run_that_ends_early_is_checkpointed_as_its_optimizer_was_then():
    early, late = (
        experiment(optimizer=made("torch.optim.RMSprop", lr=3.0), epochs=9, patience=patience)
        for patience in (1, None)
    )
    kept, alone = Kept(), Kept()
    ended, _ = train([early, late], policy=kept.policy)
    assert ended.steps < 9 * early.steps_per_epoch
    train([replace(early, steps=ended.steps, patience=None)], policy=alone.policy)
    expected = alone.states[-1][0].named("optimizer.")
    assert "output.weight.square_avg" in expected
    assert_equal(kept.states[-1][0].named("optimizer."), expected)


@pytest.mark.parametrize("target", [MINE, "torch.optim.NAdam"])
def test_an_optimizer_that_is_loaded_repeats_its_updates(target):
    layout = Layout.of(nn.Linear(3, 2))
    flat, grads = torch.randn(2, layout.size), torch.randn(2, layout.size)
    own = OwnStepper([made(target, lr=0.1)] * 2, [3, 4], layout, flat, grads)
    states, rows = [own.held([0, 1])], [flat.clone()]
    assert states == [[{}, {}]]  # before the first update nothing is remembered
    for number in (1, 2):
        own.step(flat, grads, 1.0, number)
        states.append(own.held([0, 1]))
        rows.append(flat.clone())
    for number in (2, 1):
        own.load([1, 0], states[number - 1][::-1])
        flat.copy_(rows[number - 1])
        own.step(flat, grads, 1.0, number)
        assert torch.equal(flat, rows[number])


def test_rows_begin_at_equal_addresses():
    """Modulo 64 bytes, by which products of an optimizer may round."""
    runs = [resnet_run(seed, optimizer=made("torch.optim.Adagrad")) for seed in range(3)]
    program = Program(runs, Background(0))
    assert len({row.data_ptr() % 64 for row in program.parameters}) == 1
    columns = program.layout.columns.values()
    assert all(own.start % 16 == 0 for own in columns)


class Groups(torch.optim.SGD):
    def __init__(self, params, lr=0.1):
        super().__init__([{"params": [own]} for own in params], lr)


class Listing(torch.optim.SGD):
    def step(self, closure=None):
        super().step()
        self.state[self.param_groups[0]["params"][0]]["past"] = [1]


class Failing(torch.optim.SGD):
    def step(self, closure=None):
        raise RuntimeError("no luck")


class Rateless(torch.optim.Optimizer):
    def __init__(self, params):
        super().__init__(params, {})


class Rate(torch.optim.SGD):
    def __init__(self, params, lr):
        super().__init__(params, lr)


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("torch.optim.LBFGS", {}, "LBFGS evaluates the loss several times an update"),
        ("torch.optim.RMSprop", {"alpah": 1}, r"alpah of RMSprop.*alpha"),
        ("torch.optim.RMSprop", {"alpha": -1}, "RMSprop cannot be made of .*Invalid alpha"),
        ("torch.optim.RMSprop", {"lr": -1}, r"optimizer\.lr"),
        ("torch.optim.RMSprop", {"alpha": {}}, r"optimizer\.alpha is a dict"),
        ("torch.optim.swa_utils.AveragedModel", {}, "is not a public class of torch.optim"),
        ("torch.optim.lr_scheduler.StepLR", {"step_size": 1}, "is not a mlr.training"),
        ("torch.optim.SparseAdam", {}, "SparseAdam fails in an update: .*dense gradients"),
        (f"{__name__}.Groups", {}, r"Groups makes 2 groups of parameters; there must be one"),
        (f"{__name__}.Listing", {}, r"remembers output\.weight\.past as a list"),
        (f"{__name__}.Failing", {}, "Failing fails in an update: no luck"),
        (f"{__name__}.Rateless", {}, "Rateless has no argument lr"),
        (f"{__name__}.Rate", {}, r"optimizer\.lr has no value yet"),
    ],
)
def test_optimizers_that_cannot_be_used_are_refused(target, options, message):
    with pytest.raises(InputError, match=message):
        train([experiment(optimizer=made(target, **options))])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ReduceLROnPlateau", {}, "reads the validation loss"),
        ("StepLR", {}, r"schedule\.step_size has no value yet"),
        ("StepLR", {"step_size": 0}, "StepLR fails with"),
        ("OneCycleLR", {"max_lr": 1.0, "total_steps": 5, "cycle_momentum": False}, "fails with"),
        ("OneCycleLR", {"max_lr": 1.0, "total_steps": 99}, "changes .*momentum of the optimizer"),
        ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.3}, "changes momentum of the optimizer"),
        ("LambdaLR", {"lr_lambda": "x"}, "LambdaLR fails with"),
        ("ExponentialLR", {"gamma": -1.0}, r"gives the learning rate -0\.2"),
    ],
)
def test_schedules_that_cannot_be_used_are_refused(name, options, message):
    def trained():
        schedule = scheduled(f"torch.optim.lr_scheduler.{name}", **options)
        train([experiment(schedule=schedule, optimizer=SGD(lr=0.2))])

    with pytest.raises(InputError, match=message):
        trained()


def test_runs_of_other_momenta_are_a_program_each(train):
    """Their optimizers remember other things; that of the rate 100 ends early."""
    rates = {
        program_key(experiment(optimizer=made("torch.optim.SGD", lr=rate, momentum=share)))
        for rate in (0.1, 0.5)
        for share in (0.0, 0.9)
    }
    assert len(rates) == 2
    finished = train(
        *("-m", "data=blobs", "data.n=100", "probes=off", "epochs=8", "patience=1", "batch_size=8"),
        *("optimizer=custom", "optimizer._target_=torch.optim.SGD", "+optimizer.momentum=0,0.9"),
        *("optimizer.lr=0.01,100",),
    )
    assert finished.code == 0, finished.err
    ends = [read_status(folder) for folder in finished.runs]
    assert len(ends) == 4
    steps = {"lr=0.01": [], "lr=100": []}
    for end in ends:
        (rate,) = (name for name in steps if any(name in typed for typed in end["overrides"]))
        steps[rate].append(end["steps"])
    assert max(steps["lr=100"]) < min(steps["lr=0.01"])
