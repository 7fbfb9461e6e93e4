"""The folder tells what a loop is, and the training stays the same to the bit."""

from __future__ import annotations

import copy
import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mlr import GradientProbe
from mlr.records.evidence import Evidence
from mlr.records.run_folder import read_status
from tests.loop.loops import batches, module, train


def sgd(model, **options):
    return torch.optim.SGD(model.parameters(), **{"lr": 0.1, **options})


def seen(folder) -> Evidence:
    return Evidence.decode(read_status(folder).program)


def network(norm=False):
    torch.manual_seed(0)
    layers = [nn.Linear(5, 8), nn.BatchNorm1d(8) if norm else nn.Dropout(0.5), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(8, 3))


def observed(folder, before=(), zero="first", steps=4, accumulate=1, **options):
    """A loop with its calls in another order."""
    model = module()
    optimizer = sgd(model)
    with GradientProbe(model, optimizer, folder, **options) as probe:
        for number, (inputs, targets) in enumerate(batches(steps)):
            z = model(inputs)
            loss = F.cross_entropy(z, targets)
            probe.watch(z, targets, loss)
            first = number % accumulate == 0
            if zero == "first" and first:
                optimizer.zero_grad()
            loss.backward()
            if zero == "between":
                optimizer.zero_grad()
            if zero != "no step" and (number + 1) % accumulate == 0:
                optimizer.step()
    return seen(folder)


@pytest.mark.parametrize("norm", [False, True], ids=["dropout", "batch norm"])
@pytest.mark.parametrize("way", ["plain", "accumulated", "two optimizers"])
def test_training_is_the_same_to_the_bit(tmp_path, norm, way):
    ends = []
    for watched in (False, True):
        model = network(norm)
        optimizers = [sgd(model, momentum=0.9)]
        if way == "two optimizers":
            optimizers = [sgd(model[0]), torch.optim.Adam(model[3].parameters())]
        parts = 2 if way == "accumulated" else 1
        probe = None
        if watched:
            probe = GradientProbe(model, optimizers, tmp_path / "run", accumulate=parts)
        torch.manual_seed(7)
        for number, (inputs, targets) in enumerate(batches(12)):
            z = model(inputs)
            loss = F.cross_entropy(z, targets)
            if probe is not None:
                probe.watch(z, targets, loss)
            (loss / parts).backward()
            if (number + 1) % parts == 0:
                for one in optimizers:
                    one.step()
                    one.zero_grad()
        if probe is not None:
            probe.close()
        ends.append([*model.state_dict().values(), torch.get_rng_state(), model.training])
    for one, other in zip(*ends, strict=True):
        assert torch.equal(torch.as_tensor(one), torch.as_tensor(other))


def test_the_folder_tells_what_the_loop_is(tmp_path):
    model = module()
    optimizer = sgd(model)
    with GradientProbe(model, optimizer, tmp_path / "run") as probe:
        train(model, optimizer, probe, data=batches(12))
    found = seen(tmp_path / "run")
    assert [look.call for look in found.looks] == [0, 1, 2, 8]
    assert (found.calls, found.updates, sum(found.class_counts)) == (12, 12, 12 * 16)
    assert found.looks[0].forms[0] == "ce:mean"
    assert "log_softmax>nll" in found.looks[0].pairs
    assert found.looks[3].updates == 8
    assert found.looks[0].rates == [0.1]
    assert 0 < found.looks[0].moved < 1
    assert Evidence.decode(found.encode()).encode() == found.encode()


def test_later_batches_are_counted_rarely(tmp_path):
    model = module()
    optimizer = sgd(model)
    with GradientProbe(model, optimizer, tmp_path / "run", settings="off") as probe:
        train(model, optimizer, probe, data=batches(32 + 8 * 3))
    found = seen(tmp_path / "run")
    assert (found.calls, found.updates, found.batches) == (56, 56, 32 + 3)
    assert sum(found.class_counts) == (32 + 3) * 16


def test_modes_of_batches_between_those_that_are_counted(tmp_path):
    model = network()
    optimizer = sgd(model)
    with GradientProbe(model, optimizer, tmp_path / "run", settings="off") as probe:
        train(model, optimizer, probe, data=batches(36))
        model.eval()
        train(model, optimizer, probe, data=batches(12))
    found = seen(tmp_path / "run")
    # the batches 33 to 40 have the mode of the 40th
    assert (found.calls, found.train_calls, found.eval_after_train) == (48, 33, 8)


