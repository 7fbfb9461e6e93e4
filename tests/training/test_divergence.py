"""A run that diverges ends before the update that would have made it, and no sibling notices."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from mlr.models import Mlp
from mlr.training import SGD, train
from mlr.training.checkpointing import Stopped
from mlr.training.divergence import DivergenceGuard
from tests.training.conftest import dataset, experiment
from tests.training.test_checkpointing import Kept, assert_equal, noisy
from tests.training.test_log import trained

WILD = {"head": "linear", "loss": "se", "epochs": 20}


def wild(lr=1e100, **changes):
    return experiment(optimizer=SGD(lr=lr, momentum=0.5), **WILD, **changes)


def noisy_wild(lr):
    return replace(noisy(1), optimizer=SGD(lr=lr), epochs=8)


KINDS = {
    "lanes": lambda: [wild(0.01), wild(), wild(0.02)],
    "narrow": lambda: [wild(lr, model=Mlp(widths=[40])) for lr in (0.01, 1e100, 0.02)],
    "wide": lambda: [
        wild(lr, model=Mlp(widths=[512, 512]), data=dataset(count=64), batch_size=16)
        for lr in (1e-4, 1e100)
    ],
    "module": lambda: [noisy_wild(0.01), noisy_wild(1e300), noisy_wild(0.02)],
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_update_before_is_the_last(kind):
    runs = KINDS[kind]()
    kept, short = Kept(), Kept()
    first, lost, *others = train(runs, policy=kept.policy)
    assert lost.status == "diverged"
    assert lost.refused["update"] == lost.steps + 1
    assert all(own.isfinite().all() for own in lost.parameters.values())
    assert all(own.isfinite().all() for own in lost.state_dict.values())
    assert all(math.isnan(number) for number in lost.metrics.values())
    if lost.steps:
        (shorter,) = train([replace(runs[1], steps=lost.steps)], policy=short.policy)
        assert all(lost.state_dict[key].equal(own) for key, own in shorter.state_dict.items())
        moments = short.states[-1][0].named("optimizer.")
        for key, own in kept.states[-1][1].named("optimizer.").items():
            assert own.equal(moments[key])
    for run, found in zip((runs[0], *runs[2:]), (first, *others), strict=True):
        assert found.status == "done"
        assert_equal([found], train([run]))


def test_the_refused_update_is_named_to_the_example():
    run, kept = wild(), Kept()
    (lost,) = train([run], policy=kept.policy)
    update, tensor, numbers = (lost.refused[name] for name in ("update", "tensor", "examples"))
    assert f"update {update} was refused" in lost.reason
    assert tensor in lost.reason
    # the same step by hand: what is named is the first that is not finite
    split = run.data.train
    inputs = split.features[numbers].to(torch.float64)
    values = split.targets[numbers].to(torch.float64)
    weight, bias = (lost.parameters[name] for name in ("output.weight", "output.bias"))
    logits = inputs @ weight.T + bias
    delta = logits - values.view_as(logits)
    gradient = delta.T @ inputs / len(inputs)
    velocity = kept.states[-1][0].tensors["optimizer.velocity"][: weight.numel()].view_as(weight)
    changed = weight - run.optimizer.lr * (run.optimizer.momentum * velocity + gradient)
    order = {
        "a logit": logits,
        "the gradient at a logit": delta,
        "the gradient of output.bias": delta.mean(0),
        "the gradient of output.weight": gradient,
        "the updated output.weight": changed,
    }
    bad = [name for name, own in order.items() if not own.isfinite().all()]
    assert bad[0] == tensor


def with_one_too_large(number, **changes):
    """A run of drop_last that refuses the update that first sees an example: that number."""
    one = dataset()
    features = one.train.features.clone()
    features[number] = 1e200  # squared, it is not finite
    data = replace(one, train=replace(one.train, features=features))
    changes = {"drop_last": True, "optimizer": SGD(lr=0.01)} | changes
    return experiment(data=data, seed=number, **WILD | changes)


def test_the_examples_of_a_refused_update_are_those_of_its_epoch_and_batch():
    """Of 50 examples 2 batches of 17 are seen in each epoch, and 16 others are left out.

    Where an example is first seen in a later epoch, no batch of an earlier one holds it.
    """
    updates = []
    for number, result in enumerate(
        train([with_one_too_large(k, batch_size=17) for k in range(50)])
    ):
        assert result.status == "diverged"
        assert result.refused["tensor"] == "the gradient of output.weight"
        assert result.refused["update"] == result.steps + 1
        examples = result.refused["examples"]
        assert number in examples
        assert len(set(examples)) == len(examples) == 17
        updates.append(result.refused["update"])
    # first and second batches, of the first epoch and of later ones
    assert {1, 2, 3, 4} < set(updates)


def test_the_validation_before_a_refused_update_stays_recorded(tmp_path):
    """The epoch before ends with the last update that was done: its row is the run's own."""
    runs = [with_one_too_large(number, batch_size=34) for number in range(20)]
    later = [run for run, result in zip(runs, train(runs), strict=True) if result.steps > 1]
    ((result, table),) = trained(tmp_path, later[:1])
    judged = {step: row["loss/val"] for step, row in table.items() if "loss/val" in row}
    # one update an epoch; the refused one has no number
    assert list(judged) == [*range(1, result.steps + 2)]
    assert [step for step, loss in judged.items() if math.isnan(loss)] == [result.steps + 1]


@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_no_refusal_depends_on_when_it_is_looked_for(monkeypatch, seconds):
    (expected,) = train([wild()])
    monkeypatch.setattr("mlr.training.loop.PROGRESS_SECONDS", seconds)
    monkeypatch.setattr("mlr.probes.measuring.FLUSH_SECONDS", seconds)
    assert_equal(train([wild()], policy=Kept(seconds=seconds).policy), [expected])


def test_a_batch_with_a_run_that_ended_goes_on_to_the_bit():
    runs = [wild(0.01), wild(), wild(0.02, patience=1), wild(3.0, seed=5)]
    undisturbed = train(runs)
    assert [one.status for one in undisturbed].count("diverged") >= 1
    for after in (3, 9, 30):
        first = Kept(stop_after=after)
        with pytest.raises(Stopped):
            train(runs, policy=first.policy)
        assert_equal(train(runs, policy=Kept(start=first.states[-1]).policy), undisturbed)


def test_what_the_second_time_does_not_do_ends_where_it_was_sure(monkeypatch):
    """As on a GPU that adds in any order: here a parameter is lost by no update."""
    seen = []
    real = DivergenceGuard.judge

    def judge(self, step):
        if step == 8 and not seen:
            seen.append(self.step)
            self.program.parameters[self.program.lane_of[1]] = torch.nan
        real(self, step)

    monkeypatch.setattr(DivergenceGuard, "judge", judge)
    good, lost = train([wild(0.01), wild(0.02)])
    assert (good.status, lost.status, lost.steps) == ("done", "diverged", seen[0])
    assert all(own.isfinite().all() for own in lost.parameters.values())


def test_what_is_lost_before_any_update_is_not_put_down_to_the_rate():
    run = wild()
    (lost,) = train([replace(run, optimizer=SGD(lr=1e308))])
    assert (lost.refused["update"], lost.refused["tensor"]) == (2, "a logit")
    assert lost.reason.endswith("try a smaller optimizer.lr")
    with torch.no_grad():
        next(run.module.parameters()).fill_(math.inf)
    (lost,) = train([run])
    assert lost.refused["update"] == 1
    assert lost.reason.endswith("it was so before any update: look at the model and the loss")
