"""Modules with batch normalization, frozen parameters and dropout equal a plain loop over them."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mlr.core.checks import InputError
from mlr.probes import ProbeSettings
from mlr.probes.settings import NAMES
from mlr.records import RunFolder
from mlr.training import SGD, train
from mlr.training import module_plan as plans
from mlr.training.checkpoint import load_checkpoint, save_checkpoint
from mlr.training.checkpointing import CheckpointPolicy
from mlr.training.log import run_tags
from mlr.training.module_plan import plan_of
from tests.training.resnets import CLASSES, ResNet, by_torch, run_of

FROZEN = {"stem.weight", "stem.bias", "output.bias"}


@pytest.fixture
def parts(monkeypatch):
    """Batches are worth being divided."""
    monkeypatch.setattr(plans, "WORTH", 1)
    monkeypatch.setattr(plans, "PART", 500)


def assert_same_state(found, expected, exactly=False):
    assert found.keys() == expected.keys()
    for name, own in expected.items():
        if exactly:
            assert torch.equal(found[name], own), name
        else:
            torch.testing.assert_close(found[name], own, rtol=1e-9, atol=1e-10, msg=name)


def test_a_residual_network_equals_a_plain_loop(parts):
    run = run_of(max_grad_norm=0.5)
    (result,) = train([run])
    module = by_torch(run)
    assert_same_state(result.state_dict, module.state_dict())
    assert result.state_dict["norm.num_batches_tracked"] == run.total_steps == 12
    # evaluation reads the running statistics
    x, labels = run.data.test.features, run.data.test.targets
    expected = F.cross_entropy(module(x), labels).item()
    assert result.metrics["loss/test"] == pytest.approx(expected, rel=1e-9)
    moved = F.cross_entropy(copy.deepcopy(module).train()(x), labels).item()
    assert expected != pytest.approx(moved, rel=1e-3)


def test_the_callers_module_stays_as_it_was():
    run = run_of()
    before = {name: own.clone() for name, own in run.module.state_dict().items()}
    train([run])
    assert_same_state(run.module.state_dict(), before, exactly=True)


def test_frozen_parameters_stay_and_are_in_the_state_dict_alone():
    run = run_of()
    (result,) = train([run])
    names = {name for name, _ in run.module.named_parameters()}
    assert result.parameters.keys() == names - FROZEN
    for name in FROZEN:
        assert torch.equal(result.state_dict[name], run.module.state_dict()[name])
    assert result.buffers.keys() == {name for name, _ in run.module.named_buffers()}
    run.module.load_state_dict(result.state_dict)


def test_a_dense_network_with_a_frozen_layer_equals_a_plain_loop():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.Tanh(), nn.Linear(8, CLASSES))
    module[1].requires_grad_(False)
    run = run_of(module=module)
    (result,) = train([run])
    assert_same_state(result.state_dict, by_torch(run).state_dict())
    assert result.parameters.keys() == {"3.weight", "3.bias"}


def sweep():
    return [
        run_of(1, optimizer=SGD(lr=0.3, momentum=0.9)),
        run_of(0, optimizer=SGD(lr=0.05, momentum=0.9)),
        run_of(2, optimizer=SGD(lr=0.1, momentum=0.9)),
    ]


@pytest.mark.parametrize("threads", [1, 3])
def test_a_run_of_a_sweep_is_the_run_alone_to_the_bit(threads, parts):
    runs = [replace(run, dtype="float32", module=run.module.float()) for run in sweep()]
    (alone,) = train([runs[1]])
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        together = train(runs)[1]
    finally:
        torch.set_num_threads(before)
    assert_same_state(together.state_dict, alone.state_dict, exactly=True)
    assert together.metrics == alone.metrics


def test_a_batch_of_statistics_is_not_divided_and_runs_are_side_by_side(parts):
    assert plan_of(run_of(dtype="float32"))[:3] == (1, False, True)


class Fixed(nn.Module):
    """Statistics that stay, and a frozen weight."""

    def __init__(self, mean):
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.norm.running_mean.fill_(mean)
        self.inner = nn.Linear(36, 36)
        self.output = nn.Linear(36, CLASSES)
        self.inner.weight.requires_grad_(False)

    def train(self, mode=True):
        super().train(mode)
        self.norm.eval()
        return self

    def forward(self, x):
        return self.output(torch.tanh(self.inner(self.norm(x).flatten(1))))


def test_parts_of_a_batch_read_the_same_buffers_and_frozen_parameters(parts):
    torch.manual_seed(0)
    run = run_of(module=Fixed(3.0))
    assert plan_of(run).parts > 1
    (result,) = train([run])
    assert_same_state(result.state_dict, by_torch(run).state_dict())
    first = Kept()
    train([replace(run, epochs=1)], policy=first.policy)
    torch.manual_seed(9)
    resumed = replace(run, module=Fixed(0.0).double())
    assert not torch.equal(resumed.module.inner.weight, run.module.inner.weight)
    (again,) = train([resumed], policy=Kept(first.states[-1:]).policy)
    assert_same_state(again.state_dict, result.state_dict, exactly=True)


def test_a_counter_in_training_keeps_a_batch_whole(parts):
    class Counted(ResNet):
        def __init__(self):
            super().__init__()
            self.norm = nn.GroupNorm(2, 4)
            self.blocks = nn.Sequential()
            self.register_buffer("seen", torch.zeros(()))

        def forward(self, x):
            if self.training:
                self.seen += len(x)
            return super().forward(x)

    run = run_of(module=Counted())
    assert plan_of(run).parts == 1
    assert train([run])[0].state_dict["seen"] == 3 * len(run.data.train)


class Kept:
    """The states of every checkpoint of a single run."""

    def __init__(self, start=None):
        self.states = []
        keep = lambda states: self.states.append(states[0])  # noqa: E731
        self.policy = CheckpointPolicy(keep, 0.0, lambda: False, start)


def test_a_checkpoint_has_the_statistics_and_a_resumed_run_ends_with_the_same_bits(tmp_path):
    run = run_of(dropout=0.3)
    (expected,) = train([run], snapshots=[(1, 5)])
    first = Kept()
    train([replace(run, epochs=2)], snapshots=[(1, 5)], policy=first.policy)
    folder = RunFolder.claim(tmp_path / "run")
    save_checkpoint(folder, first.states[-1], {})
    state, _ = load_checkpoint(folder.checkpoint)
    assert state.step == 8
    assert state.tensors["model.norm.num_batches_tracked"] == 8
    # what the module is made of anew does not count
    other = run_of(5, dropout=0.3)
    again = replace(run, module=other.module)
    (found,) = train([again], snapshots=[(1, 5)], policy=Kept([state]).policy)
    assert_same_state(found.state_dict, expected.state_dict, exactly=True)
    assert found.metrics == expected.metrics
    for mine, yours in zip(found.snapshots, expected.snapshots, strict=True):
        assert mine.step == yours.step
        assert_same_state(mine.parameters, yours.parameters, exactly=True)
        assert_same_state(mine.buffers, yours.buffers, exactly=True)


def test_snapshots_have_the_statistics_of_their_time():
    run = run_of()
    (result,) = train([run], snapshots=[(5,)])
    (taken,) = result.snapshots
    expected = by_torch(replace(run, steps=5)).state_dict()
    assert_same_state(taken.parameters | taken.buffers | frozen_of(run), expected)


def frozen_of(run):
    return {name: run.module.state_dict()[name] for name in FROZEN}


def test_the_best_epoch_has_its_own_statistics():
    """After a long time at a senseless rate the best is behind."""
    run = run_of(optimizer=SGD(lr=3.0), epochs=6)
    kept = Kept()
    train([run], policy=kept.policy)
    state = kept.states[-1]
    assert 0 < state.best_step < state.step
    best = state.named("best.")
    shorter = train([replace(run, epochs=state.best_step // run.steps_per_epoch)])[0]
    assert_same_state(best | frozen_of(run), shorter.state_dict, exactly=True)
    # and goes along
    more = Kept([state])
    train([replace(run, epochs=7)], policy=more.policy)
    assert more.states[-1].best_step == state.best_step
    assert_same_state(more.states[-1].named("best."), best, exactly=True)


def test_a_run_that_diverges_is_restored_with_its_statistics():
    fine = run_of(0)
    lost = run_of(1, optimizer=SGD(lr=1e200, momentum=0.9, weight_decay=0.01))
    (alone,) = train([fine])
    found = train([lost, fine])
    assert found[0].status == "diverged"
    assert found[0].buffers["norm.num_batches_tracked"] == found[0].steps < fine.total_steps
    assert all(own.isfinite().all() for own in found[0].buffers.values())
    assert_same_state(found[1].state_dict, alone.state_dict, exactly=True)


def test_dropout_draws_for_each_run_as_for_the_run_alone():
    runs = [run_of(seed, dropout=0.5) for seed in (3, 4)]
    together = train(runs)
    for run, own in zip(runs, together, strict=True):
        assert_same_state(train([run])[0].state_dict, own.state_dict, exactly=True)
    same = replace(runs[1], module=runs[0].module, shuffle=False)
    other = replace(runs[0], shuffle=False)
    weights = [one.parameters["output.weight"] for one in train([same, other])]
    assert not torch.equal(*weights)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 1}, "batch_size=1 has a single example, of which batch normalization"),
        ({"batch_size": 7}, "last batch of an epoch, of 50 examples with batch_size=7"),
    ],
)
def test_a_batch_of_one_example_has_no_variance(changes, message):
    module = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(36), nn.Linear(36, CLASSES))
    run = run_of(module=module)
    with pytest.raises(InputError, match=message):
        train([replace(run, **changes)])
    train([replace(run, batch_size=7, drop_last=True, epochs=1)])


def test_a_model_of_several_values_is_refused():
    class Two(ResNet):
        def forward(self, x):
            return super().forward(x), x

    with pytest.raises(InputError, match="returns a tuple, not a tensor of logits"):
        train([run_of(module=Two())])


def test_a_module_without_buffers_has_none_in_its_result():
    dense = nn.Sequential(nn.Flatten(), nn.Linear(36, CLASSES))
    (result,) = train([run_of(module=dense)])
    assert result.buffers == {}
    assert result.parameters.keys() == result.state_dict.keys()


def test_frozen_layers_are_in_no_series():
    tags = run_tags(run_of(probes=ProbeSettings(**dict.fromkeys(NAMES, True))))
    assert any(tag.endswith("blocks/0/first") for tag in tags)
    assert not any("stem" in tag for tag in tags)


class Augmented(ResNet):
    """Mirrored at random in training, and computed in bfloat16, as in the documentation."""

    def forward(self, x):
        if self.training:
            x = torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(-1), x)
        with torch.autocast("cpu", torch.bfloat16):
            logits = super().forward(x)
        return logits.float()


def test_augmentation_and_autocast_are_the_runs_own(parts):
    runs = [run_of(seed, "float32", module=Augmented()) for seed in (1, 2)]
    alone = [train([run])[0] for run in runs]
    for own, one in zip(train(runs), alone, strict=True):
        assert_same_state(own.state_dict, one.state_dict, exactly=True)
    # evaluated without mirrors: in bfloat16, by the running statistics
    data, module = runs[0].data.test, copy.deepcopy(runs[0].module)
    module.load_state_dict(alone[0].state_dict)
    with torch.no_grad():
        expected = F.cross_entropy(module.eval()(data.features.float()), data.targets)
    assert alone[0].metrics["loss/test"] == pytest.approx(expected.item(), rel=1e-5)
    plain = train([run_of(1, "float32")])[0]
    assert not torch.equal(plain.parameters["output.weight"], alone[0].parameters["output.weight"])