def test_the_first_loss_is_that_of_torch(tmp_path):
    found = observed(tmp_path / "run")
    ((inputs, targets),) = batches(1)
    assert found.looks[0].loss == pytest.approx(F.cross_entropy(module()(inputs), targets).item())


def test_gradients_around_the_update(tmp_path):
    model = module()
    ((inputs, targets),) = batches(1)
    F.cross_entropy(model(inputs), targets).backward()
    norm = torch.cat([own.grad.flatten() for own in model.parameters()]).norm().item()
    first, second, *_ = observed(tmp_path / "sound").looks
    assert (first.before, first.stale) == (0, False)
    assert (first.after, first.at_step) == pytest.approx((norm, norm))
    assert (second.before, second.stale) == (0, False)

    never = observed(tmp_path / "never", zero="never").looks
    assert [look.stale for look in never] == [False, True, True]
    assert never[1].before == pytest.approx(norm)

    between = observed(tmp_path / "between", zero="between").looks
    assert between[0].after == pytest.approx(norm)
    assert [look.at_step for look in between] == [0, 0, 0]

    idle = observed(tmp_path / "idle", zero="no step")
    assert (idle.updates, idle.unchanged.count, idle.parameters) == (0, 4, 4)


@pytest.mark.parametrize("settings", ["off", "basic"])
def test_gradients_that_are_clipped_in_place(tmp_path, settings):
    model = module()
    optimizer = sgd(model)
    with GradientProbe(model, optimizer, tmp_path / "run", settings=settings) as probe:
        for inputs, targets in batches(4):
            optimizer.zero_grad()
            z = model(inputs)
            loss = F.cross_entropy(z, targets)
            probe.watch(z, targets, loss)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.01)
            optimizer.step()
    looks = seen(tmp_path / "run").looks
    assert all(look.after > 0.1 for look in looks)
    assert [look.at_step for look in looks] == pytest.approx([0.01] * 3, rel=1e-3)


def test_inputs_are_described_of_the_first_batch_and_of_some_later_ones(tmp_path):
    looks = observed(tmp_path / "run", steps=9).looks
    first, *_, last = batches(9)
    assert [look.input_shape for look in looks] == [[16, 5], [], [], [16, 5]]
    for look, (inputs, _) in ((looks[0], first), (looks[3], last)):
        assert look.input_size == pytest.approx(inputs.square().mean().sqrt().item())


@pytest.mark.parametrize("told", [1, 2])
def test_accumulated_gradients_are_not_stale(tmp_path, told):
    looks = observed(tmp_path / "run", accumulate=2, steps=9).looks
    assert not any(look.stale for look in looks)
    assert looks[1].before > 0


def test_gradients_that_a_loop_keeps_on_purpose_are_not_stale(tmp_path):
    model = module()
    optimizer = sgd(model)
    with GradientProbe(model, optimizer, tmp_path / "run") as probe:
        for inputs, targets in batches(4):
            z = model(inputs)
            loss = F.cross_entropy(z, targets)
            probe.watch(z, targets, loss)
            loss.backward()
            optimizer.step()
            for own in model.parameters():
                own.grad.mul_(0.5)
    looks = seen(tmp_path / "run").looks
    assert looks[1].before == pytest.approx(looks[0].at_step / 2)
    assert not any(look.stale for look in looks)


def test_outputs_that_are_not_computed_again(tmp_path):
    model = nn.Linear(5, 3)  # whose gradient does not need its weights
    optimizer = sgd(model)
    ((inputs, targets),) = batches(1)
    z = model(inputs)
    with GradientProbe(model, optimizer, tmp_path / "run") as probe:
        for _ in range(4):
            loss = F.cross_entropy(z, targets)
            probe.watch(z, targets, loss)
            loss.backward(retain_graph=True)
            optimizer.step()
    assert seen(tmp_path / "run").same_outputs == 3
    assert observed(tmp_path / "sound").same_outputs == 0


