"""A loop that is watched trains as it does alone, to the bit, and no error of a probe ends it."""

from __future__ import annotations

import copy
import io
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mlr import GradientProbe
from mlr.core.checks import InputError
from mlr.loop.evidence.observer import Observer
from mlr.loop.evidence.order import Order
from mlr.loop.model_hooks import ModelHooks
from mlr.loop.recording import Recording
from mlr.records.run_folder import read_status
from tests.loop.loops import batches, module, table, train

STEPS = 20  # with steps that are measured, looked at, both, and neither


def network():
    torch.manual_seed(0)
    layers = [nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3)]
    return nn.Sequential(*layers)


def with_amp(scaled):
    def loop(model, watch):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        scaler = torch.amp.GradScaler("cpu", enabled=scaled, init_scale=2.0**120, growth_interval=3)
        probe = watch(model, optimizer, scaler=scaler if scaled else None)
        for inputs, targets in batches(STEPS):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(inputs)
                loss = F.cross_entropy(logits.float(), targets)
            probe(logits, targets, loss)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()

    return loop


def accumulated(model, watch):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    probe = watch(model, optimizer, accumulate=2)
    for number, (inputs, targets) in enumerate(batches(2 * STEPS)):
        logits = model(inputs)
        loss = F.cross_entropy(logits, targets)
        probe(logits, targets, loss)
        (loss / 2).backward()
        if number % 2:
            optimizer.step()
            optimizer.zero_grad()


def clipped_and_scheduled(model, watch):
    first = torch.optim.SGD(model[0].parameters(), lr=0.1, weight_decay=0.01)
    second = torch.optim.AdamW([*model[1].parameters(), *model[4].parameters()], lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(first, STEPS)
    probe = watch(model, [first, second])
    for inputs, targets in batches(STEPS):
        logits = model(inputs)
        loss = F.cross_entropy(logits, targets)
        probe(logits, targets, loss)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        for one in (first, second):
            one.step()
            one.zero_grad(set_to_none=False)
        schedule.step()


def validated(model, watch):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    probe = watch(model, optimizer)
    for inputs, targets in batches(STEPS):
        optimizer.zero_grad()
        logits = model(inputs)
        loss = F.cross_entropy(logits, targets)
        probe(logits, targets, loss)
        loss.backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            again = model(inputs)
            probe(again, targets, F.cross_entropy(again, targets))
        model.train()


def by_closure(model, watch):
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=4)
    probe = watch(model, optimizer)
    for inputs, targets in batches(STEPS):

        def closure(inputs=inputs, targets=targets):
            optimizer.zero_grad()
            logits = model(inputs)
            loss = F.cross_entropy(logits, targets)
            probe(logits, targets, loss)
            loss.backward()
            return loss

        optimizer.step(closure)


def compiled(model, watch):
    whole = torch.compile(model, backend="eager")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    probe = watch(whole, optimizer)
    for inputs, targets in batches(STEPS):
        optimizer.zero_grad()
        logits = whole(inputs)
        loss = F.cross_entropy(logits, targets)
        probe(logits, targets, loss)
        loss.backward()
        optimizer.step()


LOOPS = {
    "amp": with_amp(scaled=False),
    "amp and scaler": with_amp(scaled=True),
    "accumulated": accumulated,
    "two optimizers, clipping, schedule": clipped_and_scheduled,
    "validation": validated,
    "LBFGS": by_closure,
}


def ends(loop, folder, settings):
    """Parameters, buffers, gradients and random state after a loop, without a probe and with."""
    found = []
    for watched in (False, True):
        model, probes = network(), []

        def watch(model, optimizer, watched=watched, probes=probes, **options):
            if not watched:
                return lambda *batch: None
            probes.append(GradientProbe(model, optimizer, folder, settings=settings, **options))
            return probes[0].watch

        torch.manual_seed(7)
        loop(model, watch)
        for probe in probes:
            probe.close()
        grads = [own.grad for own in model.parameters() if own.grad is not None]
        found.append([*model.state_dict().values(), *grads, torch.get_rng_state()])
    return found