def test_modes_of_a_model_that_reads_them(tmp_path):
    model = network()
    optimizer = sgd(model)
    with GradientProbe(model, optimizer, tmp_path / "run") as probe:
        train(model, optimizer, probe, data=batches(3))
        with torch.no_grad():
            model(torch.randn(4, 5))
            model.eval()
            model(torch.randn(4, 5))
        train(model, optimizer, probe, data=batches(2))
    found = seen(tmp_path / "run")
    assert found.modes
    assert (found.train_calls, found.eval_after_train, found.tested) == (3, 2, 1)
    assert not model._forward_pre_hooks
    assert not observed(tmp_path / "other").modes


@pytest.mark.parametrize("copied", [copy.deepcopy, "saved"])
def test_a_copy_of_the_model_takes_no_probe_with_it(tmp_path, copied):
    model = network().eval()
    inputs = torch.randn(4, 5)
    expected = model(inputs)
    with GradientProbe(model, sgd(model), tmp_path / "run", settings="off"):
        if copied == "saved":
            file = io.BytesIO()
            torch.save(model, file)
            assert b"mlr" not in file.getvalue()
            file.seek(0)
            twin = torch.load(file, weights_only=False)
        else:
            twin = copied(model)
    assert torch.equal(twin(inputs), expected)
    (hook,) = twin._forward_pre_hooks.values()
    assert type(hook).__module__ != "mlr.loop.evidence.mode"


def test_a_loss_without_graph_is_told_and_not_refused(tmp_path):
    model = module()
    optimizer = sgd(model)
    with GradientProbe(model, optimizer, tmp_path / "run") as probe:
        for inputs, targets in batches(3):
            with torch.no_grad():
                z = model(inputs)
            loss = F.cross_entropy(z, targets).requires_grad_()
            probe.watch(z, targets, loss)
            loss.backward()
            optimizer.step()
    found = seen(tmp_path / "run")
    assert [look.attached for look in found.looks] == [False] * 3
    assert [look.output_graph for look in found.looks] == [False] * 3


def test_a_crash_leaves_the_evidence_of_the_last_flush(tmp_path, monkeypatch):
    monkeypatch.setattr("mlr.probes.measuring.FLUSH_SECONDS", 0)
    model = module()
    optimizer = sgd(model)
    probe = GradientProbe(model, optimizer, tmp_path / "run")
    train(model, optimizer, probe, data=batches(9))
    assert read_status(tmp_path / "run").status == "running"
    assert seen(tmp_path / "run").updates == 9
    probe.close()


def test_repeated_calls_and_those_of_the_training_are_no_evaluation(tmp_path):
    model = network()
    optimizer = sgd(model)
    with GradientProbe(model, optimizer, tmp_path / "run") as probe:
        ((inputs, targets),) = batches(1)
        train(model, optimizer, probe, data=[(inputs, targets)])
        with torch.no_grad():
            model(inputs)  # accuracy of the training
            held_out = torch.randn(4, 5)
            for _ in range(3):  # an average over dropout
                model(held_out)
            assert probe._observer._modes.tested == 0
            model(torch.randn(4, 5))
            model(torch.randn(4, 5))
    assert seen(tmp_path / "run").tested == 2


def test_whether_a_gradient_came_to_the_outputs(tmp_path):
    model = module()
    optimizer = sgd(model)
    with GradientProbe(model, optimizer, tmp_path / "run", settings="off") as probe:
        for number, (inputs, targets) in enumerate(batches(3)):
            optimizer.zero_grad()
            z = model(inputs)
            loss = F.cross_entropy(z, targets)
            probe.watch(z, targets, loss)
            (loss if number != 1 else model[0].weight.square().sum()).backward()
            optimizer.step()
    assert [look.returned for look in seen(tmp_path / "run").looks] == [True, False, True]


def test_batches_since_an_update(tmp_path):
    looks = observed(tmp_path / "run", accumulate=2, steps=9).looks
    assert [(look.call, look.since) for look in looks] == [(0, 1), (1, 2), (2, 1), (8, 1)]