@pytest.mark.parametrize("settings", ["basic", "full"])
@pytest.mark.parametrize("name", LOOPS)
def test_training_is_the_same_to_the_bit(tmp_path, name, settings):
    plain, watched = ends(LOOPS[name], tmp_path / "run", settings)
    assert len(plain) == len(watched)
    assert all(map(torch.equal, plain, watched))
    status = read_status(tmp_path / "run")
    assert (status.status, status.program["updates"] > 0) == ("done", True)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_training_of_a_compiled_model_is_the_same_to_the_bit(tmp_path):
    plain, watched = ends(compiled, tmp_path / "run", "basic")
    assert all(map(torch.equal, plain, watched))
    assert read_status(tmp_path / "run").status == "done"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_step_that_is_compiled_as_a_whole_is_refused_at_once(tmp_path):
    model = module()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    probe = GradientProbe(model, optimizer, tmp_path / "run")
    step = torch.compile(lambda data: train(model, optimizer, probe, data=data), backend="eager")
    with pytest.raises(InputError, match="compile the model alone"):
        step(list(batches(1)))
    probe.close()


@pytest.mark.parametrize("settings", ["basic", "full"])
def test_copies_in_the_midst_of_a_measured_step_are_plain_models(tmp_path, settings):
    model = network()
    probe = GradientProbe(
        model, torch.optim.SGD(model.parameters(), lr=0.1), tmp_path / "run", settings=settings
    )
    ((inputs, targets),) = batches(1)
    probe.watch(logits := model(inputs), targets, F.cross_entropy(logits, targets))
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    twins = [copy.deepcopy(model), torch.load(file, weights_only=False), network()]
    twins[2].load_state_dict(model.state_dict())
    expected = model.eval()(inputs)
    probe.close()
    for twin in twins:
        twin.eval()
        assert torch.equal(twin(inputs), expected)
        F.cross_entropy(twin(inputs), targets).backward()
    assert read_status(tmp_path / "run").program["calls"] == 1


def broken(*arguments, **more):
    raise RuntimeError("our own\nfault")


PLACES = [
    *((Observer, "watch"), (Observer, "before_step"), (Observer, "after_step")),
    *((ModelHooks, "of_gradients"), (ModelHooks, "remember"), (Recording, "keep")),
    *((GradientProbe, "_updated"), (Recording, "flush"), (Observer, "evidence")),
]


@pytest.mark.parametrize("at", [0, 5])
@pytest.mark.parametrize(("home", "name"), PLACES)
def test_an_error_of_the_probe_is_told_once_and_ends_no_training(
    tmp_path, monkeypatch, home, name, at
):
    model, twin = module(), module()
    optimizer, plain = (torch.optim.SGD(one.parameters(), lr=0.1) for one in (model, twin))
    probe = GradientProbe(model, optimizer, tmp_path / "run")
    train(model, optimizer, probe, data=list(batches(STEPS))[:at])
    monkeypatch.setattr(home, name, broken)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        train(model, optimizer, probe, data=list(batches(STEPS))[at:])
        probe.close({"accuracy/test": 0.5})
        probe.close()
    (one,) = [str(warning.message) for warning in told]
    assert one.startswith("GradientProbe stopped at step")
    assert "RuntimeError: our own. The training goes on" in one
    train(twin, plain, data=batches(STEPS))
    assert all(map(torch.equal, model.parameters(), twin.parameters()))
    hooks = (model[0]._forward_hooks, optimizer._optimizer_step_pre_hooks)
    assert not any(map(len, (*hooks, optimizer._optimizer_step_post_hooks)))
    status = read_status(tmp_path / "run")
    assert status.status == "failed"
    assert "GradientProbe stopped" in status.reason
    assert status.metrics["accuracy/test"] == 0.5
    if at and name != "flush":
        assert len(table(tmp_path / "run")) >= at - 1


def test_a_batch_that_does_not_fit_is_told_of_once_and_what_was_recorded_is_kept(tmp_path):
    model = module()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    probe = GradientProbe(model, optimizer, tmp_path / "run")
    wrong = torch.zeros(3, dtype=torch.long)
    train(model, optimizer, probe, data=batches(3))
    with pytest.warns(UserWarning, match="stopped at step 3, by InputError: targets of shape"):
        probe.watch(model(torch.randn(4, 5)), wrong)
    train(model, optimizer, probe, data=batches(3))
    probe.close()
    assert len(table(tmp_path / "run")) == 3


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt, "interrupted"), (ValueError, "failed")]
)
def test_an_end_of_the_loop_in_a_backward_pass_leaves_what_was_recorded(tmp_path, error, status):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def ending(gradient):
        raise error

    def loss_of(logits, targets):
        if probe.step == 4:
            logits.register_hook(ending)
        return F.cross_entropy(logits, targets)

    probe = GradientProbe(model, optimizer, tmp_path / "run")
    with pytest.raises(error), probe:
        train(model, optimizer, probe, loss_of)
    assert read_status(tmp_path / "run").status == status
    assert len(table(tmp_path / "run")) == 4
    assert not model[0]._forward_hooks
    train(model, optimizer, probe, data=batches(2))


class Nothing(torch.autograd.Function):
    """Operation that returns no gradient to what it was given."""

    @staticmethod
    def forward(ctx, values):
        return values.clone()

    @staticmethod
    def backward(ctx, gradient):
        return None


class Pair(nn.Conv1d):
    """Layer with two outputs."""

    def forward(self, inputs):
        outputs = super().forward(inputs)
        return outputs, outputs.mean()


class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.pair, self.out, self.lost = Pair(1, 1, 1), nn.Linear(5, 3), nn.Linear(5, 3)

    def forward(self, inputs):
        outputs, _ = self.pair(inputs[:, None])
        return self.out(outputs[:, 0]) + Nothing.apply(self.lost(inputs))


def test_layers_with_several_outputs_and_operations_without_gradient(tmp_path):
    model = Odd()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with GradientProbe(model, optimizer, tmp_path / "run", settings="full") as probe:
        train(model, optimizer, probe)
    row = table(tmp_path / "run")[0]
    assert row["grad_norm/lost"] == 0
    assert row["grad_norm/out"] > 0


@pytest.mark.parametrize("name", ["begins", "_ends", "_returns"])
def test_an_error_of_the_evidence_in_a_backward_pass_is_told_once(tmp_path, monkeypatch, name):
    model = module()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    monkeypatch.setattr(Order, name, broken)
    probe = GradientProbe(model, optimizer, tmp_path / "run")
    with pytest.warns(UserWarning, match="stopped at step 0, by RuntimeError: our own") as told:
        train(model, optimizer, probe)
    assert len(told) == 1
    probe.close()
    assert read_status(tmp_path / "run").status == "failed"


def test_outputs_that_get_no_gradient_are_told_of(tmp_path):
    """A hook is called with None where one operation computed outputs and loss."""
    model = module()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    probe = GradientProbe(model, optimizer, tmp_path / "run")
    ((inputs, targets),) = batches(1)
    logits = model(inputs)
    loss = F.cross_entropy(logits, targets) + Nothing.apply(logits).sum()
    outputs = Nothing.apply(logits)
    probe.watch(outputs, targets, loss + Nothing.apply(outputs).sum())
    (loss + Nothing.apply(outputs).sum()).backward()
    with pytest.warns(UserWarning, match="no gradient came to the logits"):
        optimizer.step()
    probe.close()
    assert not read_status(tmp_path / "run").program["looks"][0].get("returned")