@pytest.mark.parametrize(("way", "copies"), [("loader", 2), ("one", 0), ("view", 0)])
def test_copies_of_a_batch(tmp_path, way, copies):
    model = module()
    optimizer = sgd(model)
    ((inputs, targets),) = batches(1)
    ways = {"loader": targets.clone, "one": lambda: targets, "view": lambda: targets[:]}
    kept = []  # so that no memory is used again
    with GradientProbe(model, optimizer, tmp_path / "run") as probe:
        for _ in range(3):
            kept.append(ways[way]())
            train(model, optimizer, probe, data=[(inputs, kept[-1])])
    assert seen(tmp_path / "run").copies == copies


def forms_of(folder, cost):
    model = module()
    optimizer = sgd(model)
    with GradientProbe(model, optimizer, folder) as probe:
        for inputs, targets in batches(2):
            z = model(inputs)
            loss = cost(z, targets)
            probe.watch(z, targets, loss)
            loss.backward()
            optimizer.step()
    return [{one.partition(":")[0] for one in look.forms} for look in seen(folder).looks]


def test_a_loss_by_nll_is_one_of_few_candidates(tmp_path):
    found = forms_of(tmp_path / "run", F.cross_entropy)
    assert found == [{"ce", "log_softmax+ce", "log_softmax+nll"}] * 2


def test_another_loss_with_nll_in_its_graph_is_still_recognised(tmp_path):
    def cost(z, targets):
        numbers = F.one_hot(targets, 3).float()
        return F.binary_cross_entropy_with_logits(z, numbers) + 0 * F.cross_entropy(z, targets)

    assert all({"bce_logits", "sigmoid+bce"} <= one for one in forms_of(tmp_path / "run", cost))


def test_log_sums_of_outputs_are_recorded_where_the_loss_may_be_kl(tmp_path):
    torch.manual_seed(0)
    shares = torch.rand(16, 3).softmax(1)
    model = module()
    optimizer = sgd(model)
    with GradientProbe(model, optimizer, tmp_path / "run") as probe:
        ((inputs, _),) = batches(1)
        z = model(inputs)
        loss = F.kl_div(z, shares, reduction="batchmean")
        probe.watch(z, shares, loss)
        loss.backward()
        optimizer.step()
    (look,) = seen(tmp_path / "run").looks
    own = np.log(np.exp(z.detach().double().numpy()).sum(1))
    assert look.output_log_sum == pytest.approx(np.abs(own).max())


def test_a_multiple_of_a_loss_is_known_from_the_third_batch(tmp_path):
    model = module()
    optimizer = sgd(model)
    with GradientProbe(model, optimizer, tmp_path / "run") as probe:
        for inputs, targets in batches(3):
            z = model(inputs)
            loss = 0.01 * F.cross_entropy(z, targets)
            probe.watch(z, targets, loss)
            loss.backward()
            optimizer.step()
    *first, last = [
        dict(one.split(":") for one in look.forms) for look in seen(tmp_path / "run").looks
    ]
    assert first == [{}, {}]
    assert float(last["ce"]) == pytest.approx(0.01)


PROGRAM = """
import sys, torch
from mlr import GradientProbe
model = torch.nn.Linear(2, 2)
probe = GradientProbe(model, torch.optim.SGD(model.parameters(), lr=0.1), sys.argv[1])
z = model(torch.randn(4, 2))
loss = torch.nn.functional.cross_entropy(z, torch.tensor([0, 1, 0, 1]))
probe.watch(z, torch.tensor([0, 1, 0, 1]), loss)
loss.backward()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("ending", "status"), [("", "done"), ("1 / 0", "failed")])
def test_a_program_that_does_not_close_its_probe(tmp_path, ending, status):
    folder = tmp_path / "run"
    line = [sys.executable, "-c", PROGRAM + ending, str(folder)]
    subprocess.run(line, check=False, capture_output=True)
    assert read_status(folder).status == status
    assert seen(folder).calls == 1


def test_a_lost_loss_leaves_what_was_known_of_it(tmp_path):
    model = module()
    optimizer = sgd(model)
    with GradientProbe(model, optimizer, tmp_path / "it") as probe:
        for number, (inputs, targets) in enumerate(batches(3)):
            z = model(inputs)
            loss = F.cross_entropy(z, targets) + (torch.nan if number == 1 else 0)
            probe.watch(z, targets, loss)
            optimizer.zero_grad()
            F.cross_entropy(z, targets).backward()
            optimizer.step()
    assert ["ce:mean" in look.forms for look in seen(tmp_path / "it").looks] == [True] * 3
